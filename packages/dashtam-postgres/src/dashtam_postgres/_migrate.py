"""Migrations: run as the owner, they make the tables and the roles that the application works as."""

import io
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_postgres import _connect
from dashtam_postgres._store import DEFAULT_SCHEMA
from dashtam_postgres._tables import GRANTS, WORKER_GRANTS

LOCK: Final = 0x64617368  # any number that is always the same: what the owner does runs one after the other
_ROLE_EXISTS: Final = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
_WITHOUT_POLICY: Final = text("""
    SELECT relname FROM pg_class c WHERE relnamespace = to_regnamespace(:schema) AND relname = ANY (:tables)
    AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = :worker)
""")


async def upgrade(
    admin_url: str, *, app_role: str, app_password: str | None = None, schema: str = DEFAULT_SCHEMA
) -> None:
    """Brings the schema to this package's migration, and lets `app_role` work with it.

    `admin_url` is the owner's. The role is created if there is none of this name, with `app_password`; one that is
    there keeps its own password. What is done for all people at once is done as `<app_role>_worker`, which cannot
    log in: it is created as well, and granted to `app_role`, once. Everything happens in one transaction. Safe to
    run again, and twice at once.

    Raises:
        UnavailableError: no answer, or the owner may not do what is needed.
        ValueError: a name that could not be a role's or schema's.
    """
    worker = f"{app_role}_worker"
    for name in (app_role, worker, schema):
        if not _connect.NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name for a role or schema: letters, digits, _ and - only")
    engine = _connect.engine(admin_url, pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await _make_roles(connection, app_role, app_password, worker)
            await connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            await connection.exec_driver_sql(f'SET LOCAL search_path TO "{schema}"')
            await connection.run_sync(_run, schema)
            await connection.exec_driver_sql("SELECT audit_partitions()")
            await _grant(connection, app_role, worker, schema)
    except (DBAPIError, OSError, asyncpg.PostgresError) as error:
        raise _explained(error, admin_url) from error
    finally:
        await engine.dispose()


async def _make_roles(connection: AsyncConnection, role: str, password: str | None, worker: str) -> None:
    created = False
    if not await connection.scalar(_ROLE_EXISTS, {"role": role}):
        quoted = await connection.scalar(text("SELECT quote_literal(:password)"), {"password": password or ""})
        secret = f"PASSWORD {quoted}" if password else ""
        await connection.exec_driver_sql(f'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOBYPASSRLS {secret}')
        created = True
    if not await connection.scalar(_ROLE_EXISTS, {"role": worker}):
        await connection.exec_driver_sql(f'CREATE ROLE "{worker}" NOLOGIN NOSUPERUSER NOBYPASSRLS')
        created = True
    if created:  # and never again: an operator may have taken it away, to seal in a process apart
        await connection.exec_driver_sql(f'GRANT "{worker}" TO "{role}" WITH INHERIT FALSE, SET TRUE')


def _run(connection: Connection, schema: str) -> None:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", "dashtam_postgres:migrations")
    config.attributes |= {"connection": connection, "schema": schema}
    command.upgrade(config, "head")


async def _grant(connection: AsyncConnection, role: str, worker: str, schema: str) -> None:
    database = await connection.scalar(text("SELECT quote_ident(current_database())"))
    grants = (
        f'TEMPORARY, CONNECT ON DATABASE {database} TO "{role}"',
        f'USAGE ON SCHEMA "{schema}" TO "{role}", "{worker}"',
        f'EXECUTE ON FUNCTION "{schema}".audit_partitions TO "{worker}"',
        *(f'{privileges} ON "{schema}"."{table}" TO "{role}"' for table, privileges in GRANTS.items()),
        *(f'{privileges} ON "{schema}"."{table}" TO "{worker}"' for table, privileges in WORKER_GRANTS.items()),
    )
    for grant in grants:
        await connection.exec_driver_sql(f"GRANT {grant}")
    wanted = {"schema": f'"{schema}"', "tables": list(WORKER_GRANTS), "worker": worker}
    for table in await connection.scalars(_WITHOUT_POLICY, wanted):
        await connection.exec_driver_sql(
            f'CREATE POLICY "{worker}" ON "{schema}"."{table}" TO "{worker}" USING (true) WITH CHECK (true)'
        )


def _explained(error: BaseException, url: str) -> UnavailableError:
    if _connect.unreachable(error):
        return _connect.unavailable(error, _connect.place(url))
    reason = str(error.__cause__ or error).splitlines()[0][:300]
    return UnavailableError(
        UnavailableCode.STORE_NOT_MIGRATED,
        f"the migration was rolled back ({reason}): DASHTAM_STORE_ADMIN_URL needs a role that may create "
        "schemas, tables and roles in this database",
    )
