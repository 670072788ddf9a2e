"""What several processes share, for one alone: a cache, locks and a stream of events, in memory.

Time is that of the event loop, so that it is virtual in a simulation.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final

import attrs

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.memory._identity import MemoryRateLimiter
from dashtam_core.messaging import Entry, EventStream, Lease, WireEvent
from dashtam_core.settings import Settings
from dashtam_core.store import Shared

_MOST_KEYS: Final = 10_000
_STREAM_LENGTH: Final = 10_000
_SILENT_SECONDS: Final = 60.0
_NOBODY: Final = (0, 0.0)


class MemoryCache:
    """Keeps the 10,000 keys that were set last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    async def get(self, key: str, /) -> bytes | None:
        value, until = self._kept.get(key, (None, 0.0))
        return value if _now() < until else None

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        return [await self.get(key) for key in keys]

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        self._kept.pop(key, None)
        self._kept[key] = value, _now() + seconds
        if len(self._kept) > _MOST_KEYS:
            self._kept.popitem(last=False)

    async def delete(self, *keys: str) -> None:
        for key in keys:
            self._kept.pop(key, None)


class _News:
    """Wakes all who wait for it."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        self._told.set()
        self._told = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()


class MemoryLocks:
    """Locks among the tasks of one process."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, float]] = {}
        """Whose token has each, and until when."""
        self._tokens = count(1)
        self._given_back = _News()

    @asynccontextmanager
    async def hold(self, name: str, /, *, seconds: float, wait: float = 0.0) -> AsyncGenerator[Lease | None]:
        lease = await self._take(name, seconds, _now() + wait)
        try:
            yield lease
        finally:
            if lease is not None and self._held.get(name, _NOBODY)[0] == lease.token:
                del self._held[name]
                self._given_back.tell()

    async def _take(self, name: str, seconds: float, until: float) -> Lease | None:
        while (ends := self._held.get(name, _NOBODY)[1]) > (now := _now()):
            if now >= until:
                return None
            await self._given_back.wait(min(ends, until) - now)
        lease = Lease(name, next(self._tokens))
        self._held[name] = lease.token, _now() + seconds
        return lease


@attrs.define
class _Group:
    asked_at: float = 0.0
    """When a member of it last was there."""
    reached: int = 0
    taken: dict[int, float] = attrs.field(factory=dict[int, float])
    """What was taken and is not done, and when."""

    @property
    def finished(self) -> int:
        """The last entry up to which it has done everything."""
        return min([self.reached, *(each - 1 for each in self.taken)])


class MemoryEventStream:
    """A stream for one process. A group that is as far behind as the stream is long holds up who appends.

    It does so until nobody has taken for it for `silent_seconds`: then it loses what is pushed out.
    """

    def __init__(self, *, length: int = _STREAM_LENGTH, silent_seconds: float = _SILENT_SECONDS) -> None:
        self._entries: deque[WireEvent] = deque(maxlen=length)
        self._length, self._silent_seconds = length, silent_seconds
        self._last = 0
        """The number of the last entry."""
        self._groups: dict[str, _Group] = {}
        self._appended = _News()

    async def append(self, event: WireEvent, /) -> None:
        silent_since = _now() - self._silent_seconds
        for name, group in self._groups.items():
            if group.asked_at > silent_since and self._last - group.finished >= self._length:
                full = f"{name} is {self._length:,} events behind: see why it does not get on"
                raise UnavailableError(UnavailableCode.BUS_FULL, full)
        self._entries.append(event)
        self._last += 1
        self._appended.tell()

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        mine, until = self._groups.setdefault(group, _Group()), _now() + seconds
        while not (taken := self._next_for(mine, limit)) and mine.asked_at < until:
            await self._appended.wait(until - mine.asked_at)
        mine.taken |= dict.fromkeys(taken, mine.asked_at)
        mine.reached = max([mine.reached, *taken])
        return [self._entry(each) for each in taken]

    async def done(self, group: str, positions: Sequence[str], /) -> None:
        mine = self._groups.setdefault(group, _Group())
        mine.asked_at = _now()
        for position in positions:
            mine.taken.pop(int(position), None)

    async def after(self, position: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        reached, until = int(position or 0), _now() + seconds
        while self._last <= reached and (now := _now()) < until:
            await self._appended.wait(until - now)
        return [self._entry(each) for each in self._numbers(reached)[:limit]]

    async def latest(self, limit: int, /) -> Sequence[Entry]:
        return [self._entry(each) for each in self._numbers(self._last - limit)]

    def _next_for(self, group: _Group, limit: int) -> Sequence[int]:
        group.asked_at, kept = _now(), self._numbers(0)
        group.taken = {each: at for each, at in group.taken.items() if each in kept}
        silent_since = group.asked_at - self._silent_seconds
        lost = sorted(each for each, at in group.taken.items() if at <= silent_since)
        return [*lost, *self._numbers(group.reached)][:limit]

    def _numbers(self, reached: int) -> range:
        """Of the entries that are kept and come after one."""
        return range(max(reached, self._last - len(self._entries)) + 1, self._last + 1)

    def _entry(self, number: int) -> Entry:
        return Entry(str(number), self._entries[number - self._last - 1])


def _now() -> float:
    return asyncio.get_running_loop().time()


@attrs.frozen
class MemoryShared:
    """What processes share, where there is one process."""

    cache: MemoryCache = attrs.field(factory=MemoryCache)
    limits: MemoryRateLimiter = attrs.field(factory=MemoryRateLimiter)
    locks: MemoryLocks = attrs.field(factory=MemoryLocks)


@asynccontextmanager
async def open_memory_shared(_: Settings) -> AsyncGenerator[Shared]:
    """What processes share, for one process: gone with it."""
    yield MemoryShared()


@asynccontextmanager
async def open_memory_stream(_: Settings) -> AsyncGenerator[EventStream]:
    """A stream of events for one process: gone with it."""
    yield MemoryEventStream()
