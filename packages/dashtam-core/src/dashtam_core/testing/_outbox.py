"""What every store does with events: brings each to every subscriber that wants it, and its effect with it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from dashtam_core.kernel import Subject, new_id
from dashtam_core.messaging import Handover, OutboxLag, StoredEvent
from dashtam_core.store import Capability, Store, UnitOfWork
from dashtam_core.testing._conformance import Conformance, needs
from dashtam_core.testing._shared import HOUR, PATIENCE, BrokenError, names_of
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

type Work = Callable[[Handover], Awaitable[object]]


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


def deliver(
    store: Store, subscriber: str, one: StoredEvent | None = None
) -> AbstractAsyncContextManager[Handover | None]:
    """The delivery of one event, or of the next."""
    deliveries = store.deliveries
    return deliveries.this_one(one.event_id, subscriber) if one else deliveries.next_for(subscriber)


async def hear_of(store: Store, one: StoredEvent, subscriber: str = "mail") -> StoredEvent | None:
    """Takes one event, if the subscriber is to be told of it now, while others have a turn."""
    async with store.deliveries.this_one(one.event_id, subscriber) as handover:
        await asyncio.sleep(0)
        return None if handover is None else handover.event


async def overdue(store: Store, subscriber: str = "mail", seconds: float = 0.0, limit: int = 99) -> list[UUID]:
    return list(await store.deliveries.overdue(subscriber, seconds, limit=limit))


async def stumble(
    store: Store, subscriber: str, work: Work | None = None, one: StoredEvent | None = None
) -> Handover:
    """Fails in a delivery, of one event or the next, after some work in its unit; answers what was handed over."""
    handover: Handover | None = None
    with suppress(BrokenError):
        async with deliver(store, subscriber, one) as handover:
            if handover is not None and work is not None:
                await work(handover)
            raise BrokenError
    assert handover is not None
    return handover


async def give_up(
    store: Store,
    subscriber: str,
    problem: str = "broken",
    retry_in: float | None = None,
    one: StoredEvent | None = None,
) -> StoredEvent:
    """Fails in a delivery, for good or until a retry; answers of which event."""
    handover = await stumble(store, subscriber, one=one)
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

    @pytest.mark.parametrize("by_name", [False, True])
    @pytest.mark.parametrize("ending", [RuntimeError, asyncio.CancelledError])
    async def test_a_delivery_that_is_cut_short_comes_again(
        self, store: Store, ending: type[BaseException], by_name: bool
    ) -> None:
        """Who discards the unit is told that this ends no delivery; who is cancelled gives the turn back."""
        (one,) = await told(store, "1")

        async def work() -> None:
            async with deliver(store, "mail", one if by_name else None) as handover:
                assert handover is not None
                await effect(handover)
                if ending is RuntimeError:
                    handover.unit.discard()
                else:
                    task.cancel()
                    await asyncio.sleep(0)

        task = asyncio.create_task(work())
        with pytest.raises(ending):
            await asyncio.wait_for(task, PATIENCE)
        assert await names_of(store, ANN) == []
        assert await (hear_of(store, one) if by_name else hear(store, "mail")) == one
        assert await hear_all(store, "mail") == []

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

    async def test_an_event_is_told_once_however_many_tell_of_it(self, store: Store) -> None:
        """Of those who come at once, again and again, one is handed it, and its effect is there once."""
        (one,) = await told(store, "1")
        attempts = list[int]()

        async def come() -> None:
            for _ in range(3):
                async with store.deliveries.this_one(one.event_id, "mail") as handover:
                    if handover is not None:
                        attempts.append(handover.attempt)
                        assert await asyncio.wait_for(hear_of(store, one), PATIENCE) is None
                        await effect(handover)

        await asyncio.wait_for(asyncio.gather(*(come() for _ in range(8))), PATIENCE)
        assert (attempts, await names_of(store, ANN)) == ([1], ["account made"])
        assert await hear_all(store, "mail") == []

    async def test_events_are_told_beside_each_other(self, store: Store) -> None:
        """Nobody waits for the turn of another event, or of another subscriber."""
        events = await told(store, *map(str, range(8)), to=("mail", "index"))
        jobs = [hear_of(store, one, name) for one in reversed(events) for name in ("mail", "index")]
        assert Counter(await asyncio.wait_for(asyncio.gather(*jobs), PATIENCE)) == Counter(events * 2)
        assert await overdue(store) == await overdue(store, "index") == []

    async def test_an_event_that_is_not_to_be_told_now_is_not(self, store: Store) -> None:
        """Had, put off, given up, not wanted, not known or of who was erased: nobody has it, nor is it overdue."""
        had, put_off, dead = await told(store, "had", "put off", "dead")
        unwanted, erased = event("unwanted", name="Moved"), event("erased", BEN)
        await tell(store, unwanted, erased)
        async with store.unit_of_work(BEN) as unit:
            await unit.people.erase()
        assert await hear_of(store, had) == had
        await give_up(store, "mail", one=put_off, retry_in=HOUR)
        await give_up(store, "mail", one=dead)
        for one in (had, put_off, dead, unwanted, erased, event("unknown")):
            assert await hear_of(store, one) is None
        assert await hear_of(store, put_off, "unknown") is None
        assert await overdue(store) == await overdue(store, "unknown") == []

    async def test_what_failed_is_overdue_when_it_is_to_be_told_again(self, store: Store) -> None:
        """However short it has waited; its effect is undone, its attempts are counted, and a retry starts anew."""
        one, other = await told(store, "1", "2")
        for attempt in (1, 2):
            handover = await stumble(store, "mail", effect, one)
            assert (handover.event, handover.attempt) == (one, attempt)
            await store.deliveries.failed(handover, "mail", "broken", retry_in=0)
            assert await overdue(store, seconds=HOUR) == [one.event_id]
        await give_up(store, "mail", one=one)
        assert await overdue(store, seconds=HOUR) == []
        await store.deliveries.retry()
        assert await overdue(store, seconds=HOUR) == [one.event_id]
        assert (await stumble(store, "mail", one=one)).attempt == 1
        assert (await names_of(store, ANN), await hear_of(store, other)) == ([], other)

    @needs(Capability.ORDERED_OUTBOX)
    async def test_what_has_waited_too_long_is_overdue(self, store: Store) -> None:
        """Not what is young. The earliest come first, so many at most, of what this subscriber waits for."""
        events = await told(store, *map(str, range(5)), to=("mail", "index"))
        ids = [each.event_id for each in events]
        assert [await overdue(store, seconds=HOUR), await overdue(store, limit=2)] == [[], ids[:2]]
        await hear_of(store, events[1])
        await give_up(store, "mail", one=events[3], retry_in=0)
        assert (await overdue(store), await overdue(store, "index")) == ([ids[0], *ids[2:]], ids)

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
