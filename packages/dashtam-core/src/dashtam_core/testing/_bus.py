"""The suite for event buses: who hears what, when, in which context, and what a failing subscriber can do."""

import asyncio
import logging
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

import attrs
import pytest

from dashtam_core.messaging import BusClosedError, Delivery, DomainEvent, EventBus, Subscription
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import PATIENCE

type MakeBus = Callable[[Sequence[Subscription]], EventBus]
type Hearing = Callable[[Any], Coroutine[Any, Any, None]]
type Options = dict[str, Any]

CONCURRENT: Options = {"delivery": Delivery.CONCURRENT}
DELIVERIES: dict[str, Options] = {
    "ordered": {},
    "bare": {"isolated": False},
    "with a timeout": {"timeout": 60},
    "bare with a timeout": {"isolated": False, "timeout": 60},
    "concurrent": CONCURRENT,
    "concurrent with a timeout": {"timeout": 60, **CONCURRENT},
}
every_delivery = pytest.mark.parametrize("options", DELIVERIES.values(), ids=DELIVERIES)
whose: ContextVar[str] = ContextVar("whose", default="nobody")


@attrs.frozen
class Happened(DomainEvent):
    number: int = 0


@attrs.frozen
class HappenedAgain(Happened):
    """A subclass: an event of its own."""


class Trace(list[str]):
    """What was heard, in order."""

    def noting(self, name: str) -> Hearing:
        async def hear(event: Happened) -> None:
            self.append(f"{name} {event.number}")

        return hear


@attrs.define
class Waiting:
    """A subscriber that waits to be released, and tells how it ended. A stubborn one ignores being cancelled."""

    stubborn: bool = False
    begun: asyncio.Event = attrs.field(factory=asyncio.Event)
    refused: asyncio.Event = attrs.field(factory=asyncio.Event)
    release: asyncio.Event = attrs.field(factory=asyncio.Event)
    ended: str = ""

    async def __call__(self, _: Happened) -> None:
        self.begun.set()
        try:
            await self.release.wait()
        except CancelledError:
            self.refused.set()
            await (self.release.wait() if self.stubborn else asyncio.sleep(0))
            if not self.stubborn:
                self.ended = "cancelled"
                raise
        self.ended = "heard"


