"""Migrations: run as the owner, they make the tables and the role that the application works as."""

import io
import re
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
from dashtam_postgres._tables import GRANTS

_LOCK: Final = 0x64617368  # any number that is always the same: two upgrades at once run one after the other
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


async def upgrade(
    admin_url: str, *, app_role: str, app_password: str | None = None, schema: str = DEFAULT_SCHEMA
) -> None:
    """Brings the schema to this package's migration, and lets `app_role` work with it.

    `admin_url` is the owner's. The role is created if there is none of this name, with `app_password`; one that is
    there keeps its own password. Everything happens in one transaction. Safe to run again, and twice at once.

    Raises:
        UnavailableError: no answer, or the owner may not do what is needed.
        ValueError: a name that could not be a role's or schema's.
    """
    for name in (app_role, schema):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name for a role or schema: letters, digits, _ and - only")
    engine = _connect.engine(admin_url, pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await _prepare(connection, app_role, app_password, schema)
            await connection.run_sync(_run, schema)
            await _grant(connection, app_role, schema)
    except (DBAPIError, OSError, asyncpg.PostgresError) as error:
        raise _explained(error, admin_url) from error
    finally:
        await engine.dispose()


async def _prepare(connection: AsyncConnection, role: str, password: str | None, schema: str) -> None:
    exists = await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if exists.first() is None:
        quoted = await connection.scalar(text("SELECT quote_literal(:password)"), {"password": password or ""})
        secret = f"PASSWORD {quoted}" if password else ""
        await connection.exec_driver_sql(f'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOBYPASSRLS {secret}')
    await connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    await connection.exec_driver_sql(f'SET LOCAL search_path TO "{schema}"')


def _run(connection: Connection, schema: str) -> None:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", "dashtam_postgres:migrations")
    config.attributes |= {"connection": connection, "schema": schema}
    command.upgrade(config, "head")


async def _grant(connection: AsyncConnection, role: str, schema: str) -> None:
    database = await connection.scalar(text("SELECT quote_ident(current_database())"))
    grants = (
        f'TEMPORARY, CONNECT ON DATABASE {database} TO "{role}"',
        f'USAGE ON SCHEMA "{schema}" TO "{role}"',
        *(f'{privileges} ON "{schema}"."{table}" TO "{role}"' for table, privileges in GRANTS.items()),
    )
    for grant in grants:
        await connection.exec_driver_sql(f"GRANT {grant}")


def _explained(error: BaseException, url: str) -> UnavailableError:
    if _connect.unreachable(error):
        return _connect.unavailable(error, _connect.place(url))
    reason = str(error.__cause__ or error).splitlines()[0][:300]
    return UnavailableError(
        UnavailableCode.STORE_NOT_MIGRATED,
        f"the migration was rolled back ({reason}): DASHTAM_STORE_ADMIN_URL needs a role that may create "
        "schemas, tables and roles in this database",
    )
