"""What every unit of work does with the entries and events that are handed to it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import BrokenError, cancelled_after, names_of
from dashtam_core.testing.samples import ANN, account, actions_of, entry, event, hear_all, tell


async def _leave(_: UnitOfWork) -> None:
    """Ends the block as if nothing was left to do."""


async def _flush(unit: UnitOfWork) -> None:
    await unit.flush()


async def _flush_twice(unit: UnitOfWork) -> None:
    await unit.flush()
    await unit.flush()


async def _discard(unit: UnitOfWork) -> None:
    unit.discard()


async def _raise(_: UnitOfWork) -> None:
    raise BrokenError


async def _flush_and_discard(unit: UnitOfWork) -> None:
    await unit.flush()
    unit.discard()


async def _flush_and_raise(unit: UnitOfWork) -> None:
    await unit.flush()
    raise BrokenError


type Ending = Callable[[UnitOfWork], Awaitable[None]]

COMMITTING = (_leave, _flush, _flush_twice)
UNDOING = (_discard, _raise, _flush_and_discard, _flush_and_raise)


async def state(store: Store) -> tuple[list[str], list[str], list[str]]:
    """The accounts, the trail, and the events that the subscriber `watch` has not seen yet, sorted."""
    payloads = sorted(each.payload for each in await hear_all(store, "watch"))
    return await names_of(store, ANN), sorted(await actions_of(store)), payloads


async def write(unit: UnitOfWork, name: str) -> None:
    """A change with its entry and its event."""
    await unit.accounts.add_accounts([account(name)])
    unit.trail.add(entry(name))
    unit.outbox.add([event(name)])


class UnitPromises(Conformance):
    """A change, its entries and its events are one."""

    @pytest.mark.parametrize("ending", COMMITTING)
    async def test_a_change_commits_with_its_entries_and_events(self, store: Store, ending: Ending) -> None:
        """What was handed over is written once, whether or not the unit is flushed before it is left."""
        await store.deliveries.register({"watch": ["Noted"]})
        async with store.unit_of_work(ANN) as unit:
            await write(unit, "a")
            unit.trail.add(entry("b"))
            unit.outbox.add([event("b"), event("c")])
            unit.outbox.add([])
            await ending(unit)
        payloads = ['{"text":"a"}', '{"text":"b"}', '{"text":"c"}']
        assert await state(store) == (["account a"], ["a", "b"], payloads)

    @pytest.mark.parametrize("ending", UNDOING)
    async def test_a_change_that_is_undone_takes_its_entries_and_events_along(
        self, store: Store, ending: Ending
    ) -> None:
        """A unit that is discarded or raises leaves neither change nor entry nor event, flushed or not."""
        await store.deliveries.register({"watch": ["Noted"]})
        with suppress(BrokenError):
            async with store.unit_of_work(ANN) as unit:
                await write(unit, "a")
                await ending(unit)
        assert await state(store) == ([], [], [])

    @pytest.mark.parametrize("ending", [*COMMITTING, *UNDOING])
    async def test_a_unit_that_was_left_may_be_entered_again(self, store: Store, ending: Ending) -> None:
        """The second time is a fresh transaction of the same repositories: nothing of the first comes along."""
        await store.deliveries.register({"watch": ["Noted"]})
        unit = store.unit_of_work(ANN)
        accounts, trail, outbox = unit.accounts, unit.trail, unit.outbox
        with suppress(BrokenError):
            async with unit:
                await write(unit, "first")
                await ending(unit)
        async with unit:
            await accounts.add_accounts([account("second")])
            trail.add(entry("second"))
            outbox.add([event("second")])
        first = ["first"] if ending in COMMITTING else []
        assert await state(store) == (
            [f"account {name}" for name in (*first, "second")],
            [*first, "second"],
            [f'{{"text":"{name}"}}' for name in (*first, "second")],
        )

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34])
    async def test_a_cancelled_change_agrees_with_its_entries_and_events(self, store: Store, steps: int) -> None:
        """Wherever a cancellation strikes, change, entry and event are all there or none is."""
        await store.deliveries.register({"watch": ["Noted"]})

        async def work() -> None:
            async with store.unit_of_work(ANN) as unit:
                await write(unit, "a")
                await unit.flush()

        await cancelled_after(steps, work())
        assert await state(store) in (([], [], []), (["account a"], ["a"], ['{"text":"a"}']))

    async def test_a_discarded_unit_is_not_discarded_for_ever(self, store: Store) -> None:
        """Entered a third time it commits, though nothing was written the second."""
        unit = store.unit_of_work(ANN)
        async with unit:
            unit.discard()
        async with unit:
            pass
        async with unit:
            unit.trail.add(entry("third"))
        assert await actions_of(store) == ["third"]

    async def test_maintenance_takes_nothing_that_is_needed(self, store: Store) -> None:
        """Keeping house leaves entries, and events that were not delivered yet."""
        await store.deliveries.register({"watch": ["Noted"]})
        await tell(store, event("waits"))
        await store.audit.record([entry("stays")])
        await store.maintain()
        assert await state(store) == ([], ["stays"], ['{"text":"waits"}'])
