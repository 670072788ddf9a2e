"""Cache, limits and locks of all processes, on one server."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import uuid4

import attrs
from redis.exceptions import NoScriptError

from dashtam_core.identity import Allowance, Rate
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.messaging import Lease
from dashtam_redis._link import SECONDS, Link, Word
from dashtam_redis._place import Place

_ASK_AGAIN_SECONDS: Final = 0.05
_LONGEST: Final = 200
_HASHED: Final = "sha256-"


class Script:
    """A script that the server runs as one step, sent whole only where it is not known yet."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, link: Link, keys: Sequence[bytes], *arguments: Word) -> Any:
        try:
            return await link.call("EVALSHA", self._sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await link.call("EVAL", self._source, len(keys), *keys, *arguments)


@attrs.frozen
class RedisCache:
    link: Link

    async def get(self, key: str, /) -> bytes | None:
        found: bytes | None = await self.link.call("GET", self._key(key))
        return found

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        return await self.link.call("MGET", *map(self._key, keys)) if keys else []

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        await self.link.call("SET", self._key(key), value, "PX", max(1, round(seconds * 1000)))

    async def delete(self, *keys: str) -> None:
        if keys:
            await self.link.call("DEL", *map(self._key, keys))

    def _key(self, key: str) -> bytes:
        return named(self.link, "cache", key)


# Times are the server's, in microseconds. A key is when its rate has all its room again, which is never later than
# after a whole burst: where the server's clock was set back, or a rate is another now.
_TAKE: Final = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait, after = 0, {}
local function keep(key, full)
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
for i, key in ipairs(KEYS) do
    local burst, each = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local kept = tonumber(redis.call('GET', key) or now) or now
    local full = math.max(now, math.min(kept, now + each * burst))
    if kept > full then keep(key, full) end
    wait = math.max(wait, full - now - each * (burst - 1))
    after[i] = full + each
end
if wait > 0 then return {math.ceil(wait)} end
local left = {0}
for i, key in ipairs(KEYS) do
    keep(key, after[i])
    left[i + 1] = math.ceil(after[i] - now)
end
return left
""")


@attrs.frozen
class RedisRateLimiter:
    """By the clock of the server, which all processes share."""

    link: Link

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        if not wanted:
            return Allowance(0.0)
        keys = [named(self.link, "limit", key) for key in wanted]
        rates = [word for rate in wanted.values() for word in (rate.burst, round(rate.seconds * 1e6))]
        wait, *full_in = await _TAKE.run(self.link, keys, *rates)
        if wait:
            return Allowance(wait / 1e6)
        return Allowance.counted(wanted, {key: each / 1e6 for key, each in zip(wanted, full_in, strict=True)})


# A token is greater than the last, and where the server has lost that, it is the time, which is greater as well. A
# server that loses it and has its clock set back gives smaller ones, until the time has caught up.
_HOLD: Final = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], string.format('%.0f', token), 'PX', 86400000)
return token
""")
_GIVE_BACK: Final = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")


@attrs.frozen
class RedisLocks:
    """By the word of one server: what must never happen twice has to check the fencing token as well.

    A lock that could not be given back, as the server was out of reach, ends by itself.
    """

    link: Link

    @asynccontextmanager
    async def hold(self, name: str, /, *, seconds: float, wait: float = 0.0) -> AsyncGenerator[Lease | None]:
        lock, owner, token = named(self.link, "lock", name), uuid4().hex, None
        try:
            token = await self._taken(lock, name, owner, seconds, wait)
            yield Lease(name, token) if token else None
        finally:
            if token != 0:  # also where nobody knows whether it was had
                with suppress(UnavailableError):
                    await _done(_GIVE_BACK.run(self.link, [lock], owner))

    async def _taken(self, lock: bytes, name: str, owner: str, seconds: float, wait: float) -> int:
        """The token, or 0 if it was not to be had in time."""
        until = time.monotonic() + wait
        keys = [lock, named(self.link, "fence", name)]
        while True:
            token: int = await _done(_HOLD.run(self.link, keys, owner, max(1, round(seconds * 1000))))
            left = until - time.monotonic()
            if token or left <= 0:
                return token
            await asyncio.sleep(min(_ASK_AGAIN_SECONDS, left))


async def _done[T](asked: Coroutine[Any, Any, T]) -> T:
    """What the server says, and for who is cancelled no return before that: it will do nothing of it later."""
    asking = asyncio.create_task(asked)
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        await asyncio.wait([asking])
        raise


@attrs.frozen
class RedisShared:
    """Cache, limits and locks on one server, over one link."""

    cache: RedisCache
    limits: RedisRateLimiter
    locks: RedisLocks


def named(link: Link, kind: str, key: str) -> bytes:
    """A key of ours; what is long or odd in it is told by its hash, and so is what looks like one."""
    plain = len(key) <= _LONGEST and key.isascii() and key.isprintable() and not key.startswith(_HASHED)
    return f"{link.place.prefix}:{kind}:{key if plain else _hashed(key)}".encode()


def _hashed(key: str) -> str:
    return _HASHED + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@asynccontextmanager
async def open_shared(url: str, *, seconds: float = SECONDS) -> AsyncGenerator[RedisShared]:
    """Cache, limits and locks on the server at `url`, whether it is there or not.

    Raises:
        UnavailableError: the URL cannot be understood.
    """
    link = Link(Place.parse(url, "DASHTAM_CACHE_URL", UnavailableCode.CACHE_NOT_CONFIGURED), seconds=seconds)
    try:
        yield RedisShared(RedisCache(link), RedisRateLimiter(link), RedisLocks(link))
    finally:
        await link.aclose()
