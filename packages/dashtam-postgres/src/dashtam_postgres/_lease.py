"""A connection borrowed from the engine's pool: asyncpg's, with SQLAlchemy's around it for who wants that."""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
from sqlalchemy import AsyncAdaptedQueuePool, Connection, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import greenlet_spawn

from dashtam_postgres import _connect

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore

_ROLLBACK_SECONDS: Final = 5.0


class Lease:
    """One connection, for as long as the block lasts. Where that ends in an error, what is open on it is undone.

    SQLAlchemy keeps no account of what runs on it: to begin and end a transaction through it costs more CPU than
    all the rest of a short one.
    """

    def __init__(self, store: "PostgresStore") -> None:
        self._store = store
        self._pooled: PoolProxiedConnection | None = None
        self._raw: asyncpg.Connection[Any] | None = None
        self._around: AsyncConnection | None = None

    async def __aenter__(self) -> "asyncpg.Connection[Any]":
        try:
            self._pooled = await _taken(self._store)
        except Exception as error:
            if _connect.unreachable(error):
                raise _connect.unavailable(error, self._store.place) from error
            raise
        self._raw = cast("asyncpg.Connection[Any]", self._pooled.driver_connection)
        return self._raw

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pooled, raw = self._pooled, self._raw
        assert pooled is not None, "entered"
        assert raw is not None, "entered"
        if self._around is not None and pooled.is_valid:
            cast("Any", pooled.dbapi_connection).autocommit = False
        if error is None:
            if self._store.plain_pool:
                pooled.close()
            else:
                await greenlet_spawn(pooled.close)
            return
        # Also when the task is being cancelled.
        await asyncio.shield(asyncio.ensure_future(_abandon(pooled, raw)))
        if _lost(error, raw):
            raise _connect.unavailable(error, self._store.place) from error

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection around the same one: it neither begins nor commits."""
        if self._around is None:
            assert self._pooled is not None, "entered"
            cast("Any", self._pooled.dbapi_connection).autocommit = True
            engine = self._store.engine
            self._around = AsyncConnection(engine, Connection(engine.sync_engine, self._pooled))
        return self._around


async def _taken(store: "PostgresStore") -> PoolProxiedConnection:
    """A connection out of the pool. A greenlet of SQLAlchemy's costs 25 µs of CPU: only who must wait gets one."""
    if store.plain_pool and cast("AsyncAdaptedQueuePool", store.engine.pool).checkedin():
        try:
            return store.engine.sync_engine.raw_connection()
        except MissingGreenlet:  # the idle one was closed by the server
            pass
    return await store.engine.raw_connection()


async def _abandon(pooled: PoolProxiedConnection, raw: "asyncpg.Connection[Any]") -> None:
    try:
        if not raw.is_closed():
            await raw.execute("ROLLBACK", timeout=_ROLLBACK_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raw.terminate()
    if not raw.is_closed():
        await greenlet_spawn(pooled.close)
    elif pooled.is_valid:
        await greenlet_spawn(pooled.invalidate)


def _lost(error: BaseException, raw: "asyncpg.Connection[Any]") -> bool:
    """Whether the server went away; asyncpg then raises whatever the statement at hand happens to meet."""
    if raw.is_closed():
        return isinstance(error, Exception)
    return isinstance(error, DBAPIError | asyncpg.PostgresError) and _connect.unreachable(error)
