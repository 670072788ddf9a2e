"""Brings events from the outbox to durable subscribers: at least once, with the effect of each applied once."""

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.messaging._events import DomainEvent, DurableSubscription
from dashtam_core.messaging._outbox import Deliveries, Handover
from dashtam_core.messaging._pipeline import error_code

_LONGEST_BACKOFF: Final = 3600.0

_log: Final = logging.getLogger(__name__)


class Relay:
    """Delivers to the durable subscribers of this process.

    Times are in seconds. `delivery_seconds` is what one subscriber may take for one event: a store ends
    transactions that idle for longer.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        subscriptions: Iterable[DurableSubscription],
        *,
        max_attempts: int = 8,
        first_backoff: float = 1.0,
        poll_seconds: float = 1.0,
        delivery_seconds: float = 30.0,
    ) -> None:
        self._deliveries = deliveries
        self._subscribers: dict[str, dict[str, DurableSubscription]] = {}
        for each in subscriptions:
            wanted = self._subscribers.setdefault(each.name, {})
            if each.event.__name__ in wanted:
                raise ValueError(f"{each.name} is registered twice for {each.event.__name__}: give each a name")
            wanted[each.event.__name__] = each
        self._max_attempts, self._first_backoff = max_attempts, first_backoff
        self._poll_seconds, self._delivery_seconds = poll_seconds, delivery_seconds
        self._woken = {name: asyncio.Event() for name in self._subscribers}
        self._running = False

    @property
    def names(self) -> Mapping[str, list[str]]:
        """Which events each subscriber wants."""
        return {name: sorted(wanted) for name, wanted in self._subscribers.items()}

    async def register(self) -> None:
        """Makes the subscribers known, before anything happens that they want to hear of."""
        if self._subscribers:
            await self._deliveries.register(self.names)

    async def run(self) -> None:
        """Delivers what is due, again and again, until cancelled. Returns at once where nobody subscribed."""
        self._running = bool(self._subscribers)
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._subscribers:
                    group.create_task(self._serve(name), name=f"dashtam relay to {name}")
        finally:
            self._running = False

    async def wake(self) -> None:
        """There is something new: delivers it without waiting for the next poll, here or in another process.

        Never fails: what cannot be announced is found by the next poll.
        """
        if not self._running:
            with suppress(UnavailableError):
                await self._deliveries.announce()
        for woken in self._woken.values():
            woken.set()

    async def deliver(self) -> int:
        """Delivers everything that is due now; answers how many deliveries were made."""
        return sum([await self._drain(name) for name in self._subscribers])

    async def _serve(self, name: str) -> None:
        """One subscriber's loop. A store that does not answer is told of once, and waited for."""
        reachable, task = True, asyncio.current_task()
        assert task is not None
        while not task.cancelling():  # an error while a delivery was undone may have hidden it
            try:
                await self._drain(name)
                await self._rest(name)
                reachable = True
            except UnavailableError as error:
                if reachable:
                    _log.warning("deliveries wait for the store", extra={"subscriber": name, "code": error.code})
                reachable = False
                await asyncio.sleep(self._poll_seconds)

    async def _rest(self, name: str) -> None:
        """Until something new happened here or was announced elsewhere, or until it is time to look again."""
        woken = self._woken[name]
        waits: list[asyncio.Task[Any]] = [
            asyncio.create_task(woken.wait()),
            asyncio.create_task(self._deliveries.wait(self._poll_seconds)),
        ]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        woken.clear()
        for each in done:
            await each

    async def _drain(self, name: str) -> int:
        delivered = 0
        while await self._one(name):
            delivered += 1
        return delivered

    async def _one(self, name: str) -> bool:
        """Delivers the next event; whether there was one."""
        handover: Handover | None = None
        try:
            async with self._deliveries.next_for(name) as handover, asyncio.timeout(self._delivery_seconds):
                if handover is None:
                    return False
                await self._tell(name, handover)
        except Exception as error:
            if handover is None or isinstance(getattr(error, "code", None), UnavailableCode):
                raise
            # Whatever a subscriber raises is its own: it is told again, and stops nobody else.
            await self._put_off(name, handover, error)
        return True

    async def _tell(self, name: str, handover: Handover) -> None:
        subscription = self._subscribers[name][handover.event.name]
        event: DomainEvent = handover.event.read(subscription.event)
        await subscription.subscriber(event, handover.unit)

    async def _put_off(self, name: str, handover: Handover, error: Exception) -> None:
        final = handover.attempt >= self._max_attempts
        retry_in = None if final else self._backoff(handover.attempt)
        what = "durable subscriber failed for good" if final else "durable subscriber failed"
        extra = {"subscriber": name, "event_name": handover.event.name, "event_id": handover.event.event_id}
        extra |= {"attempt": handover.attempt, "retry_in_seconds": retry_in}
        _log.log(logging.ERROR if final else logging.WARNING, what, extra=extra, exc_info=error)
        await self._deliveries.failed(handover, name, error_code(error), retry_in=retry_in)

    def _backoff(self, attempt: int) -> float:
        """Twice as long each time, an hour at most, with a random part so that retries do not come in step."""
        longest: float = min(self._first_backoff * 2 ** (attempt - 1), _LONGEST_BACKOFF)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
