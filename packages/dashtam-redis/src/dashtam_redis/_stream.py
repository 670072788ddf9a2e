"""Events of all processes in one stream, with a consumer group for each subscriber."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import UUID, uuid4

from redis.exceptions import ResponseError

from dashtam_core.kernel import ANONYMOUS, UnavailableCode, UnavailableError
from dashtam_core.messaging import Entry, WireEvent
from dashtam_redis._link import LOST
from dashtam_redis._place import Place

LENGTH: Final = 100_000
"""How many events are kept: 46 MB of the server's memory, at 400 bytes an event."""
SILENT_SECONDS: Final = 60.0
"""After so long another member takes over what one took and is silent about: twice what a delivery may take.

A group whose members are all silent for so long holds nobody up.
"""
_SECONDS: Final = 2.0
_CONNECTIONS: Final = 64
_FIELD: Final = b"event"

_NAMED: Final = """
local function named(said)
    local fields = {}
    for i = 1, #said, 2 do fields[said[i]] = said[i + 1] end
    return fields
end
"""
# Full is who would lose an entry: `lag` would not do, which is nil for long after somebody has deleted one.
_APPEND: Final = f"""{_NAMED}
local length = tonumber(ARGV[2])
if redis.call('XLEN', KEYS[1]) >= length then
    local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
    for _, said in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
        local group = named(said)
        local new = redis.call('XRANGE', KEYS[1], '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
        if new and new[1] == oldest or redis.call('XPENDING', KEYS[1], group.name, oldest, oldest, 1)[1] then
            for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group.name)) do
                if named(member).idle < tonumber(ARGV[3]) then return group.name end
            end
        end
    end
end
redis.call('XADD', KEYS[1], 'MAXLEN', length, '*', 'event', ARGV[1])
return false
"""
# In one step: who comes back meanwhile and takes something must not be forgotten with it.
_FORGET: Final = f"""{_NAMED}
for _, said in ipairs(redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local member = named(said)
    if member.pending == 0 and member.idle > tonumber(ARGV[2]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], member.name)
    end
end
"""


class _NoGroupError(UnavailableError):
    """The stream has no such group, or is not there."""


class _GroupThereError(UnavailableError):
    """Another member made the group at the same time."""


_KINDS: Final[Mapping[str, type[UnavailableError]]] = {"NOGROUP": _NoGroupError, "BUSYGROUP": _GroupThereError}


