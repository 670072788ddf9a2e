"""The event bus in this process, beyond what any bus must do: whose task is whose, and every line it logs."""

import asyncio
import logging
from asyncio import CancelledError
from functools import partial

import attrs
import pytest

from dashtam_core.memory import MemoryEventBus, _bus
from dashtam_core.messaging import BusClosedError
from dashtam_core.testing._bus import (
    CONCURRENT,
    DELIVERIES,
    Happened,
    HappenedAgain,
    Hearing,
    Options,
    Trace,
    Waiting,
    every_delivery,
    some_turns,
    whose,
)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


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


async def test_a_closed_bus_says_what_to_do() -> None:
    """Who publishes too late reads which event was lost, and what to close first."""
    bus = MemoryEventBus([Happened.heard_by(_fail)])
    await bus.close(0)
    for event in (Happened(), HappenedAgain()):
        with pytest.raises(BusClosedError, match=rf"{type(event).__name__} .* closed, .*: close the bus after"):
            await bus.publish(event)


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
