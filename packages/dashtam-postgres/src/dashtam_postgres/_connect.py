"""Connections: asyncpg reads the URL, so that everything libpq knows in one works here too."""

import os
import re
from collections.abc import Generator
from functools import partial
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

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

_HERE: Final = re.compile(r"|localhost|127(\.\d{1,3}){3}|::1|/.*")
_TLS_TODO: Final = "put ?sslmode=verify-full&sslrootcert=FILE in its URL, or ?sslmode=disable if the wire is yours"

# A transaction that its client forgot holds back every reader of the outbox and the vacuum.
_SESSION: Final = {"application_name": "dashtam", "timezone": "UTC", "idle_in_transaction_session_timeout": "60s"}


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
    """A connection of its own, to another machine over TLS with a checked certificate unless the URL says how."""
    try:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=_SESSION, ssl=_tls(url))
    except asyncpg.ClientConfigurationError as error:
        raise ConnectionError(str(error)) from error


def _tls(url: str) -> Literal["verify-full"] | None:
    """What is asked of TLS in place of asyncpg's own choice, which goes on in the clear when it is refused."""
    parts = urlsplit(url)
    said = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2] or said.get("host", [""])[-1] or os.environ.get("PGHOST", "")
    local = "service" not in said and all(map(_is_local, hosts.split(",")))
    return None if local or "sslmode" in said else "verify-full"


def _is_local(host: str) -> bool:
    """Whether a host, maybe with a port, is this machine's loopback or a folder with a socket."""
    name = unquote(urlsplit(f"//{host}").hostname or "")
    return _HERE.fullmatch(name) is not None


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
    reason = next(iter(str(error.__cause__ or error).splitlines()), type(error).__name__)[:200]
    about_tls = "ssl" in reason.lower() or "certificate" in reason
    todo = _TLS_TODO if about_tls else "check that PostgreSQL runs and that DASHTAM_STORE_URL is right"
    return UnavailableError(UnavailableCode.STORE_UNREACHABLE, f"{place} does not answer ({reason}): {todo}")


def place(url: str) -> str:
    """Where a URL points, for people: without its user and password."""
    parts = urlsplit(url)
    return f"PostgreSQL at {parts.hostname or 'the local socket'}:{parts.port or 5432}{parts.path}"


def literal(text: str) -> str:
    """Text as a literal of SQL, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"
