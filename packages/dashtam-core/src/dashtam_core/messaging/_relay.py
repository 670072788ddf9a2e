"""Brings events from the outbox to durable subscribers: at least once, with the effect of each applied once.

Who is told in order is told from the outbox itself. Who is `spread` hears of an event through the stream that all
processes share; the outbox still says who has what, and brings after a while what the stream has lost.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final

from dashtam_core.kernel import UnavailableCode, UnavailableError, UserId
from dashtam_core.messaging._events import DomainEvent, DurableSubscription
from dashtam_core.messaging._outbox import Deliveries, Handover
from dashtam_core.messaging._pipeline import error_code
from dashtam_core.messaging._stream import Entry, EventStream, WireEvent

STREAM: Final = "stream"
"""Who brings events to the stream, as the outbox knows it."""
_AT_ONCE: Final = 8
_OVERDUE: Final = 100
_LONGEST_BACKOFF: Final = 3600.0

_log: Final = logging.getLogger(__name__)


async def _never(_event: object, _unit: object) -> None:
    raise AssertionError("what goes to the stream is told to nobody else")  # pragma: no cover


class Relay:
    """Delivers to the durable subscribers of this process, and brings the `streamed` events to the stream.

    Times are in seconds. `delivery_seconds` is what one subscriber may take for one event: a store ends
    transactions that idle for longer. `overdue_seconds` is how long an event may be on its way through the stream.
    `changed` is told whose data a subscriber may have changed.
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
        overdue_seconds: float = 30.0,
        stream: EventStream | None = None,
        streamed: Iterable[type[DomainEvent]] = (),
        changed: Callable[[UserId], Awaitable[None]] | None = None,
    ) -> None:
        self._deliveries, self._stream, self._changed = deliveries, stream, changed
        self._subscribers: dict[str, dict[str, DurableSubscription]] = {}
        told = list(subscriptions)
        if any(each.name == STREAM for each in told):
            raise ValueError(f"a subscriber is called {STREAM!r}, as the stream itself is: give it another name")
        self._spread = {each.name for each in told if each.spread}
        if stream is not None:
            crossing = {*streamed, *(each.event for each in told if each.name in self._spread)}
            told += [each.delivered_to(STREAM, _never) for each in crossing]
        for each in told:
            wanted = self._subscribers.setdefault(each.name, {})
            if each.event.__name__ in wanted:
                raise ValueError(f"{each.name} is registered twice for {each.event.__name__}: give each a name")
            wanted[each.event.__name__] = each
        self._max_attempts, self._first_backoff = max_attempts, first_backoff
        self._poll_seconds, self._delivery_seconds = poll_seconds, delivery_seconds
        self._overdue_seconds = overdue_seconds
        self._woken = {name: asyncio.Event() for name in self._subscribers}
        self._running = False

    @property
    def names(self) -> Mapping[str, list[str]]:
        """Which events each subscriber wants."""
        return {name: sorted(wanted) for name, wanted in self._subscribers.items()}

    async def register(self) -> None:
        """Makes the subscribers known, before anything happens that they want to hear of.

        Whoever is not here goes on waiting: another process may have them, and the stream too.
        """
        if self._subscribers:
            await self._deliveries.register(self.names)

    async def run(self) -> None:
        """Delivers what is due, again and again, until cancelled. Returns at once where nobody subscribed."""
        self._running = bool(self._subscribers)
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._subscribers:
                    group.create_task(self._serve(name), name=f"dashtam relay to {name}")
                for name in self._spread:
                    if self._stream is not None:
                        group.create_task(self._hear(name, self._stream), name=f"dashtam stream to {name}")
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
        """One subscriber's loop over the outbox."""

        async def turn() -> None:
            await self._drain(name)
            if self._through_stream(name):
                await asyncio.sleep(self._poll_seconds)
            else:
                await self._rest(name)

        await self._again(name, turn)

    async def _hear(self, name: str, stream: EventStream) -> None:
        """One subscriber's loop over the stream: what cannot be told now is put off in the outbox."""

        async def turn() -> None:
            entries = await stream.take(name, limit=_AT_ONCE, seconds=self._poll_seconds)
            outcomes = await asyncio.gather(*(self._heard(name, each) for each in entries), return_exceptions=True)
            told = zip(entries, outcomes, strict=True)
            await stream.done(name, [each.position for each, out in told if not isinstance(out, BaseException)])
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

        await self._again(name, turn)

    async def _heard(self, name: str, entry: Entry) -> None:
        if entry.event.name in self._subscribers[name]:
            await self._one(name, self._deliveries.this_one(entry.event.event_id, name))

    async def _again(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Again and again. What does not answer, the store or the stream, is told of once, and waited for."""
        reachable, task = True, asyncio.current_task()
        assert task is not None
        while not task.cancelling():  # an error while a delivery was undone may have hidden it
            try:
                await turn()
                reachable = True
            except UnavailableError as error:
                if reachable:
                    _log.warning("deliveries wait", extra={"subscriber": name, "code": error.code})
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
        """Delivers what is due by the outbox; of what goes through the stream, what it has lost or failed with."""
        delivered = 0
        if name not in self._spread:
            while await self._one(name, self._deliveries.next_for(name)):
                delivered += 1
            return delivered
        seconds = self._overdue_seconds if self._through_stream(name) else 0.0
        while due := await self._deliveries.overdue(name, seconds, limit=_OVERDUE):
            some = random.sample(due, len(due))  # so that processes which look at once do not all try the same
            told = [await self._one(name, self._deliveries.this_one(each, name)) for each in some]
            if not any(told):  # others are at it
                break
            delivered += sum(told)
        return delivered

    def _through_stream(self, name: str) -> bool:
        return self._stream is not None and name in self._spread

    async def _one(self, name: str, next_one: AbstractAsyncContextManager[Handover | None]) -> bool:
        """Delivers one event; whether there was one."""
        handover: Handover | None = None
        try:
            async with next_one as handover, asyncio.timeout(self._delivery_seconds):
                if handover is None:
                    return False
                await self._tell(name, handover)
        except Exception as error:
            if handover is None or isinstance(getattr(error, "code", None), UnavailableCode):
                raise
            # Whatever a subscriber raises is its own: it is told again, and stops nobody else.
            await self._put_off(name, handover, error)
        finally:  # also where nobody knows whether it was committed
            if handover is not None and self._changed is not None and name != STREAM:
                await self._changed(handover.event.user_id)
        return True

    async def _tell(self, name: str, handover: Handover) -> None:
        subscription = self._subscribers[name][handover.event.name]
        if name == STREAM and self._stream is not None:
            await self._stream.append(WireEvent.of(handover.event, subscription.event))
            return
        event: DomainEvent = handover.event.read(subscription.event)
        try:
            await subscription.subscriber(event, handover.unit)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and not task.cancelling():  # that ends no loop of ours
                raise RuntimeError("what a subscriber waited for was cancelled") from error
            raise

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