class RedisEventStream:
    """One member of every group it takes for."""

    def __init__(self, place: Place, *, length: int = LENGTH, silent_seconds: float = SILENT_SECONDS) -> None:
        self._place, self._length, self._silent_seconds = place, length, silent_seconds
        self._client = place.client(connections=_CONNECTIONS, seconds=_SECONDS)
        self._key = f"{place.prefix}:events"
        self._me = uuid4().hex
        self._looked: dict[str, float] = {}
        """When each group was last looked through for what its members are silent about."""
        self._append = self._client.register_script(_APPEND)
        self._forget = self._client.register_script(_FORGET)

    async def append(self, event: WireEvent, /) -> None:
        arguments = [event.json, self._length, self._silent]
        behind = await self._asked(self._append(keys=[self._key], args=arguments))
        if behind is not None:
            told = f"{behind.decode()} is {self._length:,} events behind: see why it does not get on"
            raise UnavailableError(UnavailableCode.BUS_FULL, told)

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        entries = await self._left_behind(group, limit)
        if not entries:

            async def read() -> Any:
                wait = _waiting(limit, seconds)
                return await self._client.xreadgroup(group, self._me, {self._key: ">"}, **wait)

            entries = _of_one(await self._in_group(group, read, seconds))
        return _entries(entries)

    async def done(self, group: str, positions: Sequence[str], /) -> None:
        if positions:
            await self._asked(self._client.xack(self._key, group, *positions))

    async def after(self, position: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        read = self._client.xread({self._key: position or "0-0"}, **_waiting(limit, seconds))
        found = _of_one(await self._asked(read, seconds))
        if not found and position and not await self._range(position, 1):
            # It began anew, and on a server whose time is behind numbers entries with what was before.
            found = await self._range("-", limit)
        return _entries(found)

    async def latest(self, limit: int, /) -> Sequence[Entry]:
        found = await self._asked(self._client.xrevrange(self._key, count=limit)) if limit > 0 else ()
        return _entries(found)[::-1]

    async def aclose(self) -> None:
        with suppress(*LOST):  # it is no matter how they end
            await self._client.aclose()

    @property
    def _silent(self) -> int:
        return round(self._silent_seconds * 1000)

    async def _range(self, first: str, limit: int) -> Sequence[Any]:
        found: Sequence[Any] = await self._asked(self._client.xrange(self._key, min=first, count=limit))
        return found

    async def _left_behind(self, group: str, limit: int) -> Sequence[Any]:
        """What a member took and is silent about, looked for four times as often as one may be silent."""
        now = time.monotonic()
        if now < self._looked.get(group, 0.0) + self._silent_seconds / 4:
            return ()
        start = b"0-0"

        async def claim() -> Any:
            return await self._client.xautoclaim(self._key, group, self._me, self._silent, start, count=limit)

        while True:
            entries: Sequence[Any]
            start, entries, *_ = await self._in_group(group, claim)
            if entries:
                return entries  # and there may be more
            if start == b"0-0":
                break
        self._looked[group] = now
        await self._asked(self._forget(keys=[self._key], args=[group, self._silent]))
        return ()

    async def _in_group(self, group: str, ask: Callable[[], Awaitable[Any]], seconds: float = 0.0) -> Any:
        """The answer; a group that is not there, or not any more, is made and has all that is kept before it."""
        try:
            return await self._asked(ask(), seconds)
        except _NoGroupError:
            make = self._client.xgroup_create(self._key, group, id="0", mkstream=True)
            with suppress(_GroupThereError):
                await self._asked(make)
            return await self._asked(ask(), seconds)

    async def _asked(self, answer: Awaitable[Any], seconds: float = 0.0) -> Any:
        """The answer, within so many seconds more than any takes."""
        try:
            async with asyncio.timeout(seconds + _SECONDS):
                return await answer
        except (ResponseError, *LOST) as error:
            why = str(error) or type(error).__name__
            told = f"the stream at {self._place.name} does not work now ({why}): see to it; events wait meanwhile"
            kind = _KINDS.get(why.partition(" ")[0], UnavailableError)
            raise kind(UnavailableCode.BUS_UNREACHABLE, told) from None


def _waiting(limit: int, seconds: float) -> dict[str, int]:
    return {"count": limit, "block": max(1, round(seconds * 1000))}


def _of_one(answer: Any) -> Sequence[Any]:
    """The entries of the one stream that was asked for."""
    return answer[0][1] if answer else ()


def _entries(found: Sequence[Any]) -> Sequence[Entry]:
    return [
        Entry(position.decode(), _event(fields.get(_FIELD, b"").decode(errors="replace")))
        for position, fields in found
    ]


def _event(text: str) -> WireEvent:
    """An event. Whatever else lies in the stream has no name and is nobody's, and keeps its place."""
    try:
        return WireEvent.read(text)
    except ValueError:
        return WireEvent(UUID(int=0), ANONYMOUS.user_id, "", None, text)


@asynccontextmanager
async def open_stream(
    url: str, *, length: int = LENGTH, silent_seconds: float = SILENT_SECONDS
) -> AsyncGenerator[RedisEventStream]:
    """The stream on the server at `url`, whether it is there or not. It keeps the last `length` events.

    What a member of a group took and did not finish goes to another after `silent_seconds`.

    Raises:
        UnavailableError: the URL cannot be understood.
    """
    place = Place.parse(url, "DASHTAM_BUS_URL", UnavailableCode.BUS_NOT_CONFIGURED)
    stream = RedisEventStream(place, length=length, silent_seconds=silent_seconds)
    try:
        yield stream
    finally:
        await stream.aclose()
