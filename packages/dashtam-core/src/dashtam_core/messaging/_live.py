"""What happens to a person, told as it happens to whoever listens for them.

Each process follows the stream once for all its listeners, and remembers the last events: whoever comes back with
the position where they left misses nothing as long as that is remembered. Without a stream a process knows only
what happened in it.
"""

import asyncio
import logging
from asyncio import Queue, QueueFull, QueueShutDown, Task
from collections import deque
from collections.abc import Collection, Generator, Iterable, Reversible, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Final

import attrs

from dashtam_core.kernel import UnavailableError, UserId
from dashtam_core.messaging._events import Category, DomainEvent, Subscription
from dashtam_core.messaging._outbox import StoredEvent
from dashtam_core.messaging._stream import Entry, EventStream, WireEvent

REMEMBERED: Final = 10_000
"""How many events a process remembers for those who come back."""
_WAITING: Final = 256
"""How many events may wait for one listener. Who is slower than that has to come back."""
_BATCH: Final = 500
_SECONDS: Final = 5.0
_FIRST_SECONDS: Final = 1.0
"""How long a listener waits for a stream that this process has not heard of yet."""

_log: Final = logging.getLogger(__name__)


@attrs.frozen(eq=False)
class Listener:
    """One who listens for a person."""

    categories: Collection[Category]
    complete: bool
    """Whether it hears all that came after the position it left at. If not, what it knows may be outdated."""
    waiting: Queue[Entry] = attrs.field(factory=lambda: Queue(_WAITING), repr=False)

    async def next(self, seconds: float, /) -> Entry | None:
        """What happened next; None if nothing did for so long.

        Raises:
            QueueShutDown: it is over: this process ends, or the listener fell too far behind. Come back.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.waiting.get()
        return None


class Live:
    """The listeners of this process."""

    def __init__(self, stream: EventStream | None = None) -> None:
        self.stream = stream
        self._remembered: deque[Entry] = deque(maxlen=REMEMBERED)
        self._listeners: dict[UserId, list[Listener]] = {}
        self._following: Task[None] | None = None
        self._begun = asyncio.Event()
        self._over = False

    @property
    def position(self) -> str:
        """Where whoever hears everything up to now stands; "" if nothing has happened."""
        return self._remembered[-1].position if self._remembered else ""

    def listeners_of(self, user_id: UserId, /) -> int:
        """How many listen for a person in this process."""
        return len(self._listeners.get(user_id, ()))

    async def begin(self) -> None:
        """Follows the stream from now on. Waits a moment, so that those who come back find what they missed."""
        if self.stream is None or self._over:
            return
        if self._following is None or self._following.done():
            self._begun.clear()
            self._following = asyncio.create_task(self._follow(self.stream), context=Context())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), _FIRST_SECONDS)

    @contextmanager
    def listen(
        self, user_id: UserId, categories: Collection[Category], after: str | None = None
    ) -> Generator[Listener]:
        """Listens for a person while the block lasts: to what came after a position, and to what comes."""
        missed = () if after is None else _after(self._remembered, after)
        listener = Listener(categories, missed is not None)
        for entry in missed or ():
            if entry.event.user_id == user_id:
                _put(listener, entry)
        if self._over:
            listener.waiting.shutdown()
        self._listeners.setdefault(user_id, []).append(listener)
        try:
            yield listener
        finally:
            self._listeners[user_id].remove(listener)
            if not self._listeners[user_id]:
                del self._listeners[user_id]

    def subscriptions(self, events: Iterable[type[DomainEvent]]) -> Sequence[Subscription]:
        """What it hears of from the bus in this process, if there is no stream."""
        told = [event for event in events if event.category and self.stream is None]
        return [event.heard_by(self._hear, isolated=False) for event in told]

    async def _hear(self, event: DomainEvent) -> None:
        user_id = UserId(getattr(event, "user_id"))  # noqa: B009 - each event with a category has one
        wire = WireEvent.of(StoredEvent.of(event, user_id), type(event))
        self._tell(Entry(str(event.event_id), wire))

    def close(self) -> None:
        """Nobody listens any more; who does is told to come back."""
        self._over = True
        self._send_back()

    async def aclose(self) -> None:
        self.close()
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def _follow(self, stream: EventStream) -> None:
        reachable = True
        try:
            while True:
                try:
                    await self._catch_up(stream)
                    while True:
                        for entry in await stream.after(self.position, limit=_BATCH, seconds=_SECONDS):
                            self._tell(entry)
                        reachable = True
                except UnavailableError as error:
                    if reachable:
                        _log.warning("live events wait for the stream", extra={"code": error.code})
                    reachable = False
                    await asyncio.sleep(_FIRST_SECONDS)
        finally:
            self._send_back()

    async def _catch_up(self, stream: EventStream) -> None:
        """Begins where it left. If the stream does not know that any more, everybody has to come back."""
        latest = await stream.latest(REMEMBERED)
        if _after(latest, self.position) is None:
            self._remembered = deque(latest, REMEMBERED)
            self._send_back()
        self._begun.set()

    def _send_back(self) -> None:
        for some in self._listeners.values():
            for listener in some:
                listener.waiting.shutdown()

    def _tell(self, entry: Entry) -> None:
        self._remembered.append(entry)
        for listener in self._listeners.get(entry.event.user_id, ()):
            _put(listener, entry)


def _after(entries: Reversible[Entry], position: str) -> Sequence[Entry] | None:
    """What came after a position; None if that is not among these."""
    found: list[Entry] = []
    for entry in reversed(entries):
        if entry.position == position:
            return found[::-1]
        found.append(entry)
    return None


def _put(listener: Listener, entry: Entry) -> None:
    if entry.event.category in listener.categories:
        try:
            listener.waiting.put_nowait(entry)
        except QueueFull:
            listener.waiting.shutdown()  # what waits is still to be had
        except QueueShutDown:
            return
