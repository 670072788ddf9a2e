"""The event bus in this process.

An isolated subscriber runs in a copy of the context but in the publisher's task, which costs less than a task of
its own. Only one that has to wait is put under its timeout, and remembered so that closing can cut it off.
"""

import asyncio
import logging
from asyncio import CancelledError, Task, Timeout, current_task
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from operator import call
from types import coroutine
from typing import Any, Final

from dashtam_core.messaging import BusClosedError, Delivery, DomainEvent, Subscription

_log: Final = logging.getLogger(__name__)

_LAST_WORDS: Final = 1.0
"""Seconds that subscribers have to end once they are cut off."""

type _Hearing = Coroutine[Any, Any, None]
type _Tell = Callable[[Any], _Hearing]


class MemoryEventBus:
    """Tells the subscribers of this process, each of the very class it asked for and of no subclass.

    Ordered subscribers run in the publisher's task, concurrent ones in a task each. One that ends in a
    `CancelledError` while nobody cancels the publisher has failed, and is logged like any other. Whoever closing
    cuts off has one more second to end; a bare subscriber is its publisher's to cancel, and is only waited for.
    """

    __slots__ = ("_cut_off", "_idle", "_plans", "_subscriptions", "_under_way", "_waiting")

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._subscriptions = tuple(subscriptions)
        several: dict[type[DomainEvent], list[Subscription]] = defaultdict(list)
        for each in self._subscriptions:
            several[each.event].append(each)
        self._plans = {event: self._plan(told) for event, told in several.items()}
        self._waiting: dict[Task[None] | Timeout, tuple[Subscription, DomainEvent]] = {}
        self._under_way = 0
        self._idle: asyncio.Event | None = None
        self._cut_off = False

    async def publish(self, event: DomainEvent, /) -> None:
        try:
            plan = self._plans[type(event)]
        except KeyError:
            return self._check_open(event)
        self._under_way += 1
        try:
            for tell in plan:
                try:
                    await tell(event)
                except (Exception, CancelledError) as error:  # noqa: BLE001 - subscribers fail open
                    _tolerate(error, Subscription(type(event), tell), event)
        finally:
            self._under_way -= 1
            if self._idle is not None and not self._under_way:
                self._idle.set()

    async def close(self, deadline: float, /) -> None:
        self._plans = {}
        self._idle = idle = self._idle or asyncio.Event()
        if not self._under_way:
            idle.set()
        try:
            await _within(deadline, idle)
        finally:
            self._cut()
        await _within(_LAST_WORDS, idle)
        if self._under_way:
            bare = ", ".join(each.name for each in self._subscriptions if _is_bare(each))
            why = "their subscribers ignore that they are cut off, or are bare"
            _log.error("%d publishes did not end: %s (%s)", self._under_way, why, bare)

    def _check_open(self, event: DomainEvent) -> None:
        if self._idle is not None:
            raise BusClosedError(
                f"{type(event).__name__} was published after the event bus was closed, and nobody was told: "
                "close the bus after everything that publishes"
            )

    def _cut(self) -> None:
        """Cancels whoever still hears. Publishers are not cancelled: for them, those subscribers have failed."""
        self._cut_off = True
        for hearing, told in list(self._waiting.items()):
            if _cancel(hearing):
                del self._waiting[hearing]
                _report("subscriber cut off", *told)

    def _plan(self, subscriptions: Sequence[Subscription]) -> Sequence[_Tell]:
        ordered = [each for each in subscriptions if each.delivery is Delivery.ORDERED]
        concurrent = [(each, _timed(each)) for each in subscriptions if each.delivery is Delivery.CONCURRENT]
        if concurrent:
            return (partial(self._tell_all, concurrent, [self._telling(each) for each in ordered]),)
        return tuple(each.subscriber if _is_bare(each) else self._telling(each) for each in ordered)

    def _telling(self, subscription: Subscription) -> _Tell:
        """Tells one subscriber up to where it has to wait, and only then does what waiting needs."""
        subscriber, isolated = subscription.subscriber, subscription.isolated

        async def tell(event: DomainEvent) -> None:
            if self._cut_off:
                return _report("subscriber not told", subscription, event)
            context = copy_context() if isolated else None
            try:
                begun = _begin(subscriber, event) if context is None else context.run(_begin, subscriber, event)
                if begun is not None:
                    await self._rest(subscription, event, _resumed(context, *begun))
            except (Exception, CancelledError) as error:  # noqa: BLE001 - subscribers fail open
                _tolerate(error, subscription, event)

        return tell

    async def _rest(self, subscription: Subscription, event: DomainEvent, hearing: Awaitable[None]) -> None:
        """Waits with a subscriber. If it swallows a cancellation of the publisher, that goes on all the same."""
        task = current_task()
        assert task is not None
        before = task.cancelling()
        scope = asyncio.timeout(subscription.timeout)
        self._waiting[scope] = subscription, event
        try:
            async with scope:
                await hearing
        except (Exception, CancelledError) as error:  # noqa: BLE001 - subscribers fail open
            if scope in self._waiting or not isinstance(error, TimeoutError):
                _tolerate(error, subscription, event)
        finally:
            self._waiting.pop(scope, None)
        if task.cancelling() > before:
            raise CancelledError

    async def _tell_all(
        self, concurrent: Iterable[tuple[Subscription, _Tell]], ordered: Iterable[_Tell], event: DomainEvent
    ) -> None:
        """Starts the concurrent subscribers, tells the ordered ones meanwhile, and waits for all."""
        loop = asyncio.get_running_loop()
        started: list[Task[None]] = []
        try:
            for subscription, hear in concurrent:
                task = Task(hear(event), loop=loop, eager_start=True)
                if task.done():
                    _settle(task, subscription, event)
                else:
                    self._waiting[task] = subscription, event
                    started.append(task)
            for tell in ordered:
                await tell(event)
            if started:
                await asyncio.wait(started)
        except BaseException:
            await self._abandon(started)
            raise
        finally:
            for task in started:
                told = self._waiting.pop(task, None)  # not those that were cancelled from here
                if told is not None:
                    _settle(task, *told)

    async def _abandon(self, started: Iterable[Task[None]]) -> None:
        """Cancels what has not ended, and waits for its end."""
        for task in started:
            if task.cancel():
                self._waiting.pop(task, None)
        await asyncio.gather(*started, return_exceptions=True)


