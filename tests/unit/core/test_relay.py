"""The relay: every durable subscriber hears of every event, whatever fails in between."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest

from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Subject, UnavailableCode, UnavailableError, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.memory._deliveries import MemoryDeliveries
from dashtam_core.messaging import DomainEvent, DurableSubscription, Handover, Relay, StoredEvent, UnitOfWork

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
PATIENCE = 30
"""Seconds after which what is waited for will not come."""


class BrokenError(Exception):
    """What a subscriber raises on purpose."""


@attrs.frozen
class Noted(DomainEvent):
    text: str


@attrs.frozen
class Moved(DomainEvent):
    text: str


@attrs.define
class Ear:
    """A subscriber that writes down what it hears, and fails as often as it is told to for each text."""

    heard: list[str] = attrs.field(factory=list[str])
    failing: Counter[str] = attrs.field(factory=Counter[str])
    error: Exception = attrs.field(factory=BrokenError)

    async def __call__(self, event: Any, unit: Any) -> None:
        self.heard.append(event.text)
        if self.failing[event.text] > 0:
            self.failing[event.text] -= 1
            raise self.error

    def has_heard(self, text: str) -> Callable[[], bool]:
        """Whether this was the last it heard."""
        return lambda: self.heard[-1:] == [text]

    def on(self, *events: type[DomainEvent], name: str = "ear") -> list[DurableSubscription]:
        return [event.delivered_to(name, self) for event in events]


@attrs.frozen
class Unreliable(MemoryDeliveries):
    """Deliveries of a store that does not answer as many calls as are counted in `down`."""

    down: Counter[str] = attrs.field(factory=Counter[str])
    asked: Counter[str] = attrs.field(factory=Counter[str])
    retries: list[float | None] = attrs.field(factory=list[float | None])
    """What was asked for after each failure; it is due at once all the same."""

    def _answer(self, call: str) -> None:
        self.asked[call] += 1
        if self.down[call] > 0:
            self.down[call] -= 1
            raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "no answer")

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        self._answer("register")
        await MemoryDeliveries(self.store).register(subscribers)

    @asynccontextmanager
    async def next_for(self, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        self._answer("next_for")
        async with MemoryDeliveries(self.store).next_for(subscriber) as handover:
            yield handover

    async def failed(self, handover: Handover, subscriber: str, problem: str, *, retry_in: float | None) -> None:
        self._answer("failed")
        self.retries.append(retry_in)
        due = None if retry_in is None else 0
        await MemoryDeliveries(self.store).failed(handover, subscriber, problem, retry_in=due)

    async def announce(self) -> None:
        self._answer("announce")

    async def wait(self, seconds: float, /) -> None:
        self._answer("wait")
        await MemoryDeliveries(self.store).wait(seconds)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def tell(store: MemoryStore, *events: DomainEvent, of: Subject = ANN) -> None:
    async with store.unit_of_work(of) as unit:
        unit.outbox.add([StoredEvent.of(event, of.user_id) for event in events])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for: nothing tells of the condition
            await asyncio.sleep(0)


@asynccontextmanager
async def running(relay: Relay) -> AsyncGenerator["asyncio.Task[None]"]:
    """The relay at work. Whatever ends it before is raised here."""
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_each_subscriber_hears_what_it_wants(store: MemoryStore) -> None:
    """Events reach those who want them, in order, once."""
    one, two = Ear(), Ear()
    relay = Relay(store.deliveries, [*one.on(Noted, Moved, name="one"), *two.on(Moved, name="two")])
    await relay.register()
    await tell(store, Noted("a"), Moved("b"), Noted("c"))
    assert await relay.deliver() == 4
    assert (one.heard, two.heard) == (["a", "b", "c"], ["b"])
    assert await relay.deliver() == 0


async def test_an_effect_is_the_persons_and_applied_once(store: MemoryStore) -> None:
    """A subscriber writes in a unit of the event's person; what it wrote before it failed is undone."""
    people, failing = list[Subject](), [BrokenError()]

    async def subscriber(event: Noted, unit: UnitOfWork) -> None:
        people.append(unit.user_id)  # type: ignore[attr-defined]  # what only the store in memory has
        unit.outbox.add([StoredEvent.of(Moved(event.text), BEN.user_id)])
        if failing:
            raise failing.pop()

    ear = Ear()
    relay = Relay(store.deliveries, [Noted.delivered_to("writer", subscriber), *ear.on(Moved)], first_backoff=0)
    await relay.register()
    await tell(store, Noted("a"), of=BEN)
    await relay.deliver()
    assert people == [BEN.user_id, BEN.user_id]
    assert ear.heard == ["a"]


