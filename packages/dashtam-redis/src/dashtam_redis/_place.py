"""Where a server is, as a URL says, and the client for it."""

import re
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import attrs
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dashtam_core.kernel import ErrorCode, UnavailableError

_DEFAULT_PREFIX: Final = "dashtam"
_PREFIX: Final = re.compile(r"[!-~]+")
_DATABASE: Final = re.compile(r"/?[0-9]*")
_TLS_FILES: Final = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
_OPTIONS: Final = {"redis": set[str](), "rediss": _TLS_FILES}
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss"}
_HOW: Final = (
    "write redis://user:password@host:6379/0, with %40 for @ in a password and so on; rediss: is with TLS and may "
    "say ?ssl_ca_certs=, ssl_certfile= and ssl_keyfile=; ?prefix= names our keys"
)


@attrs.frozen
class Place:
    """A server, and what our keys there begin with, so that several deployments can share it."""

    url: str = attrs.field(repr=False)
    name: str
    """For logs: without user and password."""
    prefix: str

    @classmethod
    def parse(cls, url: str, variable: str, code: ErrorCode, /) -> "Place":
        """What `redis://user:password@host:6379/0?prefix=dashtam` says. With `rediss:` certificates are verified.

        Raises:
            UnavailableError: it is no such URL, or has options beside the prefix and, with TLS, files.
        """
        try:
            return _place(urlsplit(url))
        except ValueError:
            raise UnavailableError(code, f"{variable} cannot be understood: {_HOW}") from None

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


def _place(parts: SplitResult) -> Place:
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix = options.pop("prefix", _DEFAULT_PREFIX)
    # What the client would take for something else, or in silence. Its options could turn off what we rely on.
    understood = _DATABASE.fullmatch(parts.path) and _PREFIX.fullmatch(prefix) and not parts.fragment
    if scheme not in _OPTIONS or not understood or not options.keys() <= _OPTIONS[scheme]:
        raise ValueError
    plain = parts._replace(scheme=scheme, query=urlencode(options))
    return Place(plain.geturl(), f"{parts.hostname or 'localhost'}:{parts.port or 6379}", prefix)
