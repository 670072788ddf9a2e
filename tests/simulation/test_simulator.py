"""The simulator itself: virtual time, an order drawn from the seed, and nothing that goes wrong unseen."""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta

import pytest

from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Clock
from dashtam_core.memory import FixedClock, MemoryStore
from dashtam_core.messaging import Handover, KeptAnswer, KeyState, StoredEvent
from dashtam_core.testing.simulation import SimulatedClock, StuckError, simulate
from simulation.world import Marked


def test_tasks_are_found_in_sets_as_they_were_made() -> None:
    """What is cancelled or awaited in the order of a set is so in the same order in every run."""

    async def main() -> list[str]:
        async with asyncio.TaskGroup() as group:
            made = {group.create_task(asyncio.sleep(1), name=str(number)) for number in range(20)}
            return [task.get_name() for task in made]

    assert simulate(main(), seed=1) == [str(number) for number in range(20)]


async def test_the_store_in_memory_goes_by_its_clock() -> None:
    """What is due, what is kept and when something was recorded is said by the clock that it was given."""
    clock = FixedClock()
    store, person = MemoryStore(clock), ExternalSubject("ann")
    await store.deliveries.register({"me": ["Marked"]})
    async with store.unit_of_work(person) as unit:
        unit.outbox.add([StoredEvent.of(Marked("m"), person.user_id)])
        await unit.answers.keep("mark", "key", KeptAnswer(b"", ""))
    await store.deliveries.failed(await first(store), "me", "why", retry_in=60)
    clock.advance(timedelta(seconds=59))
    with pytest.raises(AssertionError):
        await first(store)
    clock.advance(timedelta(seconds=1))
    assert (await first(store)).attempt == 2
    clock.advance(timedelta(hours=25))
    async with store.unit_of_work(person) as unit:
        assert await unit.answers.claim("mark", "key") is KeyState.FREE


async def first(store: MemoryStore) -> Handover:
    """What is due, taken and not delivered."""
    taken: list[Handover] = []
    with suppress(ZeroDivisionError):
        async with store.deliveries.next_for("me") as handover:
            assert handover is not None
            taken.append(handover)
            raise ZeroDivisionError
    return taken[0]


async def finishing(order: list[int]) -> None:
    async def finish(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*(finish(number) for number in range(5)))


def order(seed: int) -> tuple[int, ...]:
    found: list[int] = []
    simulate(finishing(found), seed=seed)
    return tuple(found)


def test_the_seed_decides_the_order() -> None:
    """Tasks that are ready together end in any order: the same for one seed, and nearly all for many."""
    assert [order(seed) for seed in range(50)] == [order(seed) for seed in range(50)]
    assert len({order(seed) for seed in range(2_000)}) > 110


def test_time_passes_only_where_nothing_else_can() -> None:
    """A week of waiting takes no time, and is a week by the loop and by the clock."""

    async def main(clock: Clock) -> timedelta:
        before, early = clock.now(), asyncio.create_task(asyncio.sleep(3600, "early"))
        await asyncio.sleep(604_800)
        assert early.done()
        assert asyncio.get_running_loop().time() == 604_800
        return clock.now() - before

    clock = SimulatedClock()
    assert simulate(main(clock), seed=1, limit_seconds=1e6) == timedelta(days=7)
    clock.advance(timedelta(days=1))
    assert (clock.start.month, clock.start.day) == (1, 2)


def test_threads_take_their_turn() -> None:
    """What would run in a thread runs at a drawn moment, answers, and raises where it is awaited."""

    def which(seed: int) -> tuple[str, ...]:
        found: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            both = [loop.run_in_executor(None, found.append, name) for name in ("thread", "other")]
            assert not found
            await asyncio.gather(*both)
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(lambda: 1 // 0)

        simulate(main(), seed=seed)
        return tuple(found)

    assert {which(seed) for seed in range(20)} == {("thread", "other"), ("other", "thread")}
    assert which(3) == which(3)


def test_a_run_that_cannot_end_says_who_waits() -> None:
    """Neither a deadlock nor a loop without an end hangs the test."""

    async def waiting() -> None:
        await asyncio.Event().wait()

    async def polling() -> None:
        while True:  # noqa: ASYNC110 - a loop without an end
            await asyncio.sleep(1)

    with pytest.raises(StuckError, match=r"nothing is due.*code waiting"):
        simulate(waiting(), seed=1)
    with pytest.raises(StuckError, match=r"no end after 101 virtual seconds.*code polling"):
        simulate(polling(), seed=1, limit_seconds=100)


def test_a_failure_names_its_seed() -> None:
    """Also one in a callback, where nobody would have heard of it."""

    async def failing() -> None:
        await asyncio.sleep(2)
        assert not "planned"

    async def calling() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError) as caught:
        simulate(failing(), seed=17)
    assert caught.value.__notes__[0].startswith("simulated with seed 17, ")
    assert caught.value.__notes__[0].endswith(" 2.000000 virtual seconds")
    with pytest.raises(ZeroDivisionError) as unheard:
        simulate(calling(), seed=18)
    assert "seed 18" in unheard.value.__notes__[0]


def test_random_numbers_follow_the_seed_and_are_given_back() -> None:
    """The module `random` is the simulation's while it runs, and the caller's afterwards."""

    async def draw() -> float:
        return random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert simulate(draw(), seed=1) == simulate(draw(), seed=1) != simulate(draw(), seed=2)
    assert random.random() == expected


def test_the_network_is_refused() -> None:
    """A simulation that would leave the process does not."""

    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(NotImplementedError):
        simulate(main(), seed=1)
