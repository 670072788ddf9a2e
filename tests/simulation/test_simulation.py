"""Every promise of the core at once, whatever goes wrong: many small runs, each told by its seed."""

import asyncio
import os
import subprocess
import sys
from typing import Final

import attrs
import pytest

from dashtam_core import Dashtam, Settings, provide
from dashtam_core.audit import Phase
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.memory import MemoryStore
from dashtam_core.store import UnitOfWork
from dashtam_core.testing.faults import Fault, Faults, faulty
from dashtam_core.testing.simulation import SimulatedClock, simulate
from simulation.model import simulated
from simulation.planted import BUGS, Plant
from simulation.world import PEOPLE, Mark, Marked, MarkHandler, Survivors, World

FULL: Final = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
SEEDS: Final = 10_000 if FULL else 500
BATCH: Final = 250 if FULL else 50
ONLY: Final = os.environ.get("SIMULATION_SEED")


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH) if ONLY is None else [int(ONLY)])
def test_every_promise_holds_whatever_goes_wrong(first: int) -> None:
    """State, trail, events, effects and answers agree, and the log verifies, in every run of these seeds."""
    for seed in range(first, first + (BATCH if ONLY is None else 1)):
        simulated(seed)


def story(world: World) -> list[str]:
    """All that a run can be told by, but for ids and secrets."""
    trail = [
        f"{each.request_id} {each.phase} {each.code} {each.recorded_at}" for each in world.store.trail.entries
    ]
    return [*world.trace, *(str(each) for node in world.nodes for each in node.plan.done), *trail]


def test_a_seed_is_always_the_same_story() -> None:
    """The same messages, faults and entries at the same instants; and others for another seed."""
    told = [story(simulated(seed)) for seed in range(10)]
    assert told == [story(simulated(seed)) for seed in range(10)]
    assert len({str(each) for each in told}) == 10


def test_a_seed_is_the_same_story_in_another_process() -> None:
    """Neither addresses nor the hashes of text have a say."""
    program = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from simulation.model import simulated; from simulation.test_simulation import story\n"
        "print('\\n'.join(line for seed in range(5) for line in story(simulated(seed))))"
    )
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [line for seed in range(5) for line in story(simulated(seed))]


def test_everything_does_happen() -> None:
    """The runs hold what they are meant to prove: every fault, crashes, replays, dead letters, lost attempts."""
    worlds = [simulated(seed) for seed in range(60)]
    entries = [entry for world in worlds for entry in world.store.trail.entries]
    assert {entry.phase for entry in entries} == set(Phase)
    assert {each.fault for world in worlds for node in world.nodes for each in node.plan.done} == set(Fault)
    assert any(world.store.outbox.waiting for world in worlds)
    assert any("down" in line for world in worlds for line in world.trace)
    assert {type(sent.heard).__name__ for world in worlds for sent in world.sent} >= {
        *("Success", "Failure", "UnavailableError", "CancelledError", "ZeroDivisionError")
    }


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would break a promise breaks it within the seeds of an ordinary run, and the failure names its seed."""
    plant(monkeypatch)
    seed, error = next(((seed, error) for seed in range(500) if (error := failure(seed))), (None, None))
    sys.stdout.write(f"\n{plant.__name__}: found by seed {seed}\n")
    assert error is not None
    assert f"again: SIMULATION_SEED={seed} python -m pytest tests/simulation" in error.__notes__


def failure(seed: int) -> AssertionError | None:
    """What the model has against this run."""
    try:
        simulated(seed)
    except AssertionError as error:
        return error
    return None


@attrs.frozen
class Blocking:
    """A durable subscriber in whose delivery the application ends."""

    reached: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, event: Marked, unit: UnitOfWork) -> None:
        self.reached.set()
        await asyncio.Event().wait()


class Unmaintainable(MemoryStore):
    """Fails while its work is being cancelled, as a store does whose server has just gone."""

    async def maintain(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "gone") from None


def test_an_application_ends_although_its_store_is_gone() -> None:
    """An error while a delivery or a worker is cancelled does not hide that it was: nothing goes on for ever."""

    async def main() -> None:
        blocking, plan = Blocking(), Faults()
        async with Dashtam.open(
            settings=Settings(key="k" * 32),
            store=faulty(Unmaintainable(SimulatedClock()), plan),
            plugins=[],
            overrides=[provide(Survivors).value(Survivors())],
            routes=[Mark.handled_by(MarkHandler)],
            subscriptions=[Marked.delivered_to("blocking", blocking)],
        ) as dashtam:
            await dashtam.acting_as(PEOPLE["ann"]).execute(Mark("ann 1"))
            await blocking.reached.wait()
            plan.crash()

    simulate(main(), seed=1, limit_seconds=60)
