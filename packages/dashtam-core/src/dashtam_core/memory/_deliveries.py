"""The outbox in memory, and the kept answers to idempotency keys."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import attrs

from dashtam_core.kernel import Subject
from dashtam_core.messaging import KEPT_FOR, DeadLetter, Handover, KeptAnswer, KeyState, OutboxLag, StoredEvent

if TYPE_CHECKING:
    from dashtam_core.memory._store import MemoryStore, MemoryUnit


@attrs.define
class Waiting:
    """One event that one subscriber is still to be told of."""

    event: StoredEvent
    subscriber: str
    due_at: datetime | None
    """None: given up."""
    attempts: int = 0
    problem: str = ""
    failed_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now


@attrs.define
class OutboxData:
    wanted: dict[str, frozenset[str]] = attrs.field(factory=dict[str, frozenset[str]])
    events: list[StoredEvent] = attrs.field(factory=list[StoredEvent])
    """Everything that was ever handed over, for whoever looks."""
    waiting: list[Waiting] = attrs.field(factory=list[Waiting])
    turns: set[str] = attrs.field(factory=set[str])
    announced: asyncio.Event = attrs.field(factory=asyncio.Event)

    def append(self, event: StoredEvent, now: datetime) -> None:
        self.events.append(event)
        self.waiting.extend(
            Waiting(event, name, now) for name, wanted in self.wanted.items() if event.name in wanted
        )


@attrs.frozen
class MemoryDeliveries:
    store: "MemoryStore"

    @property
    def _data(self) -> OutboxData:
        return self.store.outbox

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        wanted = self._data.wanted
        wanted |= {name: frozenset(events) for name, events in subscribers.items()}
        self._data.waiting = [each for each in self._data.waiting if each.event.name in wanted[each.subscriber]]

    @asynccontextmanager
    async def next_for(self, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        async with self._handover(self._due(subscriber), subscriber) as handover:
            yield handover

    @asynccontextmanager
    async def this_one(self, event_id: UUID, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        due = self._due(subscriber, event_id)
        async with self._handover(due, f"{subscriber}/{event_id}") as handover:
            yield handover

    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        now = self.store.clock.now()
        before = now - timedelta(seconds=seconds)
        return [
            each.event.event_id
            for each in self._data.waiting
            if each.subscriber == subscriber and each.is_due(now if each.failed_at else before)
        ][:limit]

    @asynccontextmanager
    async def _handover(self, waiting: Waiting | None, turn: str) -> AsyncGenerator[Handover | None]:
        if waiting is None or turn in self._data.turns:
            yield None
            return
        self._data.turns.add(turn)
        try:
            async with self.store.unit_of_work(Subject(waiting.event.user_id, frozenset())) as unit:
                if waiting not in self._data.waiting:
                    yield None  # its person was erased meanwhile
                    return
                yield Handover(waiting.event, unit, waiting.attempts + 1)
                if unit.discarded:
                    raise RuntimeError(
                        "a delivery that cannot be made ends in an exception: raise, do not discard"
                    )
                self._data.waiting.remove(waiting)
        finally:
            self._data.turns.discard(turn)

    async def failed(self, handover: Handover, subscriber: str, problem: str, *, retry_in: float | None) -> None:
        now = self.store.clock.now()
        for each in self._data.waiting:
            if each.event.event_id == handover.event.event_id and each.subscriber == subscriber:
                each.attempts, each.problem, each.failed_at = handover.attempt, problem, now
                each.due_at = None if retry_in is None else now + timedelta(seconds=retry_in)

    async def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        letters = [
            DeadLetter(each.event, each.subscriber, each.attempts, each.problem, each.failed_at)
            for each in self._data.waiting
            if each.due_at is None and each.failed_at is not None
        ]
        return sorted(letters, key=lambda letter: letter.failed_at, reverse=True)[:limit]

    async def retry(self, event_id: UUID | None = None, /) -> int:
        revived = [
            each for each in self._data.waiting if each.due_at is None and event_id in {None, each.event.event_id}
        ]
        for each in revived:
            each.attempts, each.due_at = 0, self.store.clock.now()
        return len(revived)

    async def lag(self) -> OutboxLag:
        alive = [each for each in self._data.waiting if each.due_at is not None]
        made = min((each.event.made_at for each in alive), default=None)
        oldest = (self.store.clock.now() - made).total_seconds() if made else 0.0
        return OutboxLag(len(alive), 0, len(self._data.waiting) - len(alive), oldest)

    async def announce(self) -> None:
        self._data.announced.set()

    async def wait(self, seconds: float, /) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._data.announced.wait()
            self._data.announced.clear()

    def _due(self, subscriber: str, event_id: UUID | None = None) -> Waiting | None:
        now = self.store.clock.now()
        for each in self._data.waiting:
            if each.subscriber == subscriber and event_id in {None, each.event.event_id} and each.is_due(now):
                return each
        return None


@attrs.frozen
class MemoryAnswers:
    unit: "MemoryUnit"

    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        kept = self.unit.person.answers.get((command, key))
        if kept is None or kept[0] < self.unit.now() - KEPT_FOR:
            return KeyState.FREE
        return kept[1]

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        self.unit.person.answers.pop((command, key), None)
        self.unit.put(self.unit.person.answers, (command, key), (self.unit.now(), kept))
