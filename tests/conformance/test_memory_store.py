"""The in-memory store, held to the suite that every store is held to."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.identity import Rate, UserStatus
from dashtam_core.kernel import Subject, UserId, new_id
from dashtam_core.memory import FixedClock, MemoryRateLimiter, MemoryStore, open_memory_store
from dashtam_core.messaging import KeyState
from dashtam_core.store import Store
from dashtam_core.testing import StoreConformance
from dashtam_core.testing._identity import API, SESSION, TOKEN, ask, credential, has, owners, user
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


async def test_maintenance_clears_what_has_had_its_day() -> None:
    """Who stayed unverified for a day is gone with all they have here, and so is what expired a day ago."""
    store = MemoryStore(FixedClock(NOON + timedelta(days=1, seconds=1)))
    old, new = (Subject(UserId(new_id()), frozenset()) for _ in range(2))
    kept = credential(API, "3", expires_at=NOON + timedelta(seconds=2))
    ended = credential(SESSION, "2", expires_at=NOON)
    for person, age in ((old, 0), (new, 2), (ANN, 0)):
        one = user(person, "x@x.org")
        one.created_at, one.status = (
            NOON + timedelta(seconds=age),
            UserStatus.ACTIVE if person is ANN else one.status,
        )
        async with store.unit_of_work(person) as unit:
            await unit.users.add(one)
            await unit.users.claim(person.user_id.bytes)
            await unit.credentials.add(credential(API, of=person))
    async with store.unit_of_work(ANN) as unit:
        for each in (kept, ended, credential(TOKEN, session_id=ended.credential_id)):
            await unit.credentials.add(each)
    await store.maintain()
    left = [await ask(store, person, has) for person in (old, new, ANN)]
    assert left == [[None, "", "", ""], ["x@x.org", "", "", "1"], ["x@x.org", "", "", "31"]]
    assert await owners(store, old.user_id.bytes, new.user_id.bytes) == [None, new.user_id]


@given(
    rates=st.lists(st.builds(Rate, st.integers(1, 4), st.sampled_from([0.5, 1.0, 3.0])), min_size=3, max_size=3),
    steps=st.lists(st.tuples(st.integers(0, 4), st.sets(st.integers(0, 2), min_size=1)), max_size=40),
)
def test_a_rate_holds_over_any_time(rates: list[Rate], steps: list[tuple[int, set[int]]]) -> None:
    """Between any two that got in are no more than the burst and one an interval; who waits as told gets in."""
    clock = FixedClock()
    limiter, let_in = MemoryRateLimiter(clock), dict[str, list[datetime]]()

    async def take(keys: set[int]) -> float:
        wait = (await limiter.take({str(key): rates[key] for key in keys})).wait
        for key in () if wait else keys:
            let_in.setdefault(str(key), []).append(clock.now())
        return wait

    async def run() -> None:
        for quarters, keys in steps:
            clock.advance(timedelta(seconds=quarters / 4))
            if wait := await take(keys):
                clock.advance(timedelta(seconds=wait) - timedelta.resolution)
                assert await take(keys) > 0
                clock.advance(timedelta.resolution)
                assert await take(keys) == 0.0

    asyncio.run(run())
    for key, times in let_in.items():
        for first, start in enumerate(times):
            for nth, end in enumerate(times[first:], 1):
                assert nth <= rates[int(key)].burst + (end - start).total_seconds() / rates[int(key)].seconds


async def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    """Whoever waits as long as they are told gets in, as if it had not been."""
    clock, rate = FixedClock(), Rate(3, 60.0)
    limiter = MemoryRateLimiter(clock)
    await limiter.take({"key": rate})
    clock.advance(timedelta(hours=-1))
    wait = (await limiter.take({"key": rate})).wait
    assert 0 < wait <= rate.seconds
    clock.advance(timedelta(seconds=wait))
    assert not (await limiter.take({"key": rate})).wait


async def test_keys_that_have_room_again_are_forgotten() -> None:
    """However many keys there are over time, those with nothing to say take no memory."""
    clock = FixedClock()
    limiter = MemoryRateLimiter(clock)
    for number in range(5_000):
        assert (await limiter.take({str(number): Rate(1, 1.0), "held": Rate(5_000, 3600.0)})).wait == 0.0
        clock.advance(timedelta(seconds=1))
    assert len(limiter.until) <= 1_000
    assert (await limiter.take({"held": Rate(1, 3600.0)})).wait > 0
