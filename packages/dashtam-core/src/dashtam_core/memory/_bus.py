"""The event bus in this process."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from dashtam_core.messaging import DomainEvent, Subscription


class MemoryEventBus:
    """Tells each subscriber in the order of registration. A failing one is logged and stops nobody."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._subscribers: dict[type[DomainEvent], list[Callable[[Any], Awaitable[None]]]] = defaultdict(list)
        for subscription in subscriptions:
            self._subscribers[subscription.event].append(subscription.subscriber)

    async def publish(self, event: DomainEvent, /) -> None:
        for subscriber in self._subscribers.get(type(event), ()):
            try:
                await subscriber(event)
            except Exception:  # noqa: BLE001
                # Subscribers fail open: what they were told of is committed, whatever they make of it.
                _log_failure(event, subscriber)


def _log_failure(event: DomainEvent, subscriber: object) -> None:
    import structlog  # pulls rich where it is installed, which costs 100 ms at import

    structlog.get_logger(__name__).exception(
        "subscriber failed", event_type=type(event).__name__, subscriber=getattr(subscriber, "__qualname__", "?")
    )
