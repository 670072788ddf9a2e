"""The event bus in this process: who hears what, when, in which context, and what a failing subscriber can do."""

import asyncio
import logging
from asyncio import CancelledError
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any

import attrs
import pytest

from dashtam_core.memory import MemoryEventBus, _bus
from dashtam_core.messaging import BusClosedError, Delivery, DomainEvent

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
ISOLATED = {name: options for name, options in DELIVERIES.items() if "bare" not in name}
every_delivery = pytest.mark.parametrize("options", DELIVERIES.values(), ids=DELIVERIES)
every_isolated = pytest.mark.parametrize("options", ISOLATED.values(), ids=ISOLATED)

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

    async def __call__(self, event: Happened) -> None:
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


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def some_turns() -> None:
    """Long enough for whatever is going to happen by itself."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_ordered_subscribers_hear_one_after_another() -> None:
    """Each hears to its end before the next begins, in order of registration, also if it has to wait."""
    trace, first = Trace(), Waiting()
    bus = MemoryEventBus([Happened.heard_by(first), *map(Happened.heard_by, map(trace.noting, "abc"))])
    publishing = asyncio.create_task(bus.publish(Happened(1)))
    await some_turns()
    assert (first.begun.is_set(), trace) == (True, [])
    first.release.set()
    await publishing
    assert trace == ["a 1", "b 1", "c 1"]


async def test_subscribers_hear_of_their_event_class_alone() -> None:
    """One event is one class: neither another nor a subclass is heard, and what nobody hears is no error."""
    trace = Trace()
    bus = MemoryEventBus([Happened.heard_by(trace.noting("heard"))])
    await bus.publish(HappenedAgain(1))
    await bus.publish(Happened(2))
    assert trace == ["heard 2"]


async def test_concurrent_subscribers_hear_at_once() -> None:
    """Those who need each other to go on all get to the end, and publishing ends after the last of them."""
    meet, trace = asyncio.Barrier(3), Trace()

    async def hear(event: Happened) -> None:
        await meet.wait()
        trace.append("met")

    told = [Happened.heard_by(hear, **options) for options in (CONCURRENT, CONCURRENT, {})]
    async with asyncio.timeout(30):
        await MemoryEventBus(told).publish(Happened())
    assert trace == ["met"] * 3


async def test_concurrent_subscribers_begin_first() -> None:
    """Whatever the order of registration, the concurrent ones have begun before the first ordered one hears."""
    trace = Trace()
    ordered, concurrent = trace.noting("ordered"), trace.noting("at once")
    await MemoryEventBus([Happened.heard_by(ordered), Happened.heard_by(concurrent, **CONCURRENT)]).publish(
        Happened(1)
    )
    assert trace == ["at once 1", "ordered 1"]


@every_delivery
async def test_subscribers_see_their_publishers_context(options: Options) -> None:
    """1,000 publishes at once, each with a context of its own: none is mixed up, before or after waiting."""
    seen: list[tuple[int, str, str]] = []
    everybody = asyncio.Event()

    async def hear(event: Happened) -> None:
        before = whose.get()
        await everybody.wait()
        seen.append((event.number, before, whose.get()))

    bus = MemoryEventBus([Happened.heard_by(hear, **options)])

    async def publish(number: int) -> None:
        whose.set(str(number))
        await bus.publish(Happened(number))

    async with asyncio.TaskGroup() as group:
        for number in range(1000):
            group.create_task(publish(number))
        await asyncio.sleep(0)
        everybody.set()
    assert sorted(seen) == [(number, str(number), str(number)) for number in range(1000)]


@every_isolated
async def test_isolated_subscribers_leave_nothing_behind(options: Options) -> None:
    """What one sets, before or after waiting, stays with it for as long as it hears, and nobody else sees it."""
    seen: list[list[str]] = []

    async def hear(event: Happened) -> None:
        mine = [whose.get()]
        for value in ("before", "after"):
            whose.set(value)
            await asyncio.sleep(0)
            mine.append(whose.get())
        seen.append(mine)

    bus = MemoryEventBus([Happened.heard_by(hear, **options), Happened.heard_by(hear)])

    async def publish(number: int) -> None:
        whose.set(f"{number:03}")
        await bus.publish(Happened())
        assert whose.get() == f"{number:03}"

    await asyncio.gather(*map(publish, range(1000)))
    assert sorted(seen) == [[f"{number // 2:03}", "before", "after"] for number in range(2000)]


async def test_ordered_subscribers_run_in_their_publishers_task() -> None:
    """None is made for them: timeouts and task groups of their own work, and what bare ones set stays set."""
    seen: list[object] = []

    async def hear(event: Happened) -> None:
        seen.append(asyncio.current_task())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            seen.append(await group.create_task(asyncio.sleep(0, "an answer")))
        whose.set("a subscriber")

    for options in (DELIVERIES["ordered"], DELIVERIES["bare"], DELIVERIES["bare with a timeout"]):
        whose.set("the publisher")
        await MemoryEventBus([Happened.heard_by(hear, **options)]).publish(Happened())
        assert whose.get() == ("a subscriber" if options else "the publisher")
    assert seen == [asyncio.current_task(), "an answer"] * 3


async def _fail(event: Happened) -> None:
    raise RuntimeError("no")


async def _fail_later(event: Happened) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("no")


async def _cancel(event: Happened) -> None:
    raise CancelledError


async def _cancel_later(event: Happened) -> None:
    never = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(never.cancel)
    await never


@every_delivery
@pytest.mark.parametrize("fail", [_fail, _fail_later, _cancel, _cancel_later])
async def test_a_failing_subscriber_stops_nobody(
    fail: Hearing, options: Options, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, with its name, the event's class and id, and its exception; the others hear.

    A subscriber that cancels itself has failed too: the publisher goes on.
    """
    trace, event, name = Trace(), Happened(1), fail.__qualname__
    others = (Happened.heard_by(trace.noting("a")), Happened.heard_by(trace.noting("b"), **options))
    await MemoryEventBus([Happened.heard_by(fail, **options), *others]).publish(event)
    assert sorted(trace) == ["a 1", "b 1"]
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, f"subscriber failed: {name} on Happened")
    extra = {"subscriber": name, "event_name": "Happened", "event_id": event.event_id}
    assert extra.items() <= vars(record).items()
    assert record.exc_info
    assert record.exc_info[0] is (CancelledError if "cancel" in name else RuntimeError)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_concurrent_subscriber_that_is_cancelled_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever cancels its task ends the subscriber alone: that is logged, and the publisher goes on."""
    waiting = Waiting()
    publishing = asyncio.create_task(
        MemoryEventBus([Happened.heard_by(waiting, **CONCURRENT)]).publish(Happened())
    )
    await waiting.begun.wait()
    (hearing,) = asyncio.all_tasks() - {asyncio.current_task(), publishing}
    hearing.cancel()
    await publishing
    assert logged(caplog) == ["subscriber failed: Waiting on Happened"]


@every_delivery
async def test_a_subscriber_that_takes_too_long_is_cancelled(
    options: Options, caplog: pytest.LogCaptureFixture
) -> None:
    """After its timeout it is told to end, logged once with that timeout, and the others hear."""
    waiting, trace = Waiting(), Trace()
    short = attrs.evolve(Happened.heard_by(waiting, **options), timeout=0.01)
    await MemoryEventBus([short, Happened.heard_by(trace.noting("next"))]).publish(Happened(1))
    assert (waiting.ended, trace) == ("cancelled", ["next 1"])
    (record,) = caplog.records
    assert record.getMessage() == "subscriber failed: Waiting on Happened"
    assert vars(record)["timeout_seconds"] == 0.01
    assert record.exc_info
    assert record.exc_info[0] is TimeoutError


async def cancelled(publishing: asyncio.Task[None]) -> None:
    """Cancels, and insists that it is of use and leaves no task behind."""
    publishing.cancel()
    with pytest.raises(CancelledError):
        await publishing
    assert asyncio.all_tasks() == {asyncio.current_task()}


@every_delivery
async def test_cancelling_the_publisher_cancels_who_hears(
    options: Options, caplog: pytest.LogCaptureFixture
) -> None:
    """Every subscriber has ended when the publisher is cancelled, none after it is told, and nothing is logged."""
    waiting, other, trace = Waiting(), Waiting(), Trace()
    told = [Happened.heard_by(other, **CONCURRENT), Happened.heard_by(waiting, **options)]
    if "delivery" not in options:
        told.append(Happened.heard_by(trace.noting("too late")))
    publishing = asyncio.create_task(MemoryEventBus(told).publish(Happened()))
    await waiting.begun.wait()
    await cancelled(publishing)
    assert (waiting.ended, other.ended) == ("cancelled", "cancelled")
    assert (trace, caplog.records) == ([], [])


@every_isolated
async def test_a_subscriber_cannot_swallow_a_cancellation(options: Options) -> None:
    """The publisher is cancelled although its subscriber goes on to its end; that end is waited for."""
    stubborn, trace = Waiting(stubborn=True), Trace()
    told = [Happened.heard_by(stubborn, **options), Happened.heard_by(trace.noting("too late"), timeout=1)]
    publishing = asyncio.create_task(MemoryEventBus(told[: 1 if "delivery" in options else 2]).publish(Happened()))
    await stubborn.begun.wait()
    publishing.cancel()
    await some_turns()
    assert not publishing.done()
    stubborn.release.set()
    with pytest.raises(CancelledError):
        await publishing
    assert (stubborn.ended, trace) == ("heard", [])


async def test_a_publisher_may_be_cleaning_up(caplog: pytest.LogCaptureFixture) -> None:
    """One that was cancelled before it publishes has its subscribers heard to the end, and told apart from it."""
    trace = Trace()

    async def clean_up() -> None:
        with pytest.raises(CancelledError):
            await asyncio.Event().wait()
        told = [Happened.heard_by(_fail_later), Happened.heard_by(trace.noting("next"))]
        await MemoryEventBus(told).publish(Happened(1))

    cleaning = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    cleaning.cancel()
    await cleaning
    assert (trace, logged(caplog)) == (["next 1"], ["subscriber failed: _fail_later on Happened"])


async def test_what_failed_before_a_cancellation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A concurrent subscriber that had failed by the time the publisher is cancelled is not forgotten."""
    told = [Happened.heard_by(_fail_later, **CONCURRENT), Happened.heard_by(Waiting())]
    publishing = asyncio.create_task(MemoryEventBus(told).publish(Happened()))
    await some_turns()
    await cancelled(publishing)
    assert logged(caplog) == ["subscriber failed: _fail_later on Happened"]