async def some_turns() -> None:
    """Long enough for whatever is going to happen by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


async def fail_later(_: Happened) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("no")


async def cancel(_: Happened) -> None:
    raise CancelledError


def errors(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR)


class EventBusConformance(Conformance):
    """The promises of the port `EventBus`. The fixture `make_bus` is a function: subscriptions in, a bus out."""

    async def test_ordered_subscribers_hear_one_after_another(self, make_bus: MakeBus) -> None:
        """Each hears to its end before the next begins, in order of registration, after the concurrent began."""
        trace, first = Trace(), Waiting()
        told = [Happened.heard_by(first), *map(Happened.heard_by, map(trace.noting, "abc"))]
        bus = make_bus([*told, Happened.heard_by(trace.noting("at once"), **CONCURRENT)])
        publishing = asyncio.create_task(bus.publish(Happened(1)))
        await some_turns()
        assert (first.begun.is_set(), trace) == (True, ["at once 1"])
        first.release.set()
        await publishing
        assert trace == ["at once 1", "a 1", "b 1", "c 1"]

    async def test_subscribers_hear_of_their_event_class_alone(self, make_bus: MakeBus) -> None:
        """One event is one class: neither another nor a subclass is heard, and what nobody hears is no error."""
        trace = Trace()
        bus = make_bus([Happened.heard_by(trace.noting("heard"))])
        await bus.publish(HappenedAgain(1))
        await bus.publish(Happened(2))
        assert trace == ["heard 2"]

    async def test_concurrent_subscribers_hear_at_once(self, make_bus: MakeBus) -> None:
        """Those who need each other to go on all get to the end, and publishing ends after the last of them."""
        meet, trace = asyncio.Barrier(3), Trace()

        async def hear(_: Happened) -> None:
            await meet.wait()
            trace.append("met")

        told = [Happened.heard_by(hear, **options) for options in (CONCURRENT, CONCURRENT, {})]
        await asyncio.wait_for(make_bus(told).publish(Happened()), PATIENCE)
        assert trace == ["met"] * 3

    @every_delivery
    async def test_a_subscriber_hears_in_its_publishers_context(self, make_bus: MakeBus, options: Options) -> None:
        """1,000 publishes at once are never mixed up; what one sets stays with it, unless it is bare."""
        isolated, seen = options.get("isolated", True), list[tuple[Any, ...]]()
        everybody = asyncio.Event()

        async def hear(event: Happened) -> None:
            found = [whose.get()]
            for value in ("before", "after"):
                whose.set(value)
                await everybody.wait()
                found.append(whose.get())
            seen.append((event.number, *found))

        bus = make_bus([Happened.heard_by(hear, **options), Happened.heard_by(hear)])

        async def publish(number: int) -> None:
            whose.set(str(number))
            await bus.publish(Happened(number))
            assert whose.get() == (str(number) if isolated else "after")

        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(publish(number))
            await asyncio.sleep(0)
            everybody.set()
        first = [(number, str(number), "before", "after") for number in range(1000)]
        second = first if isolated else [(number, "after", *rest) for number, _, *rest in first]
        assert sorted(seen) == sorted([*first, *second])

    @every_delivery
    @pytest.mark.parametrize("broken", [fail_later, cancel])
    async def test_a_failing_subscriber_stops_nobody(
        self, make_bus: MakeBus, broken: Hearing, options: Options, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is logged by its name, and the others hear; one that cancels itself has failed too."""
        trace = Trace()
        others = (Happened.heard_by(trace.noting("a")), Happened.heard_by(trace.noting("b"), **options))
        await make_bus([Happened.heard_by(broken, **options), *others]).publish(Happened(1))
        assert sorted(trace) == ["a 1", "b 1"]
        assert broken.__qualname__ in errors(caplog)

    @every_delivery
    async def test_a_subscriber_that_takes_too_long_is_cancelled(
        self, make_bus: MakeBus, options: Options, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After its timeout it is told to end and logged by its name, and the others hear."""
        waiting, trace = Waiting(), Trace()
        short = attrs.evolve(Happened.heard_by(waiting, **options), timeout=0.01)
        await make_bus([short, Happened.heard_by(trace.noting("next"))]).publish(Happened(1))
        assert (waiting.ended, trace, "Waiting" in errors(caplog)) == ("cancelled", ["next 1"], True)

    @every_delivery
    @pytest.mark.parametrize("stubborn", [False, True])
    async def test_cancelling_the_publisher_cancels_who_hears(
        self, make_bus: MakeBus, stubborn: bool, options: Options
    ) -> None:
        """Who hears has ended, also if it ignores the cancellation; nobody else is told, and no task is left."""
        waiting, other, trace = Waiting(stubborn), Waiting(), Trace()
        told = [Happened.heard_by(other, **CONCURRENT), Happened.heard_by(waiting, **options)]
        if "delivery" not in options:
            told.append(Happened.heard_by(trace.noting("too late"), timeout=60))
        publishing = asyncio.create_task(make_bus(told).publish(Happened()))
        await waiting.begun.wait()
        publishing.cancel()
        await waiting.refused.wait()
        await some_turns()
        assert publishing.done() is not stubborn
        waiting.release.set()
        await asyncio.wait([publishing])
        assert (waiting.ended, other.ended, trace) == ("heard" if stubborn else "cancelled", "cancelled", [])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if not stubborn or "isolated" not in options:
            assert publishing.cancelled()

    @every_delivery
    async def test_closing_waits_for_who_hears(
        self, make_bus: MakeBus, options: Options, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A publish that is under way comes to its end; nothing is published any more, heard or not."""
        waiting, trace = Waiting(), Trace()
        bus = make_bus([Happened.heard_by(waiting, **options), Happened.heard_by(trace.noting("next"))])
        publishing = asyncio.create_task(bus.publish(Happened(1)))
        await waiting.begun.wait()
        closing = asyncio.gather(bus.close(60), bus.close(60))
        await some_turns()
        assert not closing.done()
        for event in (Happened(2), HappenedAgain(2)):
            with pytest.raises(BusClosedError):
                await bus.publish(event)
        waiting.release.set()
        async with asyncio.timeout(PATIENCE):
            await closing
            await bus.close(60)
            await make_bus([]).close(60)
        assert (publishing.done(), waiting.ended, trace, errors(caplog)) == (True, "heard", ["next 1"], "")

    @pytest.mark.parametrize("options", [each for name, each in DELIVERIES.items() if name != "bare"])
    async def test_closing_cuts_off_who_hears_too_long(
        self, make_bus: MakeBus, options: Options, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At the deadline who still hears is cancelled and logged by name, and so is who is not told for it."""
        waiting, trace = Waiting(), Trace()
        after = [] if "delivery" in options else [Happened.heard_by(trace.noting("next"))]
        bus = make_bus([Happened.heard_by(waiting, **options), *after])
        publishing = asyncio.create_task(bus.publish(Happened()))
        await waiting.begun.wait()
        await bus.close(0)
        assert (publishing.done(), publishing.cancelled(), waiting.ended) == (True, False, "cancelled")
        assert (trace, "Waiting" in errors(caplog)) == ([], True)
        assert all(each.name in errors(caplog) for each in after)
