"""The event bus in this process."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from typing import Any

from dashtam_core.messaging import DomainEvent, Subscription

_log = logging.getLogger(__name__)


class MemoryEventBus:
    """Tells each subscriber in the order of registration, in a context of its own."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._subscribers: dict[type[DomainEvent], list[Callable[[Any], Coroutine[Any, Any, None]]]]
        self._subscribers = defaultdict(list)
        for subscription in subscriptions:
            self._subscribers[subscription.event].append(subscription.subscriber)

    async def publish(self, event: DomainEvent, /) -> None:
        for subscriber in self._subscribers.get(type(event), ()):
            try:
                telling = subscriber(event)
                loop = asyncio.get_running_loop()
                await asyncio.Task(telling, loop=loop, context=copy_context(), eager_start=True)
            except Exception:  # noqa: BLE001
                # Subscribers fail open: what they were told of is committed, whatever they make of it.
                name = getattr(subscriber, "__qualname__", type(subscriber).__name__)
                _log.exception("subscriber failed: %s on %s", name, type(event).__name__)