async def test_a_subscriber_that_fails_is_told_again(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged with all that names it, and the event comes until it is heard."""
    ear, event = Ear(failing=Counter(a=2)), Noted("a")
    relay = Relay(store.deliveries, ear.on(Noted), first_backoff=0)
    await relay.register()
    await tell(store, event)
    await relay.deliver()
    assert ear.heard == ["a", "a", "a"]
    assert [each.levelno for each in caplog.records] == [logging.WARNING] * 2
    told = vars(caplog.records[1])
    names = ("subscriber", "event_name", "event_id", "attempt")
    assert [told[name] for name in names] == ["ear", "Noted", event.event_id, 2]
    assert (await store.deliveries.lag()).waiting == 0


async def test_a_poisoned_event_is_given_up_and_later_ones_pass(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """After `max_attempts` the event is a dead letter, an error in the log, and nobody waits for it."""
    ear, poison = Ear(failing=Counter(poison=9)), Noted("poison")
    relay = Relay(store.deliveries, ear.on(Noted), max_attempts=3, first_backoff=0)
    await relay.register()
    await tell(store, poison, Noted("b"))
    await relay.deliver()
    assert ear.heard == ["poison", "poison", "poison", "b"]
    (dead,) = await store.deliveries.dead(limit=9)
    assert (dead.event.event_id, dead.subscriber, dead.attempts) == (poison.event_id, "ear", 3)
    assert dead.problem == "BrokenError"
    assert [each.levelno for each in caplog.records] == [logging.WARNING, logging.WARNING, logging.ERROR]


async def test_what_failed_waits_while_others_pass(store: MemoryStore) -> None:
    """An event that is to be tried again later holds nobody up meanwhile."""
    ear = Ear(failing=Counter(a=1))
    relay = Relay(store.deliveries, ear.on(Noted), first_backoff=3600)
    await relay.register()
    await tell(store, Noted("a"), Noted("b"))
    await relay.deliver()
    assert ear.heard == ["a", "b"]
    assert (await store.deliveries.lag()).waiting == 1


async def test_retries_come_ever_later(store: MemoryStore) -> None:
    """Each wait is half to all of twice the one before, from `first_backoff` on, an hour at most; then none."""
    deliveries, ear = Unreliable(store), Ear(failing=Counter(a=99))
    relay = Relay(deliveries, ear.on(Noted), max_attempts=16, first_backoff=2)
    await relay.register()
    await tell(store, Noted("a"))
    await relay.deliver()
    *waits, last = deliveries.retries
    longest = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600, 3600]
    assert len(waits) == len(longest)
    for wait, most in zip(waits, longest, strict=True):
        assert wait is not None
        assert most / 2 <= wait <= most
    assert last is None
    assert len(set(waits)) == len(waits), "retries are spread"


@pytest.mark.parametrize("payload", ["{}", '{"text":5}', '{"text":null}', "[]", '{"text":"a","event_id":"x"}'])
async def test_what_its_class_no_longer_reads_is_a_failure(store: MemoryStore, payload: str) -> None:
    """A payload that does not fit becomes a dead letter, and stops nobody."""
    ear = Ear()
    relay = Relay(store.deliveries, ear.on(Noted), max_attempts=2, first_backoff=0)
    await relay.register()
    async with store.unit_of_work(ANN) as unit:
        unit.outbox.add([StoredEvent(new_id(), ANN.user_id, "Noted", payload)])
    await tell(store, Noted("b"))
    await relay.deliver()
    assert ear.heard == ["b"]
    assert [each.problem for each in await store.deliveries.dead(limit=9)] == ["ValueError"]


async def test_a_subscriber_that_takes_too_long_has_failed(store: MemoryStore) -> None:
    """After `delivery_seconds` it is cut off, and what it wrote is undone."""

    async def endless(_: Noted, unit: UnitOfWork) -> None:
        unit.outbox.add([StoredEvent.of(Moved("undone"), ANN.user_id)])
        await asyncio.Event().wait()

    ear = Ear()
    relay = Relay(
        store.deliveries,
        [Noted.delivered_to("slow", endless), *ear.on(Moved)],
        max_attempts=1,
        delivery_seconds=0.001,
    )
    await relay.register()
    await tell(store, Noted("a"))
    await relay.deliver()
    assert [each.problem for each in await store.deliveries.dead(limit=9)] == ["TimeoutError"]
    assert ear.heard == []


@pytest.mark.parametrize("woken_by", ["itself", "another process"])
async def test_what_is_new_is_delivered_at_once(store: MemoryStore, woken_by: str) -> None:
    """Waking delivers without waiting for the next poll, from here and from where nothing is delivered."""
    ear, deliveries = Ear(), Unreliable(store)
    relay = Relay(deliveries, ear.on(Noted), poll_seconds=3600)
    waker = relay if woken_by == "itself" else Relay(store.deliveries, ())
    await relay.register()
    await tell(store, Noted("a"))
    async with running(relay):
        for last, new in (("a", "b"), ("b", "c")):
            await until(ear.has_heard(last))
            for _ in range(100):
                await asyncio.sleep(0)
            asked = deliveries.asked["next_for"]
            await tell(store, Noted(new))
            for _ in range(100):
                await asyncio.sleep(0)
            assert deliveries.asked["next_for"] == asked, "nobody said that there is something new: it rests"
            await waker.wake()
            await until(ear.has_heard(new))
    assert deliveries.asked["announce"] == 0, "who delivers need not be told by the store"


async def test_what_nobody_announced_is_found(store: MemoryStore) -> None:
    """An announcement may be lost: the relay looks again by itself."""
    ear = Ear()
    relay = Relay(store.deliveries, ear.on(Noted), poll_seconds=0.001)
    await relay.register()
    async with running(relay):
        for text in ("a", "b"):
            await tell(store, Noted(text))
            await until(ear.has_heard(text))


async def test_a_resting_relay_leaves_no_task(store: MemoryStore) -> None:
    """Cancelled while it waits, it is gone with everything it began."""
    ear = Ear()
    relay = Relay(store.deliveries, [*ear.on(Noted, name="one"), *ear.on(Noted, name="two")], poll_seconds=3600)
    await relay.register()
    await tell(store, Noted("a"))
    async with running(relay) as task:
        await until(lambda: len(ear.heard) == 2)
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_delivery_comes_again(store: MemoryStore) -> None:
    """Cancelled in the middle of a delivery, the relay leaves neither effect nor attempt nor task."""
    begun = asyncio.Event()

    async def endless(_: Noted, unit: UnitOfWork) -> None:
        unit.outbox.add([StoredEvent.of(Moved("undone"), ANN.user_id)])
        begun.set()
        await asyncio.Event().wait()

    ear = Ear()
    relay = Relay(store.deliveries, [Noted.delivered_to("slow", endless), *ear.on(Moved)])
    await relay.register()
    await tell(store, Noted("a"))
    async with running(relay):
        await asyncio.wait_for(begun.wait(), PATIENCE)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert ear.heard == []
    async with store.deliveries.next_for("slow") as handover:
        assert handover is not None
        assert handover.attempt == 1


@pytest.mark.parametrize("call", ["next_for", "wait", "failed"])
async def test_a_store_that_does_not_answer_is_waited_for(
    store: MemoryStore, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """Whatever the store is asked, the relay tells once that it waits, asks again, and then delivers."""
    deliveries, ear = Unreliable(store, Counter({call: 5})), Ear(failing=Counter(a=6))
    relay = Relay(deliveries, ear.on(Noted), poll_seconds=0)
    await relay.register()
    await tell(store, Noted("a"))
    async with running(relay) as task:
        await until(lambda: task.done() or (deliveries.down[call] == 0 and not ear.failing["a"]))
        await tell(store, Noted("b"))
        await until(lambda: task.done() or ear.heard[-1:] == ["b"])
        assert not task.done()
    waits = [each for each in caplog.records if each.getMessage() == "deliveries wait"]
    assert len(waits) == 1
    assert vars(waits[0])["code"] == UnavailableCode.STORE_UNREACHABLE


async def test_each_outage_is_told_of(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """A store that goes away again after it had come back is worth another line."""
    deliveries, ear = Unreliable(store), Ear()
    relay = Relay(deliveries, ear.on(Noted), poll_seconds=0)
    await relay.register()
    async with running(relay):
        for text in ("a", "b"):
            deliveries.down["next_for"] = 3
            await tell(store, Noted(text))
            await until(ear.has_heard(text))
            await until(lambda: store.outbox.waiting == [])
    assert len(caplog.records) == 2


async def test_a_machine_that_is_down_is_no_fault_of_the_event(store: MemoryStore) -> None:
    """A subscriber that meets an unavailable machine has its attempt given back: the event waits for it."""
    down = UnavailableError(UnavailableCode.STORE_UNREACHABLE, "no answer")
    ear = Ear(failing=Counter(a=2), error=down)
    relay = Relay(store.deliveries, ear.on(Noted), max_attempts=1)
    await relay.register()
    await tell(store, Noted("a"))
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await relay.deliver()
    await relay.deliver()
    assert ear.heard == ["a", "a", "a"]
    assert list(await store.deliveries.dead(limit=9)) == []


async def test_a_bug_in_the_store_is_not_hidden(store: MemoryStore) -> None:
    """What goes wrong before an event was handed over is nobody's failed delivery: it ends the relay."""

    class Buggy(MemoryDeliveries):
        def next_for(self, subscriber: str, /) -> Any:
            raise BrokenError

    relay = Relay(Buggy(store), Ear().on(Noted))
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(relay.run(), PATIENCE)
    assert raised.group_contains(BrokenError)


async def test_waking_never_fails(store: MemoryStore) -> None:
    """What is committed is committed: that nobody could be told of it is no error to whoever did it."""
    deliveries = Unreliable(store, Counter(announce=1))
    await Relay(deliveries, ()).wake()
    assert deliveries.down["announce"] == 0


async def test_nobody_subscribed_is_nothing_to_do(store: MemoryStore) -> None:
    """Without subscribers the relay returns at once, and asks the store nothing."""
    deliveries = Unreliable(store)
    relay = Relay(deliveries, ())
    await relay.register()
    await asyncio.wait_for(relay.run(), PATIENCE)
    assert await relay.deliver() == 0
    assert not deliveries.asked


def test_a_name_stands_for_one_subscriber_of_an_event(store: MemoryStore) -> None:
    """Deliveries are remembered by name, so a second one of the same event would never be told."""
    with pytest.raises(ValueError, match=r"ear is registered twice for Noted.*name"):
        Relay(store.deliveries, [*Ear().on(Noted), *Ear().on(Noted)])
    relay = Relay(store.deliveries, [*Ear().on(Noted), *Ear().on(Moved), *Ear().on(Noted, name="other")])
    assert relay.names == {"ear": ["Moved", "Noted"], "other": ["Noted"]}
