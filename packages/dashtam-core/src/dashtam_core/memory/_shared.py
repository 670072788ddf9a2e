"""What several processes share, for one alone: a cache, locks and a stream of events, in memory."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
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


class MemoryCache:
    """Keeps the 10,000 keys that were set last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    async def get(self, key: str, /) -> bytes | None:
        value, until = self._kept.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        return [await self.get(key) for key in keys]

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        self._kept.pop(key, None)
        self._kept[key] = value, time.monotonic() + seconds
        if len(self._kept) > _MOST_KEYS:
            self._kept.popitem(last=False)

    async def delete(self, *keys: str) -> None:
        for key in keys:
            self._kept.pop(key, None)


@attrs.define
class _Held:
    token: int = 0
    until: float = 0.0


class MemoryLocks:
    """Locks among the tasks of one process."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._given_back = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, name: str, /, *, seconds: float, wait: float = 0.0) -> AsyncGenerator[Lease | None]:
        held, until = self._held.setdefault(name, _Held()), time.monotonic() + wait
        async with self._given_back:
            while (now := time.monotonic()) < held.until and now < until:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(held.until, until) - now):
                        await self._given_back.wait()
            lease = None if time.monotonic() < held.until else Lease(name, held.token + 1)
            if lease is not None:
                held.token, held.until = lease.token, time.monotonic() + seconds
        try:
            yield lease
        finally:
            if lease is not None and held.token == lease.token:
                held.until = 0.0
                async with self._given_back:
                    self._given_back.notify_all()


@attrs.define
class _Group:
    reached: int = 0
    taken: dict[int, float] = attrs.field(factory=dict[int, float])
    """What was taken and is not done, and when."""


class MemoryEventStream:
    """A stream for one process. A group that is as far behind as the stream is long holds up who appends."""

    def __init__(self, *, length: int = _STREAM_LENGTH, silent_seconds: float = _SILENT_SECONDS) -> None:
        self._entries: deque[WireEvent] = deque(maxlen=length)
        self._length, self._silent_seconds = length, silent_seconds
        self._last = 0
        """The number of the last entry."""
        self._groups: dict[str, _Group] = {}
        self._appended = asyncio.Condition()

    async def append(self, event: WireEvent, /) -> None:
        for name, group in self._groups.items():
            if self._last - min([group.reached, *(each - 1 for each in group.taken)]) >= self._length:
                full = f"{name} is {self._length:,} events behind: see why it does not get on"
                raise UnavailableError(UnavailableCode.BUS_FULL, full)
        self._entries.append(event)
        self._last += 1
        async with self._appended:
            self._appended.notify_all()

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        mine = self._groups.setdefault(group, _Group())
        if not (taken := self._next_for(mine, limit)):
            await self._wait(mine.reached, seconds)
            taken = self._next_for(mine, limit)
        mine.taken |= dict.fromkeys(taken, time.monotonic())
        mine.reached = max([mine.reached, *taken])
        return [self._entry(each) for each in taken]

    async def done(self, group: str, positions: Sequence[str], /) -> None:
        for position in positions:
            self._groups[group].taken.pop(int(position), None)

    async def after(self, position: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        reached = int(position or 0)
        await self._wait(reached, seconds)
        return [self._entry(each) for each in self._numbers(reached)[:limit]]

    async def latest(self, limit: int, /) -> Sequence[Entry]:
        return [self._entry(each) for each in self._numbers(self._last - limit)]

    def _next_for(self, group: _Group, limit: int) -> Sequence[int]:
        silent_since = time.monotonic() - self._silent_seconds
        lost = [each for each, at in group.taken.items() if at <= silent_since]
        return [*lost, *self._numbers(group.reached)][:limit]

    def _numbers(self, reached: int) -> range:
        return range(max(reached, self._last - len(self._entries)) + 1, self._last + 1)

    def _entry(self, number: int) -> Entry:
        return Entry(str(number), self._entries[number - self._last - 1])

    async def _wait(self, reached: int, seconds: float) -> None:
        """Until there is an entry beyond, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._appended:
                await self._appended.wait_for(lambda: self._last > reached)


@attrs.frozen
class MemoryShared:
    """What processes share, where there is one process."""

    cache: MemoryCache = attrs.field(factory=MemoryCache)
    limits: MemoryRateLimiter = attrs.field(factory=MemoryRateLimiter)
    locks: MemoryLocks = attrs.field(factory=MemoryLocks)


@asynccontextmanager
async def open_memory_shared(_: Settings) -> AsyncGenerator[Shared]:
    yield MemoryShared()


@asynccontextmanager
async def open_memory_stream(_: Settings) -> AsyncGenerator[EventStream]:
    yield MemoryEventStream()
