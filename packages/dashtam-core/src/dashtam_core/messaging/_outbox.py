"""Events that must not be lost: written with the change, delivered afterwards until every subscriber has them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import attrs

from dashtam_core.kernel import Success, UserId
from dashtam_core.messaging import _codec
from dashtam_core.messaging._events import DomainEvent
from dashtam_core.messaging._pipeline import Answer, Call, Next, UnitOfWork


@attrs.frozen
class StoredEvent:
    """An event as it is kept: its class by name, its fields as JSON, and the person whose change it came of."""

    event_id: UUID
    user_id: UserId
    name: str
    payload: str = attrs.field(repr=False)

    @classmethod
    def of(cls, event: DomainEvent, user_id: UserId, /) -> "StoredEvent":
        return cls(event.event_id, user_id, type(event).__name__, _codec.dump(event))

    @property
    def made_at(self) -> datetime:
        """UUIDv7 begins with the milliseconds since 1970."""
        return datetime.fromtimestamp((self.event_id.int >> 80) / 1000, UTC)

    def read(self, kind: type[DomainEvent], /) -> DomainEvent:
        """The event itself.

        Raises:
            ValueError: the class has changed so that it no longer reads what it wrote.
        """
        event: DomainEvent = _codec.load(self.payload, kind)
        return event


class Outbox(Protocol):
    """The events of one unit of work."""

    def add(self, events: Sequence[StoredEvent], /) -> None:
        """Hand over events, to be written in the unit's transaction at its end."""
        ...


@attrs.frozen
class DeadLetter:
    """A delivery that was given up, after how many attempts and why."""

    event: StoredEvent
    subscriber: str
    attempts: int
    problem: str
    failed_at: datetime


@attrs.frozen
class OutboxLag:
    """What waits to be delivered. `held_back` counts events that an open transaction keeps from being read."""

    waiting: int
    held_back: int
    dead: int
    oldest_seconds: float


@attrs.frozen
class Handover:
    """One event on its way to one subscriber, with the unit of work of the event's person."""

    event: StoredEvent
    unit: UnitOfWork
    attempt: int
    """1 the first time."""


class Deliveries(Protocol):
    """The way out of the outbox. Everything here works for all people, in transactions of its own."""

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        """Make known which subscriber wants which events, by name; what happens from now on is kept for it.

        Replaces what each of these wanted before, and drops what waits for it and is not wanted any more. Whoever
        is not named here goes on as before.
        """
        ...

    def next_for(self, subscriber: str, /) -> AbstractAsyncContextManager[Handover | None]:
        """The next event due to a subscriber, in the order of commit; None if none is, or another has its turn.

        Leaving the block records the delivery and commits it together with what the unit wrote; an exception
        rolls back both, and `RuntimeError` is raised if the unit was discarded: a delivery is made or it failed.
        One delivery to a subscriber runs at a time, in all processes together: who comes meanwhile gets None, in
        the same process at once. From another, a store that has one writer may raise `UnavailableError` instead.
        """
        ...

    def this_one(self, event_id: UUID, subscriber: str, /) -> AbstractAsyncContextManager[Handover | None]:
        """This event for a subscriber; None if it has had it, is just being told, or is to be told again later.

        As `next_for`, but many at a time: of one event, one.
        """
        ...

    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        """Events that a subscriber waits for since so long, or is to be told of again now, the earliest first."""
        ...

    async def failed(self, handover: Handover, subscriber: str, problem: str, *, retry_in: float | None) -> None:
        """Note that a delivery failed: to be tried again in so many seconds, or never, as a dead letter."""
        ...

    async def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        """Dead letters, the latest first."""
        ...

    async def retry(self, event_id: UUID | None = None, /) -> int:
        """Deliver the dead letters of one event, or all, again; answers how many there were."""
        ...

    async def lag(self) -> OutboxLag: ...

    async def announce(self) -> None:
        """Tell whoever waits, in any process, that there is something to deliver."""
        ...

    async def wait(self, seconds: float, /) -> None:
        """Returns when something was announced, or after so many seconds: the announcement may be lost."""
        ...


async def settle(call: Call, /, *, failed: bool) -> None:
    """Runs the effects in the unit's transaction, and hands the events that go with it to its outbox."""
    outgoing = call.outgoing
    for effect in outgoing.effects:
        await effect()
    outgoing.settled = outgoing.surviving if failed else [*outgoing.events, *outgoing.surviving]
    if outgoing.settled:
        call.unit.outbox.add([StoredEvent.of(event, call.subject.user_id) for event in outgoing.settled])


async def emit(call: Call, proceed: Next, /) -> Answer:
    """The stage inside the transaction that keeps the events of a success with its change."""
    answer = await proceed(call)
    if isinstance(answer, Success):
        await settle(call, failed=False)
    return answer
