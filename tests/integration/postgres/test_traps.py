"""What was found to go wrong on a real PostgreSQL, so that it never does again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

import dashtam_postgres
from conftest import APP_ROLE, Database
from dashtam_core.accounts import AccountId, TransactionFilter
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import UnavailableCode, UnavailableError, new_id
from dashtam_core.testing.samples import account, add, filler, have, row, rows_of, texts_of
from dashtam_postgres import PostgresStore
from dashtam_postgres._transactions import page_query

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")


async def as_app[T](database: Database, work: Callable[["asyncpg.Connection[Any]"], Awaitable[T]]) -> T:
    """Runs SQL as the application's role, as somebody would who got past our own code."""
    connection = await asyncpg.connect(database.app_url)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL search_path TO dashtam")
            return await work(connection)
    finally:
        await connection.close()


async def test_a_bulk_copy_is_rolled_back_with_its_unit(store: PostgresStore) -> None:
    """COPY through asyncpg runs inside the transaction that SQLAlchemy began, not in one of its own."""
    (one,) = await have(store, ANN, account("one"))
    async with store.unit_of_work(ANN) as unit:
        await unit.transactions.add(None, {one.account_id: filler(2_000)})
        unit.discard()
    assert await texts_of(store, ANN) == []


async def test_copy_into_a_guarded_table_is_refused(database: Database) -> None:
    """The reason for the temporary table: PostgreSQL does not copy into a table with row-level security."""

    async def copy(connection: "asyncpg.Connection[Any]") -> None:
        await connection.copy_records_to_table(
            "account", records=[], columns=["account_id"], schema_name="dashtam"
        )

    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await as_app(database, copy)


async def test_a_row_cannot_be_hung_on_anothers_account(store: PostgresStore, database: Database) -> None:
    """One's own user_id beside another's account_id is refused: foreign keys see past RLS."""
    (his,) = await have(store, BEN, account("his"))

    async def hang(connection: "asyncpg.Connection[Any]") -> None:
        await connection.execute("SELECT set_config('app.subject', $1, true)", str(ANN.user_id))
        await connection.execute(
            "INSERT INTO balance (account_id, user_id, kind, as_of, amount, currency, origin) "
            "VALUES ($1, $2, 'LEDGER', '2026-01-01', 1, 'EUR', 'reported')",
            his.account_id,
            ANN.user_id,
        )

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await as_app(database, hang)


@pytest.mark.parametrize("table", ["account", "import_document", "person", "address", "credential"])
async def test_nothing_can_be_written_in_anothers_name(database: Database, table: str) -> None:
    """A row that names another person as its owner is refused by the policy of its table."""
    values = {
        "account": "(account_id, user_id, provider, account_key, name, account_type, currency, status, "
        "created_at) VALUES ($2, $1, 'file', 'key', 'n', 'CHECKING', 'EUR', 'OPEN', now())",
        "import_document": "(document_id, user_id, sha256, format, encoding, parser, imported_at, accounts, "
        "warnings) VALUES ($2, $1, 'sha', 'f', 'e', 'p', now(), '[]', '[]')",
        "person": "(user_id, email, role, status, created_at) "
        "VALUES ($1, $2::uuid::text, 'USER', 'LOCKED', now())",
        "address": "(address_key, user_id) VALUES (uuid_send($2), $1)",
        "credential": "(credential_id, user_id, kind, created_at, data) VALUES ($2, $1, 'PASSWORD', now(), '')",
    }[table]

    async def write(connection: "asyncpg.Connection[Any]") -> None:
        await connection.execute("SELECT set_config('app.subject', $1, true)", str(ANN.user_id))
        await connection.execute(f"INSERT INTO {table} {values}", ANN.user_id, new_id())
        await connection.execute(f"INSERT INTO {table} {values}", BEN.user_id, new_id())

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await as_app(database, write)


@pytest.mark.parametrize("subject", [None, "", "ben"])
async def test_row_level_security_alone_keeps_people_apart(
    store: PostgresStore, database: Database, subject: str | None
) -> None:
    """A query without any condition shows only the subject's rows, and none at all without a subject."""
    (one,) = await have(store, ANN, account("one"))
    await add(store, ANN, one, row("hers"))

    async def count(connection: "asyncpg.Connection[Any]") -> int:
        if subject is not None:
            name = subject and str(ExternalSubject(subject).user_id)
            await connection.execute("SELECT set_config('app.subject', $1, true)", name)
        found = await connection.fetch('SELECT 1 FROM account UNION ALL SELECT 1 FROM "transaction"')
        return len(found)

    assert await as_app(database, count) == 0