def _begin(subscriber: _Tell, event: DomainEvent) -> tuple[_Hearing, Any] | None:
    """A subscriber that has to wait, and what for; or nothing, if it has ended."""
    hearing = subscriber(event)
    try:
        return hearing, hearing.send(None)
    except StopIteration:
        return None


@coroutine
def _resumed(context: Context | None, hearing: _Hearing, awaited: Any) -> Generator[Any, Any]:
    """Goes on with what has begun, every step of it in the context that it began in."""
    run: Callable[..., Any] = call if context is None else context.run
    with suppress(StopIteration):
        while True:
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the subscriber's to handle
                awaited = run(hearing.throw, error)
            else:
                awaited = run(hearing.send, None)


def _timed(subscription: Subscription) -> _Tell:
    """A subscriber, under its timeout as soon as it has to wait."""
    subscriber, seconds = subscription.subscriber, subscription.timeout
    if seconds is None:
        return subscriber

    async def hear(event: DomainEvent) -> None:
        begun = _begin(subscriber, event)
        if begun is not None:
            async with asyncio.timeout(seconds):
                await _resumed(None, *begun)

    return hear


def _is_bare(subscription: Subscription) -> bool:
    return not subscription.isolated and subscription.timeout is None


def _cancel(hearing: Task[None] | Timeout) -> bool:
    """Whether there was still something to cancel."""
    if isinstance(hearing, Task):
        return hearing.cancel()
    if not hearing.expired():
        hearing.reschedule(0)
    return True


def _settle(task: Task[None], subscription: Subscription, event: DomainEvent) -> None:
    try:
        task.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001 - subscribers fail open
        _report("subscriber failed", subscription, event, error)


def _tolerate(error: BaseException, subscription: Subscription, event: DomainEvent) -> None:
    """Logs what became of a subscriber, unless it is the publisher that is being cancelled."""
    task = current_task()
    if isinstance(error, CancelledError) and task is not None and task.cancelling():
        raise error
    _report("subscriber failed", subscription, event, error)


def _report(what: str, subscription: Subscription, event: DomainEvent, error: BaseException | None = None) -> None:
    event_name = type(event).__name__
    extra: dict[str, Any] = {"subscriber": subscription.name, "event_name": event_name, "event_id": event.event_id}
    if subscription.timeout is not None and isinstance(error, TimeoutError):
        extra["timeout_seconds"] = subscription.timeout
    _log.error("%s: %s on %s", what, subscription.name, event_name, exc_info=error, extra=extra)


async def _within(seconds: float, idle: asyncio.Event) -> None:
    """Waits for `idle`, `seconds` at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await idle.wait()
