"""What happened, told to whoever asked to hear: for critical workflows, after the change is committed."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Self

import attrs


class DomainEvent:
    """A fact in the past tense: subclass as a frozen attrs class, one class per event."""

    __slots__ = ()

    @classmethod
    def heard_by(cls, subscriber: Callable[[Self], Coroutine[Any, Any, None]], /) -> "Subscription":
        """The registration of one async function that is told of this event."""
        return Subscription(cls, subscriber)


@attrs.frozen
class Subscription:
    """An event class with one who is told of it. Made by `heard_by`."""

    event: type[DomainEvent]
    subscriber: Callable[[Any], Coroutine[Any, Any, None]]


class EventBus(Protocol):
    """Delivers events in this process, at most once."""

    async def publish(self, event: DomainEvent, /) -> None:
        """Tell every subscriber, one after another. One that fails is logged and stops nobody."""
        ...


@attrs.define
class Outgoing:
    """The events of one message, kept back until its transaction is committed and dropped if it is not."""

    events: list[DomainEvent] = attrs.field(factory=list[DomainEvent])

    def emit(self, event: DomainEvent, /) -> None:
        self.events.append(event)
