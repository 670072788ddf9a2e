"""The durable store, and the transaction that everything in it runs in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, cast

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_core.kernel import Subject, UnavailableCode, UnavailableError
from dashtam_core.store import Capability
from dashtam_postgres import _connect
from dashtam_postgres._accounts import PostgresAccounts
from dashtam_postgres._documents import PostgresDocuments
from dashtam_postgres._tables import REVISION
from dashtam_postgres._tokens import PostgresTokens

DEFAULT_SCHEMA: Final = "dashtam"

# The first statement of every transaction: it puts BEGIN on the wire, so that asyncpg used directly afterwards is
# inside it; it names the person for row-level security; and it points unqualified names at our schema.
_BEGIN: Final = text("SELECT set_config('app.subject', :subject, true), set_config('search_path', :schema, true)")
_ROLE: Final = text(
    "SELECT r.rolsuper OR r.rolbypassrls AS bypasses, EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid "
    "AND c.relnamespace = to_regnamespace(:schema)) AS owns FROM pg_roles r WHERE r.rolname = current_user"
)


class PostgresStore:
    """A store in one schema of a PostgreSQL database, over an engine of the caller's own if they like."""

    capabilities = frozenset({Capability.TRANSACTIONS, Capability.ROW_LEVEL_SECURITY, Capability.BULK_COPY})

    def __init__(self, engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA, place: str = "the database") -> None:
        self.engine = engine
        self.schema = schema
        self.place = place

    def unit_of_work(self, subject: Subject, /) -> "PostgresUnit":
        return PostgresUnit(self, subject)

    async def ping(self) -> None:
        """Returns if the database answers, is migrated, and the role is one that row-level security binds."""
        try:
            async with self.engine.connect() as connection:
                await self._check(connection)
        except (DBAPIError, OSError, asyncpg.PostgresError) as error:
            if _connect.unreachable(error):
                raise _connect.unavailable(error, self.place) from error
            raise

    async def _check(self, connection: AsyncConnection) -> None:
        found = await _revision(connection, self.schema)
        if found != REVISION:
            raise _not_migrated(found)
        role = (await connection.execute(_ROLE, {"schema": f'"{self.schema}"'})).one()
        if role.bypasses or role.owns:
            raise UnavailableError(
                UnavailableCode.STORE_ROLE_TOO_POWERFUL,
                "the role of DASHTAM_STORE_URL is a superuser, bypasses row-level security or owns the tables, so "
                "nothing would keep people apart: put that role in DASHTAM_STORE_ADMIN_URL, and one of its own in "
                "DASHTAM_STORE_URL; `dashtam db upgrade` creates it",
            )


@asynccontextmanager
async def open_store(
    url: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    pool_size: int = _connect.POOL_SIZE,
    pool_seconds: float = _connect.POOL_SECONDS,
) -> AsyncGenerator[PostgresStore]:
    """The store at `url`, checked to be ready; its connections are closed at the end.

    Whoever finds all `pool_size` connections taken waits for `pool_seconds`, and is then refused as `store_busy`.

    Raises:
        UnavailableError: no answer, not migrated, or a role that row-level security does not bind.
    """
    engine = _connect.engine(url, pool_size=pool_size, pool_seconds=pool_seconds)
    try:
        store = PostgresStore(engine, schema=schema, place=_connect.place(url))
        await store.ping()
        yield store
    finally:
        await engine.dispose()


class PostgresUnit:
    """One transaction of one person. Takes a connection when entered, gives it back when left."""

    def __init__(self, store: PostgresStore, subject: Subject) -> None:
        self.user_id = subject.user_id
        self._store = store
        self._open: AsyncConnection | None = None
        self._raw: asyncpg.Connection[Any] | None = None
        self._discarded = False

    async def __aenter__(self) -> Self:
        connection = self._store.engine.connect()
        try:
            self._open = await connection.start()
            await self._open.execute(_BEGIN, {"subject": str(self.user_id), "schema": f'"{self._store.schema}"'})
            self._raw = (await self._open.get_raw_connection()).driver_connection
        except BaseException as error:
            await self._close()
            if _connect.unreachable(error):
                raise _connect.unavailable(error, self._store.place) from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        raw = self._raw
        try:
            if error is None and not self._discarded:
                await self.connection.commit()
        except (DBAPIError, OSError, asyncpg.PostgresError) as failed:
            if not _lost(failed, raw):
                raise
            raise _connect.unavailable(failed, self._store.place) from failed
        finally:
            await self._close()
        if error is not None and _lost(error, raw):
            raise _connect.unavailable(error, self._store.place) from error

    def discard(self) -> None:
        self._discarded = True

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection, in the transaction."""
        assert self._open is not None, "a repository is used inside its unit of work, never while preparing"
        return self._open

    @property
    def raw(self) -> "asyncpg.Connection[Any]":
        """Asyncpg's connection, in the same transaction: for the paths where SQLAlchemy's price counts."""
        assert self._raw is not None, "a repository is used inside its unit of work, never while preparing"
        assert self._raw.is_in_transaction(), "BEGIN is on the wire before asyncpg is used directly"
        return self._raw

    @property
    def accounts(self) -> PostgresAccounts:
        return PostgresAccounts(self)

    @property
    def documents(self) -> PostgresDocuments:
        return PostgresDocuments(self)

    @property
    def tokens(self) -> PostgresTokens:
        return PostgresTokens(self)

    async def _close(self) -> None:
        """Rolls back what was not committed and gives the connection back, even if the task is being cancelled."""
        opened, raw, self._open, self._raw = self._open, self._raw, None, None
        if opened is not None:
            await asyncio.shield(
                asyncio.ensure_future(_release(opened, closed=raw is not None and raw.is_closed()))
            )


def _lost(error: BaseException, raw: "asyncpg.Connection[Any] | None") -> bool:
    """Whether the server went away; asyncpg then raises whatever the statement at hand happens to meet."""
    if raw is not None and raw.is_closed():
        return isinstance(error, Exception)
    return isinstance(error, DBAPIError | asyncpg.PostgresError) and _connect.unreachable(error)


async def _release(connection: AsyncConnection, *, closed: bool) -> None:
    if closed:  # there is nobody left to send a rollback to
        await connection.invalidate()
    await connection.close()


async def _revision(connection: AsyncConnection, schema: str) -> str | None:
    """Which migration the schema is at; None where there is none at all."""
    table = f'"{schema}".alembic_version'
    if (await connection.execute(text("SELECT to_regclass(:table)"), {"table": table})).scalar() is None:
        return None
    return cast("str | None", (await connection.execute(text(f"SELECT version_num FROM {table}"))).scalar())  # noqa: S608


def _not_migrated(found: str | None) -> UnavailableError:
    if found is not None and found > REVISION:
        return UnavailableError(
            UnavailableCode.STORE_NOT_MIGRATED,
            f"the database is at migration {found}, newer than this dashtam-postgres knows ({REVISION}): "
            "upgrade the package",
        )
    state = "has no Dashtam tables" if found is None else f"is at migration {found}, and {REVISION} is needed"
    return UnavailableError(
        UnavailableCode.STORE_NOT_MIGRATED,
        f"the database {state}: set DASHTAM_STORE_ADMIN_URL to its owner and run `dashtam db upgrade`",
    )
