"""What happened, told to whoever asked to hear: for critical workflows, after the change is committed."""

from collections.abc import Callable, Coroutine
from enum import Enum, StrEnum, auto
from functools import partial
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID

import attrs

from dashtam_core.kernel import new_id


class Delivery(Enum):
    """When a subscriber is told, beside the others of its event."""

    ORDERED = auto()
    """After those registered before it have heard, each awaited to its end."""
    CONCURRENT = auto()
    """In a task of its own that starts before the ordered ones are told."""


class Category(StrEnum):
    """What a person can ask to be told of as it happens."""

    IMPORTS = auto()
    BALANCES = auto()
    SECURITY = auto()


@attrs.frozen(kw_only=True)
class DomainEvent:
    """A fact in the past tense: subclass as a frozen attrs class, one class per event."""

    version: ClassVar[int] = 1
    """Of its fields as others read them: one more when a field goes, changes or has no default."""
    category: ClassVar[Category | None] = None
    """Under which its person is told of it as it happens; None: they are not."""
    private: ClassVar[frozenset[str]] = frozenset()
    """Fields that never leave the store."""
    event_id: UUID = attrs.field(factory=new_id, eq=False, repr=False)
    """UUIDv7, made with the event: what deliveries and log lines name it by."""

    @classmethod
    def heard_by(
        cls,
        subscriber: Callable[[Self], Coroutine[Any, Any, None]],
        /,
        *,
        delivery: Delivery = Delivery.ORDERED,
        isolated: bool = True,
        timeout: float | None = None,
    ) -> "Subscription":
        """The registration of one async function that is told of this event, and of no subclass.

        Isolated, what it sets in its context is seen by nobody else; bare (`isolated=False`) it is awaited as if
        the publisher had called it: cheaper, and part of the publisher in every respect. `timeout` is in seconds.
        """
        return Subscription(cls, subscriber, delivery, isolated, timeout)

    @classmethod
    def delivered_to(
        cls, name: str, subscriber: Callable[[Self, Any], Coroutine[Any, Any, None]], /, *, spread: bool = False
    ) -> "DurableSubscription":
        """The registration of one async function that must be told of this event, if need be after a restart.

        It gets the event and the unit of work of the event's person, and what it writes there is applied once.
        `name` is what its deliveries are remembered by: it stays when the function moves. `spread` over the
        processes of a deployment, where they share a stream, it is told of many at once and in no order: give it
        another name when you change that.
        """
        return DurableSubscription(cls, name, subscriber, spread)


@attrs.frozen
class DurableSubscription:
    """An event class with one who must be told of it. Made by `delivered_to`."""

    event: type[DomainEvent]
    name: str
    subscriber: Callable[[Any, Any], Coroutine[Any, Any, None]]
    spread: bool = False


@attrs.frozen
class Subscription:
    """An event class with one who is told of it. Made by `heard_by`."""

    event: type[DomainEvent]
    subscriber: Callable[[Any], Coroutine[Any, Any, None]]
    delivery: Delivery = Delivery.ORDERED
    isolated: bool = True
    timeout: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.delivery is Delivery.CONCURRENT and not self.isolated:
            raise ValueError(f"{self.name} cannot be both bare and concurrent: a task has a context of its own")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"{self.name} has a timeout of {self.timeout} s: give it more than 0, or None")

    @property
    def name(self) -> str:
        """What the log calls the subscriber."""
        function: Any = self.subscriber
        while isinstance(function, partial):
            function = function.func
        return getattr(function, "__qualname__", None) or type(function).__name__


class BusClosedError(Exception):
    """Something was published after the bus had been closed: a mistake in the order things are shut down."""


class EventBus(Protocol):
    """Delivers events in this process, at most once."""

    async def publish(self, event: DomainEvent, /) -> None:
        """Tell every subscriber, and return when all have heard. One that fails is logged and stops nobody.

        Concurrent subscribers start first, then the ordered ones are told in order of registration. Cancelling
        the publisher cancels those who are still hearing, and waits for their end.

        Raises:
            BusClosedError: the bus is closed. Nobody was told.
        """
        ...

    async def close(self, deadline: float, /) -> None:
        """Take no more events, and wait for those being told; `deadline` seconds later cut off who still hears.

        Every subscriber that was cut off, or not told for it, is logged by name.
        """
        ...
