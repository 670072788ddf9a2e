"""What every store does with events: brings each to every subscriber that wants it, and its effect with it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from dashtam_core.kernel import Subject, new_id
from dashtam_core.messaging import Handover, OutboxLag, StoredEvent
from dashtam_core.store import Capability, Store, UnitOfWork
from dashtam_core.testing._conformance import Conformance, needs
from dashtam_core.testing._shared import PATIENCE, BrokenError, names_of
from dashtam_core.testing.samples import (
    ANN,
    BEN,
    TEXTS,
    account,
    actions_of,
    entry,
    event,
    have,
    hear,
    hear_all,
    tell,
    within,
)

HOUR = 3600.0


def own(handover: Handover) -> UnitOfWork:
    """The unit of a handover, as the store gives it."""
    return cast("UnitOfWork", handover.unit)


async def effect(handover: Handover) -> None:
    """A change, an entry and an event that come of a delivery."""
    unit = own(handover)
    await unit.accounts.add_accounts([account("made")])
    unit.trail.add(entry("made"))
    unit.outbox.add([event("made", Subject(handover.event.user_id, frozenset()), "Made")])


async def told(store: Store, *texts: str, to: Sequence[str] = ("mail",)) -> list[StoredEvent]:
    """Events that these subscribers asked for, and wait for."""
    await store.deliveries.register({subscriber: ["Noted"] for subscriber in to})
    events = list(map(event, texts))
    await tell(store, *events)
    return events


async def heard(store: Store, subscriber: str) -> Counter[StoredEvent]:
    """Everything that is due to a subscriber, in whatever order it comes."""
    return Counter(await hear_all(store, subscriber))


async def stumble(
    store: Store, subscriber: str, work: Callable[[Handover], Awaitable[object]] | None = None
) -> Handover:
    """Fails in a delivery, after some work in its unit; answers what was handed over."""
    handover: Handover | None = None
    with suppress(BrokenError):
        async with store.deliveries.next_for(subscriber) as handover:
            if handover is not None and work is not None:
                await work(handover)
            raise BrokenError
    assert handover is not None
    return handover


async def give_up(
    store: Store, subscriber: str, problem: str = "broken", retry_in: float | None = None
) -> StoredEvent:
    """Fails in a delivery, for good or until a retry; answers of which event."""
    handover = await stumble(store, subscriber)
    await store.deliveries.failed(handover, subscriber, problem, retry_in=retry_in)
    return handover.event


class OutboxPromises(Conformance):
    """Who subscribed is told, at least once, and its effect with it once."""

    async def test_a_subscriber_that_wants_nothing_any_more_is_let_go(self, store: Store) -> None:
        """What waits for it alone is dropped; what another wants as well is kept for that one."""
        await store.deliveries.register({"gone": ["Noted", "Moved"], "mail": ["Moved"]})
        moved = event("2", name="Moved")
        await tell(store, event("1"), moved)
        await store.deliveries.register({"gone": []})
        assert (await store.deliveries.lag()).waiting == 1
        assert await hear(store, "gone") is None
        assert await hear_all(store, "mail") == [moved]

    @needs(Capability.ORDERED_OUTBOX)
    async def test_a_subscriber_hears_in_the_order_of_commit(self, store: Store) -> None:
        """Events come in the order of commit, within a unit in the order they were added."""
        await store.deliveries.register({"mail": ["Noted", "Moved"]})
        first, second, third, fourth = (event(text) for text in ("1", "2", "3", "4"))
        moved = event("moved", BEN, "Moved")
        async with store.unit_of_work(ANN) as unit:
            unit.outbox.add([fourth, third])
            unit.outbox.add([second])
        await tell(store, moved, first)
        assert await hear_all(store, "mail") == [fourth, third, second, moved, first]

    async def test_a_subscriber_hears_what_it_wants_once(self, store: Store) -> None:
        """Events of the names it asked for come to it as they were stored, each once, and to nobody else."""
        await store.deliveries.register({"mail": ["Noted", "Moved"], "idle": []})
        odd = '{ "b":1.10, "a":"\\u0000 \\ud800", "a":"' + TEXTS[0] + '" }'
        noted, moved = (StoredEvent(new_id(), BEN.user_id, "Noted", odd), event("moved", name="Moved"))
        await tell(store, noted, event("other", name="Other"), moved)
        found = await heard(store, "mail")
        assert found == Counter([noted, moved])
        assert {type(each.event_id) for each in found} == {UUID}
        for subscriber in ("mail", "idle", "unknown"):
            assert await hear(store, subscriber) is None

    async def test_what_happened_before_is_not_told(self, store: Store) -> None:
        """A subscriber hears of what happens once it is known, and misses nothing by registering again."""
        await store.deliveries.register({"early": ["Noted"]})
        before, between, after = event("before"), event("between"), event("after")
        await tell(store, before)
        await store.deliveries.register({"late": ["Noted"]})
        await tell(store, between, event("unwanted", name="Moved"))
        await store.deliveries.register({"late": ["Noted", "Moved"], "early": ["Noted"]})
        moved = event("moved", name="Moved")
        await tell(store, after, moved)
        assert await heard(store, "late") == Counter([between, after, moved])
        assert await heard(store, "early") == Counter([before, between, after])

    async def test_an_event_of_another_person_is_refused(self, store: Store) -> None:
        """Nobody tells of what somebody else did."""
        await store.deliveries.register({"mail": ["Noted"]})

        async def write(unit: UnitOfWork) -> None:
            unit.outbox.add([event("hers"), event("his", BEN)])

        with pytest.raises(Exception):  # noqa: B017, PT011 - each store has its own way to refuse
            await within(store, ANN, write)
        assert await hear_all(store, "mail") == []

    async def test_two_subscribers_hear_everything_each(self, store: Store) -> None:
        """That one was told, or failed, takes nothing from the other."""
        both = Counter(await told(store, "1", "2", to=("mail", "index")))
        first, given_up = await hear(store, "mail"), await give_up(store, "index")
        assert await heard(store, "mail") + Counter([first]) == both
        assert await heard(store, "index") + Counter([given_up]) == both

    async def test_an_effect_commits_with_its_delivery(self, store: Store) -> None:
        """The unit of a handover is the event's person's, and what is written in it stays with the delivery."""
        await store.deliveries.register({"mail": ["Noted"], "next": ["Made"]})
        await have(store, ANN, account("hers"))
        await have(store, BEN, account("his"))
        await tell(store, event("1", BEN))
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            listed = await own(handover).accounts.list_accounts(after=None, limit=9)
            assert [each.account.name for each in listed] == ["account his"]
            await effect(handover)
        assert await names_of(store, BEN) == ["account his", "account made"]
        assert await names_of(store, ANN) == ["account hers"]
        assert await actions_of(store) == ["made"]
        assert [each.payload for each in await hear_all(store, "next")] == ['{"text":"made"}']
        assert await hear(store, "mail") is None

    async def test_a_delivery_that_fails_leaves_nothing_and_comes_again(self, store: Store) -> None:
        """An exception undoes the effect; the same event comes again, and the attempts are counted once told."""
        await store.deliveries.register({"mail": ["Noted"], "next": ["Made"]})
        one = event("1")
        await tell(store, one)
        seen = list[tuple[StoredEvent, int]]()
        for _ in range(3):
            handover = await stumble(store, "mail", effect)
            seen.append((handover.event, handover.attempt))
            await store.deliveries.failed(handover, "mail", "broken", retry_in=0)
        assert seen == [(one, 1), (one, 2), (one, 3)]
        assert (await names_of(store, ANN), await actions_of(store), await hear(store, "next")) == ([], [], None)
        assert await hear_all(store, "mail") == [one]

    @pytest.mark.parametrize("ending", [RuntimeError, asyncio.CancelledError])
    async def test_a_delivery_that_is_cut_short_comes_again(
        self, store: Store, ending: type[BaseException]
    ) -> None:
        """Who discards the unit is told that this ends no delivery; who is cancelled gives the turn back."""
        (one,) = await told(store, "1")

        async def deliver() -> None:
            async with store.deliveries.next_for("mail") as handover:
                assert handover is not None
                await effect(handover)
                if ending is RuntimeError:
                    handover.unit.discard()
                else:
                    task.cancel()
                    await asyncio.sleep(0)

        task = asyncio.create_task(deliver())
        with pytest.raises(ending):
            await asyncio.wait_for(task, PATIENCE)
        assert await names_of(store, ANN) == []
        assert await hear_all(store, "mail") == [one]

    async def test_a_retry_waits_for_its_time(self, store: Store) -> None:
        """Until then the later events pass, and the one that failed is not handed over."""
        both = Counter(await told(store, "1", "2"))
        failed = await give_up(store, "mail", retry_in=HOUR)
        assert await heard(store, "mail") == both - Counter([failed])
        lag = await store.deliveries.lag()
        assert (lag.waiting, lag.dead) == (1, 0)

    async def test_one_delivery_to_a_subscriber_runs_at_a_time(self, store: Store) -> None:
        """While one has its turn nobody else gets an event for that subscriber; afterwards the next one is due."""
        both = Counter(await told(store, "1", "2"))
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            for _ in range(3):
                assert await asyncio.wait_for(hear(store, "mail"), PATIENCE) is None
        assert await heard(store, "mail") == both - Counter([handover.event])

    async def test_dead_letters_tell_what_became_of_an_event(self, store: Store) -> None:
        """Each says which event, whose delivery, how often it was tried, why it failed and when: latest first."""
        (one,), two = await told(store, "1", to=("mail", "index")), event("2", BEN)
        await give_up(store, "mail", "first", retry_in=0)
        await give_up(store, "mail", TEXTS[0])
        await give_up(store, "index", "second")
        await tell(store, two)
        await give_up(store, "mail", "third")
        dead = await store.deliveries.dead(limit=9)
        assert [(each.event, each.subscriber, each.attempts, each.problem) for each in dead] == [
            (two, "mail", 1, "third"),
            (one, "index", 1, "second"),
            (one, "mail", 2, TEXTS[0]),
        ]
        assert {each.failed_at.utcoffset() for each in dead} == {timedelta(0)}
        assert max(each.failed_at for each in dead) <= datetime.now(UTC)
        assert list(await store.deliveries.dead(limit=2)) == list(dead[:2])
        assert await hear_all(store, "mail") == []

    async def test_dead_letters_are_delivered_again_when_told_to(self, store: Store) -> None:
        """One event's, or all; their attempts start anew, and what was retried is no dead letter any more."""
        one, two, three = await told(store, "1", "2", "3", to=("mail", "index"))
        for subscriber in ("mail", "index") * 3:
            await give_up(store, subscriber)
        assert await store.deliveries.retry(new_id()) == 0
        assert await store.deliveries.retry(one.event_id) == 2
        assert {each.event for each in await store.deliveries.dead(limit=9)} == {two, three}
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            assert (handover.event, handover.attempt) == (one, 1)
        assert await heard(store, "index") == Counter([one])
        assert await store.deliveries.retry() == 4
        assert list(await store.deliveries.dead(limit=9)) == []
        assert await heard(store, "mail") == await heard(store, "index") == Counter([two, three])
        assert await store.deliveries.retry() == 0

    async def test_what_waits_is_counted(self, store: Store) -> None:
        """The lag tells deliveries that wait from those that were given up; delivered is neither."""
        assert await store.deliveries.lag() == OutboxLag(0, 0, 0, 0.0)
        await store.deliveries.register({"mail": ["Noted"]})
        await tell(store, event("1"), event("2"), event("3"), event("unwanted", name="Moved"))
        lag = await store.deliveries.lag()
        assert (lag.waiting, lag.held_back, lag.dead) == (3, 0, 0)
        assert lag.oldest_seconds > 0
        await give_up(store, "mail")
        await hear(store, "mail")
        lag = await store.deliveries.lag()
        assert (lag.waiting, lag.held_back, lag.dead) == (1, 0, 1)
        await hear(store, "mail")
        assert await store.deliveries.lag() == OutboxLag(0, 0, 1, 0.0)

    async def test_nothing_is_missed_while_others_write(self, store: Store) -> None:
        """Who reads beside many writers, some of whom give up, hears of all that was committed, once."""
        await store.deliveries.register({"mail": ["Noted"]})
        told, writing = list[StoredEvent](), asyncio.Semaphore(0)

        async def write(number: int) -> None:
            for turn in range(6):
                person = ANN if number % 2 else BEN
                one = event(f"{number} {turn}", person)
                async with store.unit_of_work(person) as unit:
                    unit.outbox.add([one])
                    await unit.flush()
                    for _ in range(number):
                        await asyncio.sleep(0)
                    if turn % 3 == 2:
                        unit.discard()
                    else:
                        told.append(one)
            writing.release()

        async def listen() -> list[StoredEvent]:
            heard = list[StoredEvent]()
            while not writers.done() or len(heard) < len(told):
                heard += await hear_all(store, "mail")
                await asyncio.sleep(0)
            return heard

        writers = asyncio.gather(*map(write, range(6)))
        heard = await asyncio.wait_for(listen(), PATIENCE)
        await writers
        assert Counter(each.event_id for each in heard) == Counter(each.event_id for each in told)
        assert await hear(store, "mail") is None

    async def test_an_announcement_wakes_everybody_who_waits(self, store: Store) -> None:
        """However many wait, all return when something is announced; who is cancelled takes nobody along."""
        gone, *waiting = (asyncio.create_task(store.deliveries.wait(HOUR)) for _ in range(4))
        for _ in range(10):
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        assert not any(each.done() for each in waiting)

        async def announce() -> None:
            while not all(each.done() for each in waiting):
                await store.deliveries.announce()
                await asyncio.sleep(0)

        try:
            await asyncio.wait_for(announce(), PATIENCE)
        finally:
            for each in waiting:
                each.cancel()
        await store.ping()

    async def test_who_waits_returns_by_itself(self, store: Store) -> None:
        """An announcement may be lost: waiting ends without one, again and again."""
        for _ in range(3):
            await asyncio.wait_for(store.deliveries.wait(0.001), PATIENCE)