async def test_the_owner_is_bound_by_the_policies_too(store: PostgresStore, database: Database) -> None:
    """FORCE ROW LEVEL SECURITY stands on every table of people's, so that owning a table is no way around it."""
    await have(store, ANN, account("one"))
    owner = await asyncpg.connect(database.admin_url)
    try:
        unguarded = await owner.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'dashtam'::regnamespace AND relkind = 'r' "
            "AND NOT (relrowsecurity AND relforcerowsecurity) "
            "AND relname NOT IN ('alembic_version', 'rate_limit', 'root_key')"
        )
    finally:
        await owner.close()
    assert unguarded == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transaction SET user_id = gen_random_uuid()",
        "UPDATE import_document SET sha256 = '\\x00'",
        "UPDATE balance SET amount = 0",
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE person SET created_at = now()",
        "UPDATE address SET user_id = gen_random_uuid()",
        "UPDATE credential SET secret_hash = '\\x00'",
        "UPDATE credential SET session_id = gen_random_uuid()",
        "UPDATE root_key SET wrapped = '\\x00'",
        "DELETE FROM rate_limit",
        "TRUNCATE account",
        "DROP TABLE account",
        "ALTER TABLE account DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (a int)",
        "SET ROLE dashtam",
    ],
)
async def test_the_application_role_may_do_no_more_than_it_needs(database: Database, statement: str) -> None:
    """Whatever the product never does is not granted to the role it works as."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_app(database, lambda connection: connection.execute(statement))


async def test_a_subject_does_not_outlive_its_transaction(store: PostgresStore) -> None:
    """A pooled connection comes back without the person it last worked for."""
    await have(store, ANN, account("one"))
    async with store.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        assert not await raw.fetchval("SELECT current_setting('app.subject', true)")


@pytest.mark.parametrize("by_account", [True, False])
async def test_a_deep_page_costs_what_the_first_does(
    store: PostgresStore, database: Database, *, by_account: bool
) -> None:
    """A page in the middle is read straight from the index: no sort, no scan, a handful of buffers."""
    (one,) = await have(store, ANN, account("one"))
    await add(store, ANN, one, *filler(5_000))
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ANALYZE dashtam.transaction")
    await admin.close()
    middle = (await rows_of(store, ANN))[2_500]
    wanted = TransactionFilter(account_id=AccountId(one.account_id) if by_account else None)
    query, values = page_query(ANN.user_id, wanted, (middle.posted_date, middle.transaction_id), 50)
    async with store.unit_of_work(ANN) as unit:
        plan = await unit.raw.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {query}", *values)
    text = "\n".join(line[0] for line in plan)
    assert "Index Scan" in text, text
    assert "Sort" not in text, text
    assert "Rows Removed by Filter" not in text, text


async def test_a_connection_the_server_closed_is_not_handed_out(store: PostgresStore, database: Database) -> None:
    """After the server has dropped every connection the next unit of work simply works."""
    await asyncio.gather(*[have(store, ANN, account(str(n))) for n in range(5)])
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", APP_ROLE)
    await admin.close()
    await asyncio.sleep(0.2)
    assert len(await have(store, ANN, account("after"))) == 1


async def test_losing_the_connection_in_mid_unit_is_unavailable(store: PostgresStore, database: Database) -> None:
    """A server that goes away during a unit of work is a clear error, and the store works again afterwards."""
    (one,) = await have(store, ANN, account("one"))

    async def lose() -> None:
        async with store.unit_of_work(ANN) as unit:
            pid = await unit.raw.fetchval("SELECT pg_backend_pid()")
            admin = await asyncpg.connect(database.admin_url)
            await admin.execute("SELECT pg_terminate_backend($1)", pid)
            await admin.close()
            await unit.transactions.add(None, {one.account_id: [row("lost")]})

    with pytest.raises(UnavailableError) as lost:
        await lose()
    assert lost.value.code is UnavailableCode.STORE_UNREACHABLE
    assert await texts_of(store, ANN) == []


async def test_an_engine_and_a_schema_of_ones_own(empty_database: Database) -> None:
    """The store works in a schema and through an engine that belong to the embedding program."""
    await dashtam_postgres.upgrade(empty_database.admin_url, app_role=APP_ROLE, schema="finance-data")
    engine = create_async_engine(empty_database.app_url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        store = PostgresStore(engine, schema="finance-data")
        await store.ping()
        (one,) = await have(store, ANN, account("one"))
        assert await add(store, ANN, one, *filler(1_000)) == 1_000
        assert len(await rows_of(store, ANN, account_id=one.account_id)) == 1_000
    finally:
        await engine.dispose()


async def test_ids_of_the_same_moment_page_without_loss(store: PostgresStore) -> None:
    """Rows of one day are told apart by their id alone."""
    (one,) = await have(store, ANN, account("one"))
    await add(store, ANN, one, *[row(str(n)) for n in range(10)])
    seen: list[str | None] = []
    after = None
    for _ in range(10):
        async with store.unit_of_work(ANN) as unit:
            page = await unit.transactions.find(TransactionFilter(), after=after, limit=3)
        seen += [each.description for each in page]
        if not page:
            break
        after = page[-1].posted_date, page[-1].transaction_id
    assert sorted(map(str, seen)) == [str(n) for n in range(10)]


async def test_an_exhausted_pool_is_busy_and_recovers(database: Database) -> None:
    """Whoever finds every connection taken is told so in bounded time, and the next one is served again."""
    async with dashtam_postgres.open_store(database.app_url, pool_size=1, pool_seconds=0.1) as store:
        async with store.unit_of_work(ANN):
            with pytest.raises(UnavailableError) as busy:
                await texts_of(store, BEN)
        assert busy.value.code is UnavailableCode.STORE_BUSY
        assert await texts_of(store, BEN) == []


async def test_an_error_of_a_handlers_own_stays_what_it_is(store: PostgresStore) -> None:
    """A file that is missing is not taken for a database that is."""
    with pytest.raises(FileNotFoundError):
        async with store.unit_of_work(ANN):
            raise FileNotFoundError("statement.ofx")
