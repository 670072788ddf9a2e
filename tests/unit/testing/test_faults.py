"""Faults by plan: what was asked for happens where it was asked for, and nothing else changes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, assert_type

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ImportStatement
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Success, UnavailableCode, UnavailableError
from dashtam_core.memory import MemoryStore
from dashtam_core.store import Store
from dashtam_core.testing import StoreConformance
from dashtam_core.testing.faults import PLACES, Fault, Faults, Strike, faulty
from dashtam_core.testing.samples import LinesPlugin, lines


@attrs.frozen
class Room:
    """Handed out by the port, as a value with a port in it."""

    number: int
    inside: "Port"


class Port:
    """An adapter with everything a port may have."""

    capacity = 3

    def __init__(self) -> None:
        self.said: list[str] = []

    @property
    def inner(self) -> "Port":
        return self

    async def say(self, word: str, /) -> int:
        self.said.append(word)
        return len(self.said)

    def note(self, word: str, /) -> None:
        self.said.append(word)

    def unit(self) -> "Port":
        return self

    async def __aenter__(self) -> Self:
        self.said.append("in")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        self.said.append(kind.__name__ if kind else "out")

    @asynccontextmanager
    async def room(self) -> AsyncGenerator[Room]:
        try:
            yield Room(7, self)
        except BaseException as error:
            self.said.append(type(error).__name__)
            raise

    async def words(self) -> AsyncIterator[str]:
        for word in ("a", "b", "c"):
            yield word


async def enter(port: Port) -> None:
    async with port.unit():
        pass


FAILED, ENDED = "UnavailableError", "CancelledError"

CASES: list[tuple[Fault, str, list[str], str]] = [
    (Fault.FAIL_BEFORE, "say", [], FAILED),
    (Fault.FAIL_AFTER, "say", ["word"], FAILED),
    (Fault.DELAY, "say", ["word"], ""),
    (Fault.DUPLICATE, "say", ["word", "word"], ""),
    (Fault.DROP, "say", [], ENDED),
    (Fault.CANCEL, "say", ["word"], ENDED),
    (Fault.CRASH, "say", [], FAILED),
    (Fault.FAIL_BEFORE, "unit.__aenter__", [], FAILED),
    (Fault.FAIL_AFTER, "unit.__aenter__", ["in", FAILED], FAILED),
    (Fault.DROP, "unit.__aenter__", [], ENDED),
    (Fault.CANCEL, "unit.__aenter__", ["in", ENDED], ENDED),
    (Fault.FAIL_BEFORE, "unit.__aexit__", ["in", FAILED], FAILED),
    (Fault.FAIL_AFTER, "unit.__aexit__", ["in", "out"], FAILED),
    (Fault.DELAY, "unit.__aexit__", ["in", "out"], ""),
    (Fault.DROP, "unit.__aexit__", ["in", ENDED], ENDED),
    (Fault.CANCEL, "unit.__aexit__", ["in", "out"], ENDED),
    (Fault.CRASH, "unit.__aexit__", ["in", FAILED], FAILED),
]


@pytest.mark.parametrize(("fault", "path", "happened", "heard"), CASES)
async def test_a_fault_does_what_it_says(fault: Fault, path: str, happened: list[str], heard: str) -> None:
    """What happens to the adapter, and what the caller hears, for each fault of a call and of a block."""
    port, plan = Port(), Faults.at(path, fault=fault, seconds=0.0)
    wrapped = faulty(port, plan)
    task = asyncio.ensure_future(wrapped.say("word") if path == "say" else enter(wrapped))
    await asyncio.wait([task])
    error = None if task.cancelled() else task.exception()
    assert (port.said, ENDED if task.cancelled() else type(error).__name__ if error else "") == (happened, heard)
    assert task.cancelling() == (heard == ENDED), "a cancellation is one"
    assert [(each.path, each.fault, each.call) for each in plan.done] == [(path, fault, 1)]


async def test_only_the_call_that_was_planned_fails() -> None:
    """Calls are counted from one, over every place that the pattern fits."""
    plan = Faults(Strike("say", Fault.FAIL_AFTER, 2), Strike("in*.say", Fault.FAIL_BEFORE, 2))
    port = faulty(Port(), plan)
    assert await port.say("a") == 1
    with pytest.raises(UnavailableError, match=r"planned: inner\.say #1: fail_after") as lost:
        await port.inner.say("b")
    with pytest.raises(UnavailableError):
        await port.inner.say("c")
    assert await port.inner.say("d") == 3
    assert lost.value.code is UnavailableCode.STORE_UNREACHABLE
    assert plan.calls == {"say": 1, "inner.say": 3}
    assert str(plan) == "inner.say #1: fail_after\ninner.say #2: fail_before"


async def test_what_is_handed_out_is_struck_too() -> None:
    """Ports in values, in iterators and in what a method answers; other things are what they were."""
    paths: list[tuple[str, Callable[[Port], Any], object]] = [
        ("room.inside.say", _in_a_room, 1),
        ("words.__anext__", _all_words, ["a", "b", "c"]),
        ("unit.inner.say", lambda port: port.unit().inner.say("word"), 1),
    ]
    for path, work, answer in paths:
        with pytest.raises(ZeroDivisionError):
            await work(faulty(Port(), Faults.at(path, fault=Fault.FAIL_BEFORE, error=ZeroDivisionError)))
        assert await work(faulty(Port(), Faults())) == answer
    port = faulty(Port(), Faults.at("*", fault=Fault.FAIL_BEFORE))
    port.note("handed over")
    assert (port.said, port.capacity, isinstance(port, Port)) == (["handed over"], 3, True)


async def _in_a_room(port: Port) -> int:
    async with port.room() as room:
        assert room.number == 7
        return await room.inside.say("word")


async def _all_words(port: Port) -> list[str]:
    return [word async for word in port.words()]


async def test_after_a_crash_nothing_happens_until_a_restart() -> None:
    """What was wrapped before stays dead; an open block is rolled back; what is wrapped anew works."""
    port, plan = Port(), Faults(Strike("inner.say", Fault.CRASH))
    before = faulty(port, plan)
    with pytest.raises(UnavailableError, match="has crashed"):
        async with before.unit():
            await before.inner.say("lost")
    with pytest.raises(UnavailableError, match="say: this process has crashed"):
        await before.say("lost")
    assert plan.crashed.is_set()
    plan.restart()
    with pytest.raises(UnavailableError):
        await before.say("lost")
    assert await faulty(port, plan).say("found") == 3
    assert port.said == ["in", FAILED, "found"]


@pytest.mark.parametrize(("steps", "happened"), [(1, []), (2, ["lost"])])
async def test_whoever_waits_while_it_crashes_hears_nothing(steps: int, happened: list[str]) -> None:
    """A call that was under way has happened or not: its caller is dead."""
    port, plan = Port(), Faults()
    waiting = asyncio.create_task(faulty(port, plan).say("lost"))
    for _ in range(steps):
        await asyncio.sleep(0)
    plan.crash()
    with pytest.raises(UnavailableError, match="has crashed"):
        await waiting
    assert port.said == happened


async def test_a_seed_is_a_plan() -> None:
    """One seed strikes alike each time, and only where a fault is fair; stopped, nothing more goes wrong."""

    async def struck(seed: int) -> str:
        plan = Faults.seeded(seed, rate=0.5, places={Fault.FAIL_AFTER: ["say"]})
        port = faulty(Port(), plan)
        for _ in range(30):
            with suppress(UnavailableError):
                await port.say("a")
            await enter(port)
        assert {each.path for each in plan.done} == {"say"}
        plan.stop()
        assert [await port.say("b") for _ in range(30)]
        return str(plan)

    told = [await struck(seed) for seed in range(5)]
    assert told == [await struck(seed) for seed in range(5)]
    assert len(set(told)) == 5
    assert 5 < len(told[0].splitlines()) < 25
    assert str(Faults()) == "no faults"


async def test_an_import_survives_every_fault_at_every_call() -> None:
    """Whichever call of an import fails in whichever way, the next one succeeds and each row is there once."""
    file, settings = lines("account;1", "row;2026-01-01;1;x"), Settings(master_key="k" * 32)

    async def twice(plan: Faults) -> int:
        store = faulty(MemoryStore(), plan)
        async with Dashtam.open(settings=settings, store=store, plugins=[LinesPlugin()], workers=False) as dashtam:
            me = dashtam.acting_as(ExternalSubject("me"))
            first = asyncio.create_task(me.execute(ImportStatement(file)))
            await asyncio.wait([first])
            assert isinstance(await me.execute(ImportStatement(file)), Success)
            people = store.people.values()
            return sum(len(rows) for person in people for rows in person.transactions.values())

    counted = Faults()
    assert await twice(counted) == 1
    assert set(counted.calls) > {"audit.record", "unit_of_work.__aexit__", "unit_of_work.accounts.add_accounts"}
    for path in set(counted.calls) - {
        "ping",
        "keys.wrappings",
        "keys.add",
        "deliveries.register",
    }:  # a store that does not answer is not opened
        for fault in set(PLACES) - {Fault.DUPLICATE}:
            assert await twice(Faults.at(path, fault=fault, seconds=0.0)) == 1, (path, fault)


async def test_types_stay() -> None:
    """Both checkers take what is wrapped for what it was."""
    plan = Faults()
    assert_type(faulty(MemoryStore(), plan), MemoryStore)
    store: Store = faulty(MemoryStore(), plan)
    assert isinstance(store, MemoryStore)


class TestFaultyStore(StoreConformance):
    """A plan without faults changes nothing that a store promises."""

    @pytest.fixture
    async def store(self) -> Store:
        return faulty(MemoryStore(), Faults())
