"""Connections: asyncpg reads the URL, so that everything libpq knows in one works here too."""

import re
from collections.abc import Generator
from functools import partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

import asyncpg
import attrs
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_core.kernel import UnavailableCode, UnavailableError

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
"""What a role or schema may be called: such names go into statements, quoted."""
CONNECT_SECONDS: Final = 5.0
POOL_SECONDS: Final = 5.0
POOL_SIZE: Final = 10

# A transaction that its client forgot holds back every reader of the outbox and the vacuum.
_SESSION: Final = {
    "application_name": "dashtam",
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "60s",
}


def engine(url: str, *, pool_size: int = POOL_SIZE, pool_seconds: float = POOL_SECONDS) -> AsyncEngine:
    """An engine whose pool waits a bounded time and never hands out a connection the server has closed."""
    made = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=partial(_Connecting, url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_seconds,
        pool_reset_on_return="rollback",
    )
    event.listen(made.sync_engine, "checkout", _refuse_closed)
    return made


@attrs.frozen
class _Connecting:
    """What connects when it is awaited: SQLAlchemy may ask for it, and then find that it cannot wait."""

    url: str

    def __await__(self) -> Generator[Any, Any, Any]:
        return connect(self.url).__await__()


async def connect(url: str) -> "asyncpg.Connection[Any]":
    """A connection of its own."""
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=_SESSION)


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Asyncpg notices when the server hangs up: ask it, instead of sending a query before each use."""
    if cast("asyncpg.Connection[Any]", connection.driver_connection).is_closed():
        raise DisconnectionError


def unreachable(error: BaseException) -> bool:
    """Whether an error says that the server is not there, rather than that a statement was wrong."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and unreachable(error.orig))
    causes = (
        OSError,  # TimeoutError is one
        PoolTimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.InternalClientError,  # the server's farewell crossed a statement on the wire
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.TooManyConnectionsError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
    )
    return isinstance(error, causes) or (error.__cause__ is not None and unreachable(error.__cause__))


def unavailable(error: BaseException, place: str) -> UnavailableError:
    """What to tell about a store that does not answer: where it should be and why not, never a password."""
    if isinstance(error, PoolTimeoutError):
        return UnavailableError(
            UnavailableCode.STORE_BUSY, f"every connection to {place} is taken: try again in a few seconds"
        )
    reason = str(error.__cause__ or error).splitlines()[0][:200] or type(error).__name__
    return UnavailableError(
        UnavailableCode.STORE_UNREACHABLE,
        f"{place} does not answer ({reason}): check that PostgreSQL runs and that DASHTAM_STORE_URL is right",
    )


def place(url: str) -> str:
    """Where a URL points, for people: without its user and password."""
    parts = urlsplit(url)
    return f"PostgreSQL at {parts.hostname or 'the local socket'}:{parts.port or 5432}{parts.path}"


def literal(text: str) -> str:
    """Text as a literal of SQL, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"
