"""What every unit of work does with what is written in it, its entries and events included."""

import asyncio
from contextlib import nullcontext

import pytest

from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import ALL, NOTHING, BrokenError, seen, write_everything
from dashtam_core.testing.samples import ANN, BEN, account, actions_of, entry, event, have, hear_all, tell

type State = tuple[list[int], list[str], list[str]]

RAISED: dict[str, type[BaseException]] = {
    "raise": BrokenError,
    "interrupt": KeyboardInterrupt,
    "cancel": asyncio.CancelledError,
}
COMMITTING = ("write", "write flush", "write flush flush")
UNDOING = (
    *("discard write", "write discard", "write flush discard", "write flush raise"),
    *("write raise", "write interrupt", "write cancel"),
)
WHOLE: State = ALL, ["a", "b"], [event(text).payload for text in ("a1", "a2", "b1", "b2")]
"""What `write` leaves behind, as `state` tells it."""
NONE: State = NOTHING, [], []


async def state(store: Store) -> State:
    """What there is of Ann's, the trail, and the events that the subscriber `watch` has not seen yet, sorted."""
    payloads = sorted(each.payload for each in await hear_all(store, "watch"))
    return await seen(store, ANN), sorted(await actions_of(store)), payloads


async def watched(store: Store) -> UnitOfWork:
    """A unit of Ann's, whose events `watch` wants."""
    await store.deliveries.register({"watch": ["Noted"]})
    return store.unit_of_work(ANN)


async def write(unit: UnitOfWork) -> None:
    """A change with its entries and its events."""
    await write_everything(unit)
    for name in ("a", "b"):
        unit.trail.add(entry(name))
        unit.outbox.add([event(f"{name}1"), event(f"{name}2")])
    unit.outbox.add([])


async def live(unit: UnitOfWork, steps: str) -> None:
    """Goes through a unit in these steps; what the last one raises has to come out of it."""
    error = RAISED.get(steps.rsplit(maxsplit=1)[-1])
    with pytest.raises(error) if error else nullcontext():
        async with unit:
            for step in steps.split():
                match step:
                    case "write":
                        await write(unit)
                    case "flush":
                        await unit.flush()
                    case "discard":
                        unit.discard()
                    case _:
                        raise RAISED[step]


class UnitPromises(Conformance):
    """A change, its entries and its events are one."""

    @pytest.mark.parametrize("steps", COMMITTING)
    async def test_leaving_a_unit_commits(self, store: Store, steps: str) -> None:
        """A change, its entries and events are written once, whether or not the unit is flushed before."""
        await live(await watched(store), steps)
        assert await state(store) == WHOLE

    @pytest.mark.parametrize("steps", UNDOING)
    async def test_a_unit_that_is_undone_leaves_nothing(self, store: Store, steps: str) -> None:
        """One that is discarded, if only before it writes, or raises anything, leaves neither change nor word."""
        await live(await watched(store), steps)
        assert await state(store) == NONE

    @pytest.mark.parametrize("between", [0, 1])
    @pytest.mark.parametrize("steps", [*COMMITTING, *UNDOING])
    async def test_a_unit_that_was_left_may_be_entered_again(self, store: Store, steps: str, between: int) -> None:
        """Each time is a fresh transaction of the same repositories: nothing of an earlier one comes along."""
        unit = await watched(store)
        accounts, trail, outbox = unit.accounts, unit.trail, unit.outbox
        await live(unit, steps)
        for _ in range(between):
            async with unit:
                pass
        async with unit:
            await accounts.add_accounts([account("second")])
            trail.add(entry("second"))
            outbox.add([event("second")])
        (count, *others), actions, payloads = WHOLE if steps in COMMITTING else NONE
        expected = [count + 1, *others], [*actions, "second"], [*payloads, event("second").payload]
        assert await state(store) == expected

    @pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
    async def test_cancelling_at_any_step_leaves_all_or_nothing(self, store: Store, turns: int) -> None:
        """Wherever a cancellation strikes, the unit is whole or absent, and the store goes on serving."""
        task = asyncio.create_task(live(await watched(store), "write flush"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
        assert await state(store) in (WHOLE, NONE)
        assert await have(store, BEN, account("one"))

    async def test_a_unit_that_is_never_entered_touches_nothing(self, store: Store) -> None:
        """Making a unit costs nothing and holds nothing back, however many there are."""
        made = [await watched(store) for _ in range(100)]
        await live(made[50], "write")
        assert await state(store) == WHOLE

    async def test_maintenance_takes_nothing_that_is_needed(self, store: Store) -> None:
        """Keeping house leaves entries, and events that were not delivered yet."""
        await watched(store)
        await tell(store, event("waits"))
        await store.audit.record([entry("stays")])
        await store.maintain()
        assert await state(store) == (NOTHING, ["stays"], [event("waits").payload])
