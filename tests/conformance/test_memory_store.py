"""The in-memory store, held to the suite that every store is held to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import attrs
import pytest

from dashtam_core.memory import MemoryStore, open_memory_store
from dashtam_core.messaging import KeyState
from dashtam_core.store import Store
from dashtam_core.testing import StoreConformance
from dashtam_core.testing._people import KEPT, KEY, claim, keep
from dashtam_core.testing._shared import PATIENCE
from dashtam_core.testing._trail import count_pages
from dashtam_core.testing.samples import ANN, NOON, entry, event, hear, tell


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        async with open_memory_store() as store:
            yield store


async def test_an_answer_is_kept_for_a_day() -> None:
    """After 24 hours the key is free, and may be answered anew."""
    store = MemoryStore()
    await keep(store, ANN)
    for days, found in ((0, KEPT), (1, KeyState.FREE)):
        answers = store.people[ANN.user_id].answers
        at, kept = answers["import", KEY]
        answers["import", KEY] = at - timedelta(days=days), kept
        assert await claim(store, ANN) == found
    await keep(store, ANN)
    assert await claim(store, ANN) == KEPT


async def test_pages_run_through_entries_of_one_instant() -> None:
    """Entries that were recorded in one microsecond are told apart by their ids."""
    store = MemoryStore()
    await store.audit.record([entry(str(number)) for number in range(7)])
    store.trail.entries = [attrs.evolve(each, recorded_at=NOON) for each in reversed(store.trail.entries)]
    assert await count_pages(store) == 7


async def test_an_event_is_not_told_once_its_person_is_erased() -> None:
    """Who waited for its turn while the person was erased finds nothing to tell."""
    store = MemoryStore()
    await store.deliveries.register({"mail": ["Noted"]})
    await tell(store, event("1"))
    async with store.unit_of_work(ANN) as unit:
        hearing = asyncio.create_task(hear(store, "mail"))
        await asyncio.sleep(0)
        await unit.people.erase()
    assert await asyncio.wait_for(hearing, PATIENCE) is None
    assert await hear(store, "mail") is None