class Stop(BaseException):
    """What no subscriber fails with, but a program ends with."""


@every_delivery
@pytest.mark.parametrize("waits", [False, True])
async def test_what_ends_a_program_is_not_kept_back(
    waits: bool, options: Options, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that is no `Exception` passes through the bus, and leaves no task behind."""
    other = Waiting()

    async def stop(event: Happened) -> None:
        if waits:
            await asyncio.sleep(0)
            other.release.set()
        raise Stop

    bus = MemoryEventBus([Happened.heard_by(other, **CONCURRENT), Happened.heard_by(stop, **options)])
    with pytest.raises(Stop):
        await bus.publish(Happened())
    assert other.ended
    assert (asyncio.all_tasks(), caplog.records) == ({asyncio.current_task()}, [])


@every_delivery
async def test_closing_waits_for_who_hears(options: Options, caplog: pytest.LogCaptureFixture) -> None:
    """A publish that is under way comes to its end; nothing is published any more, heard or not."""
    waiting, trace = Waiting(), Trace()
    bus = MemoryEventBus([Happened.heard_by(waiting, **options), Happened.heard_by(trace.noting("next"))])
    publishing = asyncio.create_task(bus.publish(Happened(1)))
    await waiting.begun.wait()
    closing = asyncio.gather(bus.close(60), bus.close(60))
    await some_turns()
    assert not closing.done()
    for event in (Happened(2), HappenedAgain(2)):
        with pytest.raises(BusClosedError, match=rf"{type(event).__name__} .* closed, .*: close the bus after"):
            await bus.publish(event)
    waiting.release.set()
    async with asyncio.timeout(30):
        await closing
        await bus.close(60)
        await MemoryEventBus().close(60)
    assert (publishing.done(), waiting.ended, trace, caplog.records) == (True, "heard", ["next 1"], [])


@pytest.mark.parametrize("options", [each for name, each in DELIVERIES.items() if name != "bare"])
async def test_closing_cuts_off_who_hears_too_long(options: Options, caplog: pytest.LogCaptureFixture) -> None:
    """At the deadline whoever still hears is cancelled, and logged by name like those it kept from hearing.

    The publisher is not cancelled.
    """
    one, two, trace = Waiting(), Waiting(), Trace()
    told = [Happened.heard_by(one, **CONCURRENT), Happened.heard_by(two, **options)]
    after = [] if "delivery" in options else [Happened.heard_by(trace.noting("next"))]
    bus = MemoryEventBus([*told, *after])
    publishing = asyncio.create_task(bus.publish(Happened()))
    await two.begun.wait()
    await bus.close(0)
    assert publishing.done()
    assert publishing.result() is None
    assert (one.ended, two.ended, trace) == ("cancelled", "cancelled", [])
    not_told = ["subscriber not told: Trace.noting.<locals>.hear on Happened"] * len(after)
    assert logged(caplog) == ["subscriber cut off: Waiting on Happened"] * 2 + not_told


async def test_closing_that_is_cancelled_cuts_off_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Who gives up waiting for the bus to close leaves nobody hearing."""
    bus = MemoryEventBus([Happened.heard_by(Waiting())])
    publishing = asyncio.create_task(bus.publish(Happened()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(bus.close(60))
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(30):
        await publishing
    assert (closing.cancelled(), logged(caplog)) == (True, ["subscriber cut off: Waiting on Happened"])


async def test_who_cannot_be_cut_off_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bare subscriber is its publisher's to cancel, another may refuse to end: closing ends without them."""
    monkeypatch.setattr(_bus, "_LAST_WORDS", 0.01)
    bare, overdue = Waiting(), Waiting(stubborn=True)
    bus = MemoryEventBus([Happened.heard_by(bare, isolated=False), HappenedAgain.heard_by(overdue, timeout=0.01)])
    publishing = asyncio.gather(bus.publish(Happened()), bus.publish(HappenedAgain()))
    await overdue.refused.wait()
    await bus.close(0)
    assert not publishing.done()
    bare.release.set()
    overdue.release.set()
    await publishing
    assert logged(caplog) == [
        "subscriber cut off: Waiting on HappenedAgain",
        "2 publishes did not end: their subscribers ignore that they are cut off, or are bare (Waiting)",
    ]


class Named:
    async def method(self, event: Happened) -> None: ...

    async def __call__(self, event: Happened) -> None: ...


@pytest.mark.parametrize(
    ("subscriber", "name"),
    [(_fail, "_fail"), (Named().method, "Named.method"), (Named(), "Named"), (partial(partial(_fail)), "_fail")],
)
def test_subscribers_have_a_name(subscriber: Hearing, name: str) -> None:
    """The log calls functions, methods and callable objects by the name their author gave them."""
    assert Happened.heard_by(subscriber).name == name


def test_a_subscription_that_makes_no_sense_is_refused() -> None:
    """A timeout is more than nothing, and a task always has a context of its own."""
    for seconds in (0, -1):
        with pytest.raises(ValueError, match="_fail has a timeout of"):
            Happened.heard_by(_fail, timeout=seconds)
    with pytest.raises(ValueError, match="_fail cannot be both bare and concurrent"):
        Happened.heard_by(_fail, isolated=False, **CONCURRENT)
