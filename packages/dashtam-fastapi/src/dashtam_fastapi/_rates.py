"""How often a caller may ask: so many requests a minute, and in the headers of each answer what is left."""

import hashlib
import hmac
from math import ceil
from typing import Any, Final

from fastapi import Request
from starlette.types import Message, Scope, Send

from dashtam_core import Dashtam, UnavailableError
from dashtam_core.identity import Allowance, Claims, Keyring, Rate, network
from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, UserId
from dashtam_core.memory import MemoryRateLimiter
from dashtam_fastapi._problems import ProblemError

_MINUTE: Final = 60
_REMEMBERED: Final = 10_000
# So many networks' worth has a site of IPv6 (48 bits), which holds 65,536 of them.
_NETWORKS: Final = 4


class RateCode(ErrorCode):
    TOO_MANY_REQUESTS = "too_many_requests", ErrorKind.TOO_MANY
    LISTENERS_TOO_MANY = "listeners_too_many", ErrorKind.TOO_MANY


class RateLimit:
    """Counts requests: a person's wherever they come from, and under its address what nobody has proven.

    An address has a tenth: plenty to log in, and all that who has no account can make the store do. 0: no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        # Counts for this process while what all of them share is away.
        self._alone = MemoryRateLimiter()
        # Whose the last tokens are, by their digests; None: they were refused.
        self._holders = dict[bytes, UserId | None]()

    async def count(self, request: Request, dashtam: Dashtam, user_id: UserId | None) -> None:
        """Counts a request under a person, or under its address. One too many ends with 429."""
        if not self._per_minute:
            return
        most = self._per_minute if user_id else max(1, self._per_minute // 10)
        rate = Rate(most, _MINUTE / most)
        wanted = {f"requests:{user_id}": rate} if user_id else _of_address(request, dashtam, rate)
        try:
            allowance = await dashtam.shared.limits.take(wanted)
        except UnavailableError:
            allowance = await self._alone.take(wanted)
        request.state.dashtam_left = _headers("default" if user_id else "anonymous", rate, allowance)
        if allowance.wait:
            why = f"{most} requests a minute are taken: wait as many seconds as Retry-After says"
            raise ProblemError.of(DomainError(RateCode.TOO_MANY_REQUESTS, why, retry_after=allowance.wait))

    def holder(self, dashtam: Dashtam, token: str) -> UserId | None:
        """Whose token this is as far as can be told without the store: by its signature or from the last time."""
        if (digest := _digest(token)) in self._holders:
            return self._holders[digest]
        named = dashtam.container.get(Claims).by_bearer(token)
        return named.user_id if named.session_id else None  # what has a session is signed

    def learn(self, token: str, user_id: UserId | None) -> None:
        """Remembers whose a token turned out to be, and last of all those that were used last."""
        digest = _digest(token)
        self._holders.pop(digest, None)
        self._holders[digest] = user_id
        if len(self._holders) > _REMEMBERED:
            del self._holders[next(iter(self._holders))]


def telling(scope: Scope, send: Send) -> Send:
    """`send` that adds what the caller has left to the headers of an answer, unless that was done within."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            state: dict[str, Any] = scope.get("state", {})
            message["headers"] = [*message.get("headers", ()), *state.pop("dashtam_left", ())]
        await send(message)

    return told


def _headers(policy: str, rate: Rate, allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """What is left, by draft-ietf-httpapi-ratelimit-headers."""
    full_in = allowance.full_in or allowance.wait + _MINUTE - rate.seconds
    left = f'"{policy}";r={allowance.left};t={ceil(full_in)}'
    return [
        (b"ratelimit-policy", f'"{policy}";q={rate.burst};w={_MINUTE}'.encode()),
        (b"ratelimit", left.encode()),
    ]


def _of_address(request: Request, dashtam: Dashtam, rate: Rate) -> dict[str, Rate]:
    """What nobody has proven counts for its network, and for its site, which has many; keys name neither."""
    host, key = (
        request.client.host if request.client else None,
        dashtam.container.get(Keyring).derive("rate-limit"),
    )
    near, site = (hmac.digest(key, network(host, bits).encode(), "sha256").hex()[:32] for bits in (64, 48))
    wide = Rate(rate.burst * _NETWORKS, rate.seconds / _NETWORKS)
    return {f"requests:{near}": rate, f"site:{site}": wide}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
