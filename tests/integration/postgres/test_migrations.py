"""Opening and migrating: what an operator meets when the database is not as it should be."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import dashtam_postgres
from conftest import APP_PASSWORD, APP_ROLE, Database
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_postgres._tables import REVISION, metadata

READ = "GRANT SELECT ON ALL TABLES IN SCHEMA dashtam TO strong"


async def refusal(url: str) -> UnavailableError:
    """Why the store at `url` does not open."""
    with pytest.raises(UnavailableError) as refused:
        async with dashtam_postgres.open_store(url):
            pytest.fail("it opened")
    assert "password" not in refused.value.message.replace("password authentication failed", "")
    assert "Traceback" not in refused.value.message
    assert "\n" not in refused.value.message
    return refused.value


def test_the_package_names_its_last_migration() -> None:
    """What the store checks at start is the migration that comes last."""
    config = Config()
    config.set_main_option("script_location", "dashtam_postgres:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


async def test_the_tables_in_code_are_those_the_migrations_make(database: Database) -> None:
    """Neither the SQLAlchemy tables nor the migrations know a column, key or index that the other does not.

    The tables that only SQL of our own names are left out: every test of theirs runs that SQL.
    """

    def known(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or name in metadata.tables

    def differences(connection: Connection) -> list[Any]:
        connection.exec_driver_sql("SET search_path TO dashtam")
        context = MigrationContext.configure(connection, opts={"include_name": known})
        found: list[Any] = compare_metadata(context, metadata)
        return found

    engine = create_async_engine(database.admin_url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


async def test_upgrading_twice_at_once_does_it_once(empty_database: Database) -> None:
    """Several processes may start with the same new version; a later run finds nothing to do."""
    upgrade = dashtam_postgres.upgrade
    await asyncio.gather(*[upgrade(empty_database.admin_url, app_role=APP_ROLE) for _ in range(4)])
    await upgrade(empty_database.admin_url, app_role=APP_ROLE)
    async with dashtam_postgres.open_store(empty_database.app_url) as store:
        await store.ping()


async def test_a_migration_that_fails_leaves_nothing(empty_database: Database) -> None:
    """When a table is in the way everything is rolled back, and the message says what to do."""
    admin = await asyncpg.connect(empty_database.admin_url)
    await admin.execute("CREATE SCHEMA dashtam; CREATE TABLE dashtam.api_token (x int)")
    with pytest.raises(UnavailableError, match=r"rolled back .*already exists.*DASHTAM_STORE_ADMIN_URL"):
        await dashtam_postgres.upgrade(empty_database.admin_url, app_role=APP_ROLE)
    tables = await admin.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'dashtam'::regnamespace")
    await admin.close()
    assert [table["relname"] for table in tables] == ["api_token"]


async def test_the_role_is_created_where_it_is_missing(empty_database: Database) -> None:
    """A role of any sensible name is made with its password, and can serve at once."""
    name, secret = "dash-tam_2", 'it\'s a "secret"'
    await dashtam_postgres.upgrade(empty_database.admin_url, app_role=name, app_password=secret)
    host = urlsplit(empty_database.admin_url)
    connection = await asyncpg.connect(
        host=host.hostname, port=host.port, user=name, password=secret, database=host.path[1:]
    )
    assert await connection.fetchval("SELECT count(*) FROM dashtam.account") == 0
    await connection.close()


@pytest.mark.parametrize("name", ["", 'a"b', "a;b", "a b", "x" * 64])
async def test_a_name_that_could_do_harm_is_refused(empty_database: Database, name: str) -> None:
    """Role and schema names go into statements, so they are letters, digits, _ and - only."""
    with pytest.raises(ValueError, match="no name for a role or schema"):
        await dashtam_postgres.upgrade(empty_database.admin_url, app_role=name)


async def test_a_database_that_is_absent_is_named(database: Database) -> None:
    """The message says where it looked and why there is nothing, never with a password."""
    error = await refusal(database.app_url + "_nowhere")
    assert error.code is UnavailableCode.STORE_UNREACHABLE
    assert "_nowhere" in error.message
    assert "DASHTAM_STORE_URL" in error.message


async def test_a_server_that_is_absent_is_named() -> None:
    """A port nobody listens on is answered at once with the address tried."""
    error = await refusal("postgresql://dashtam_app:hush@127.0.0.1:1/dashtam")
    assert error.code is UnavailableCode.STORE_UNREACHABLE
    assert "127.0.0.1:1" in error.message
    assert "hush" not in error.message


async def test_a_wrong_password_is_not_repeated(database: Database) -> None:
    """A refused login names the role, not what was tried."""
    error = await refusal(database.app_url.replace(APP_PASSWORD.replace(" ", "%20"), "guess-1234"))
    assert error.code is UnavailableCode.STORE_UNREACHABLE
    assert "guess-1234" not in error.message


async def test_a_database_that_is_not_migrated_says_so(empty_database: Database) -> None:
    """An empty database is answered with the command that fills it."""
    error = await refusal(empty_database.app_url)
    assert error.code is UnavailableCode.STORE_NOT_MIGRATED
    assert "dashtam db upgrade" in error.message


@pytest.mark.parametrize(("version", "advice"), [("0000", "dashtam db upgrade"), ("9999", "upgrade the package")])
async def test_another_version_says_which_side_is_behind(database: Database, version: str, advice: str) -> None:
    """An older database wants migrating, a newer one a newer package."""
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("UPDATE dashtam.alembic_version SET version_num = $1", version)
    await admin.close()
    error = await refusal(database.app_url)
    assert error.code is UnavailableCode.STORE_NOT_MIGRATED
    assert advice in error.message


@pytest.mark.parametrize(
    "power",
    [
        "ALTER ROLE strong SUPERUSER",
        f"ALTER ROLE strong BYPASSRLS; GRANT USAGE ON SCHEMA dashtam TO strong; {READ}",
        f"ALTER SCHEMA dashtam OWNER TO strong; ALTER TABLE dashtam.account OWNER TO strong; {READ}",
        f"GRANT dashtam TO strong WITH INHERIT FALSE, SET TRUE; GRANT USAGE ON SCHEMA dashtam TO strong; {READ}",
        f"GRANT {APP_ROLE}_worker TO strong; GRANT USAGE ON SCHEMA dashtam TO strong; {READ}",
    ],
    ids=["superuser", "bypasses row-level security", "owner of a table", "may become the owner", "is the worker"],
)
async def test_a_role_that_is_too_strong_is_refused(database: Database, power: str) -> None:
    """A role that could walk past row-level security, or switch it off, cannot serve."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(f"CREATE ROLE strong LOGIN PASSWORD 'strong'; {power}")
        parts = urlsplit(database.admin_url)
        error = await refusal(parts._replace(netloc=f"strong:strong@{parts.hostname}:{parts.port}").geturl())
    finally:
        await admin.execute("REASSIGN OWNED BY strong TO dashtam; DROP OWNED BY strong; DROP ROLE strong")
        await admin.close()
    assert error.code is UnavailableCode.STORE_ROLE_TOO_POWERFUL
    assert "DASHTAM_STORE_ADMIN_URL" in error.message
