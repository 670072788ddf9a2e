"""Where a server is, as a URL says, and the client for it."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dashtam_core.kernel import ErrorCode, UnavailableError

DEFAULT_PREFIX: Final = "dashtam"
_SCHEMES: Final[Mapping[str, str]] = {"valkey": "redis", "valkeys": "rediss"}


@attrs.frozen
class Place:
    """A server, and what our keys there begin with, so that several deployments can share it."""

    url: str = attrs.field(repr=False)
    name: str
    """For logs: without user and password."""
    prefix: str

    @classmethod
    def parse(cls, url: str, variable: str, code: ErrorCode, /) -> "Place":
        """What `redis://user:password@host:6379/0?prefix=dashtam` says; `rediss:` is with TLS.

        Raises:
            UnavailableError: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query))
            prefix = options.pop("prefix", DEFAULT_PREFIX)
            scheme = _SCHEMES.get(parts.scheme, parts.scheme)
            plain = parts._replace(scheme=scheme, query=urlencode(options)).geturl()
            place = cls(plain, f"{parts.hostname or 'localhost'}:{parts.port or 6379}", prefix)
            place.client(connections=1, seconds=1.0)
        except (TypeError, ValueError):
            how = "write redis://user:password@host:6379/0, or rediss: for TLS; ?prefix= names our keys"
            raise UnavailableError(code, f"{variable} cannot be understood: {how}") from None
        return place

    def client(self, *, connections: int, seconds: float) -> Any:
        """A client that waits `seconds` to connect, or for one of so many connections. Who asks limits the answer.

        It tries nothing twice: what was sent may have been done.
        """
        options: dict[str, Any] = {
            "max_connections": connections,
            "timeout": seconds,
            "socket_timeout": None,
            "socket_connect_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # with 3, redis-py 8.1 fails on a connection that the server closed while it was idle
            "client_name": self.prefix,
        }
        pool: Any = BlockingConnectionPool
        return Redis.from_pool(pool.from_url(self.url, **options))
