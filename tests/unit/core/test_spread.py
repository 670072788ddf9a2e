"""Spread subscribers: told of many events at once, by any process, each once, whatever becomes of the stream."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.identity import EmailAddress, EmailChanged, ExternalSubject
from dashtam_core.kernel import UnavailableCode, UnavailableError, UserId, new_id
from dashtam_core.memory import FixedClock, MemoryEventStream, MemoryStore
from dashtam_core.messaging import (
    STREAM,
    Category,
    Deliveries,
    DomainEvent,
    DurableSubscription,
    Entry,
    Relay,
    StoredEvent,
    WireEvent,
)
from dashtam_core.testing.faults import Fault, Faults, faulty

ANN = ExternalSubject("ann")
PATIENCE = 30
"""Seconds after which what is waited for will not come."""


class BrokenError(Exception):
    """What a subscriber raises on purpose."""


@attrs.frozen
class Noted(DomainEvent):
    text: str


@attrs.frozen(kw_only=True)
class Shown(DomainEvent):
    category: ClassVar[Category | None] = Category.IMPORTS
    user_id: UserId = ANN.user_id
    text: str = ""


@attrs.define
class Ear:
    """A subscriber that writes down what it hears, waits while it is shut, and fails as it is told to."""

    heard: Counter[str] = attrs.field(factory=Counter[str])
    failing: Counter[str] = attrs.field(factory=Counter[str])
    error: BaseException = attrs.field(factory=BrokenError)
    busy: bool = False
    open: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.open.set()

    async def __call__(self, event: Any, _: Any) -> None:
        self.heard[event.text] += 1
        self.busy = True
        await asyncio.sleep(0)
        await self.open.wait()
        self.busy = False
        if self.failing[event.text] > 0:
            self.failing[event.text] -= 1
            raise self.error

    def on(self, *events: type[DomainEvent], name: str = "ear", spread: bool = True) -> list[DurableSubscription]:
        return [event.delivered_to(name, self, spread=spread) for event in events]


@attrs.define
class Stream(MemoryEventStream):
    """A stream that does not answer while it is `down`, and remembers what is done."""

    down: bool = False
    finished: list[str] = attrs.field(factory=list[str])

    def __attrs_post_init__(self) -> None:
        super().__init__(silent_seconds=0.0)

    def _answer(self) -> None:
        if self.down:
            raise UnavailableError(UnavailableCode.BUS_UNREACHABLE, "down: start it")

    async def append(self, event: WireEvent, /) -> None:
        self._answer()
        await super().append(event)

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        self._answer()
        return await super().take(group, limit=limit, seconds=0.01)

    async def done(self, group: str, positions: Sequence[str], /) -> None:
        self._answer()
        self.finished += positions
        await super().done(group, positions)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def store(clock: FixedClock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def stream() -> Stream:
    return Stream()


def relay_of(
    deliveries: Deliveries, told: Sequence[DurableSubscription], stream: Stream | None, **more: Any
) -> Relay:
    return Relay(deliveries, told, stream=stream, poll_seconds=0.01, **more)


async def tell(store: MemoryStore, *events: DomainEvent, who: ExternalSubject = ANN) -> None:
    async with store.unit_of_work(who) as unit:
        unit.outbox.add([StoredEvent.of(event, who.user_id) for event in events])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for: nothing tells of the condition
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(*relays: Relay) -> AsyncGenerator[list["asyncio.Task[None]"]]:
    """The relays at work. Whatever ends one before is raised here."""
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield tasks
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def texts(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


@pytest.mark.parametrize("silent_seconds", [0.0, 60.0], ids=["taken over at once", "left to who took it"])
async def test_two_processes_tell_each_event_once(
    store: MemoryStore, stream: Stream, silent_seconds: float
) -> None:
    """Of all processes one tells a subscriber of an event, also one that both were given; each has all of them."""
    stream._silent_seconds = silent_seconds
    one, two = Ear(), Ear()
    told = [*one.on(Noted, name="one"), *two.on(Noted, name="two")]
    relays = [relay_of(store.deliveries, told, stream) for _ in range(2)]
    await relays[0].register()
    async with running(*relays):
        await tell(store, *map(Noted, texts(50)))
        await until(lambda: not store.outbox.waiting)
    assert one.heard == two.heard == Counter(texts(50))
    assert not any(group.taken for group in stream._groups.values())


async def test_many_are_told_at_once(store: MemoryStore, stream: Stream) -> None:
    """Eight deliveries have begun while the first is still being made; the ninth is taken when they are over."""
    ear, plan = Ear(), Faults()
    relay = relay_of(faulty(store.deliveries, plan), ear.on(Noted), stream)
    await relay.register()
    await tell(store, *map(Noted, texts(9)))
    await relay.deliver()  # to the stream
    ear.open.clear()
    async with running(relay):
        await until(lambda: plan.calls["this_one.__aenter__"] == 8 and ear.heard)
        ear.open.set()
        await until(lambda: ear.heard == Counter(texts(9)))


async def test_the_stream_alone_brings_them(store: MemoryStore, stream: Stream, clock: FixedClock) -> None:
    """What is on its way through the stream is not looked for in the outbox before it is overdue."""
    ear = Ear()
    relay = relay_of(store.deliveries, ear.on(Noted), stream)
    await relay.register()
    await tell(store, Noted("a"))
    assert (await relay.deliver(), dict(ear.heard)) == (1, {})  # to the stream
    clock.advance(timedelta(seconds=31))
    assert (await relay.deliver(), dict(ear.heard)) == (1, {"a": 1})
    async with running(relay):
        await until(lambda: stream.finished)
    assert dict(ear.heard) == {"a": 1}  # it had it: the entry is done, and told to nobody


async def test_what_failed_comes_again_and_then_no_more(store: MemoryStore, stream: Stream) -> None:
    """A failure is put off and told again from the outbox; the last makes a dead letter. Others pass meanwhile."""
    ear = Ear(failing=Counter({"text 1": 1, "text 2": 9}))
    relay = relay_of(store.deliveries, ear.on(Noted), stream, first_backoff=0.0, max_attempts=3)
    await relay.register()
    async with running(relay):
        await tell(store, *map(Noted, texts(4)))
        await until(lambda: sum(ear.heard.values()) == 7)
        await until(lambda: all(each.due_at is None for each in store.outbox.waiting))
    assert ear.heard == Counter({"text 0": 1, "text 1": 2, "text 2": 3, "text 3": 1})
    (letter,) = await store.deliveries.dead(limit=9)
    assert (letter.subscriber, letter.attempts, letter.problem) == ("ear", 3, "BrokenError")


async def test_while_the_stream_is_down_events_wait_and_then_come(
    store: MemoryStore, stream: Stream, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Overdue events are told from the outbox; a stream that is back gets what it missed. One warning each."""
    ear, stream.down = Ear(), True
    relay = relay_of(store.deliveries, ear.on(Noted), stream)
    await relay.register()
    async with running(relay):
        await tell(store, Noted("a"))
        clock.advance(timedelta(seconds=31))
        await until(lambda: ear.heard["a"])
        stream.down = False
        await tell(store, Noted("b"))
        await until(lambda: not store.outbox.waiting)
    assert dict(ear.heard) == {"a": 1, "b": 1}
    assert [each.event.name for each in await stream.latest(9)] == ["Noted", "Noted"]
    waits = Counter(vars(each)["subscriber"] for each in caplog.records if each.getMessage() == "deliveries wait")
    assert waits == {"ear": 1, STREAM: 1}


async def test_a_store_that_fails_leaves_the_entry_to_be_taken_again(store: MemoryStore, stream: Stream) -> None:
    """What could not be asked of the store is not done with: the group is given it once more."""
    ear, plan = Ear(), Faults.at("this_one.__aenter__", fault=Fault.FAIL_BEFORE, call=1)
    relay = relay_of(faulty(store.deliveries, plan), ear.on(Noted), stream)
    await relay.register()
    async with running(relay):
        await tell(store, Noted("a"))
        await until(lambda: stream.finished)
    assert (dict(ear.heard), len(plan.done)) == ({"a": 1}, 1)


async def test_one_that_cannot_be_told_holds_up_no_other(store: MemoryStore, stream: Stream) -> None:
    """What is told together with it is done, and only it is taken again."""
    ear = Ear(error=UnavailableError(UnavailableCode.STORE_UNREACHABLE, "down: start it"))
    ear.failing["b"] = 1_000_000
    relay = relay_of(store.deliveries, ear.on(Noted), stream, overdue_seconds=3600)
    await relay.register()
    ear.open.clear()
    async with running(relay):
        await tell(store, *map(Noted, "abc"))
        await until(lambda: ear.heard.total() >= 1)
        ear.open.set()
        await until(lambda: len(stream.finished) == 2)
        ear.failing["b"] = 0
        await until(lambda: len(stream.finished) == 3)
    assert not [each for each in store.outbox.waiting if each.subscriber == "ear"]
    assert (ear.heard["a"], ear.heard["c"]) == (1, 1)
    assert len(stream.finished) == len({*stream.finished}) == 3


async def test_entries_that_nobody_wants_touch_no_store(store: MemoryStore, stream: Stream) -> None:
    """Events of other names, or of later versions, are done with as they come."""
    ear, plan = Ear(), Faults()
    relay = relay_of(faulty(store.deliveries, plan), ear.on(Noted), stream)
    for name in ("Shown", "Later", ""):
        await stream.append(WireEvent(new_id(), ANN.user_id, name, None, "{}"))
    async with running(relay):
        await until(lambda: len(stream.finished) == 3)
    assert (plan.calls["this_one.__aenter__"], dict(ear.heard)) == (0, {})


async def test_an_event_that_is_twice_in_the_stream_is_told_once(store: MemoryStore, stream: Stream) -> None:
    """A process that died between the stream and its note of it appends again: the inbox decides."""
    ear, event = Ear(), Noted("a")
    relay = relay_of(store.deliveries, ear.on(Noted), stream)
    await relay.register()
    await tell(store, event)
    for _ in range(3):
        await stream.append(WireEvent.of(StoredEvent.of(event, ANN.user_id), Noted))
    async with running(relay):
        await until(lambda: len(stream.finished) == 4)
    assert dict(ear.heard) == {"a": 1}


async def test_what_another_is_just_telling_is_left_to_them(store: MemoryStore) -> None:
    """An overdue event under way elsewhere is not waited for: the turn ends, and the next one looks again."""
    ear, event = Ear(), Noted("a")
    relay = relay_of(store.deliveries, ear.on(Noted), None)
    await relay.register()
    await tell(store, event)
    async with store.deliveries.this_one(event.event_id, "ear"):
        assert await relay.deliver() == 0
    assert ear.heard == {}


async def test_all_events_of_a_spread_subscriber_go_through_the_stream(store: MemoryStore, stream: Stream) -> None:
    """Also those it did not ask to have spread: its name stands for one way."""
    ear = Ear()
    told = [*ear.on(Noted), *ear.on(Shown, spread=False)]
    relay = relay_of(store.deliveries, told, stream)
    assert relay.names == {"ear": ["Noted", "Shown"], STREAM: ["Noted", "Shown"]}
    await relay.register()
    async with running(relay):
        await tell(store, Noted("a"), Shown(text="b"))
        await until(lambda: not store.outbox.waiting)
    assert dict(ear.heard) == {"a": 1, "b": 1}


async def test_without_a_stream_they_are_told_from_the_outbox(store: MemoryStore) -> None:
    """At once, each once: `spread` is a wish, not a need."""
    ear = Ear()
    relay = relay_of(store.deliveries, ear.on(Noted), None)
    await relay.register()
    await tell(store, *map(Noted, texts(3)))
    assert (await relay.deliver(), ear.heard) == (3, Counter(texts(3)))
    async with running(relay):
        await tell(store, Noted("more"))
        await until(lambda: ear.heard["more"])


@pytest.mark.parametrize("told", [[], Ear().on(Noted)], ids=["nobody", "somebody"])
async def test_a_process_without_a_stream_leaves_that_of_the_others(
    store: MemoryStore, stream: Stream, told: list[DurableSubscription]
) -> None:
    """The command line may know of none: events go on waiting for it."""
    await relay_of(store.deliveries, told, stream, streamed=[Shown]).register()
    await tell(store, Shown())
    assert [each.subscriber for each in store.outbox.waiting] == [STREAM]
    await relay_of(store.deliveries, told, None, streamed=[Shown]).register()
    await tell(store, Shown())
    assert [each.subscriber for each in store.outbox.waiting] == [STREAM, STREAM]


def test_nobody_else_is_called_as_the_stream_is(store: MemoryStore, stream: Stream) -> None:
    """With a stream and without: its deliveries would be taken for the stream's."""
    for each in (stream, None):
        with pytest.raises(ValueError, match="give it another name"):
            relay_of(store.deliveries, Ear().on(Noted, name=STREAM), each)


@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize(
    ("path", "fault", "times"),
    [
        ("nowhere", Fault.FAIL_AFTER, 1),
        ("*.__aexit__", Fault.FAIL_AFTER, 1),
        ("*.__aenter__", Fault.FAIL_BEFORE, 0),
    ],
    ids=["it goes well", "nobody knows if it was committed", "it did not begin"],
)
async def test_who_may_have_changed_something_says_so(
    store: MemoryStore, path: str, fault: Fault, times: int, spread: bool
) -> None:
    """After each delivery, also one that may be committed or not; not for what was not begun."""
    people, ear = list[UserId](), Ear()

    async def changed(user_id: UserId) -> None:
        assert not ear.busy
        people.append(user_id)

    plan = Faults.at(path, fault=fault)
    relay = relay_of(faulty(store.deliveries, plan), ear.on(Noted, spread=spread), None, changed=changed)
    await relay.register()
    await tell(store, Noted("a"))
    with suppress(UnavailableError):
        await relay.deliver()
    assert people == [ANN.user_id] * times


async def test_the_stream_changes_nobody(store: MemoryStore, stream: Stream) -> None:
    """Bringing an event to the stream outdates nothing that is kept of its person."""
    people = list[UserId]()

    async def changed(user_id: UserId) -> None:
        people.append(user_id)

    relay = relay_of(store.deliveries, [], stream, streamed=[Shown], changed=changed)
    await relay.register()
    await tell(store, Shown())
    assert (await relay.deliver(), people) == (1, [])


@pytest.mark.parametrize("through", [True, False], ids=["stream", "outbox"])
async def test_a_subscriber_that_is_cancelled_from_within_stops_nothing(
    store: MemoryStore, stream: Stream, through: bool
) -> None:
    """What it waited for was cancelled: that is a failure like any other, and the next event comes."""
    ear = Ear(failing=Counter({"a": 1}), error=asyncio.CancelledError())
    told = ear.on(Noted, spread=through)
    relay = relay_of(store.deliveries, told, stream if through else None, first_backoff=0.0)
    await relay.register()
    async with running(relay):
        await tell(store, Noted("a"), Noted("b"))
        await until(lambda: not store.outbox.waiting)
    assert dict(ear.heard) == {"a": 2, "b": 1}


async def test_a_delivery_that_is_cut_off_is_made_again(store: MemoryStore, stream: Stream) -> None:
    """The process ends while a subscriber is told: nothing is noted, and the next one tells it."""
    ear = Ear()
    ear.open.clear()
    relay = relay_of(store.deliveries, ear.on(Noted), stream)
    await relay.register()
    await tell(store, Noted("a"))
    async with running(relay):
        await until(lambda: ear.heard["a"])
    assert (len(store.outbox.waiting), store.outbox.turns, stream.finished) == (1, set(), [])
    ear.open.set()
    async with running(relay_of(store.deliveries, ear.on(Noted), stream)):
        await until(lambda: stream.finished)
    assert dict(ear.heard) == {"a": 2}


async def test_an_application_brings_its_events_to_who_listens() -> None:
    """From the command's transaction over the outbox and the stream to a listener, without what is private."""
    event = EmailChanged(user_id=ANN.user_id, before=EmailAddress("ann@example.com"))
    async with Dashtam.open(settings=Settings(bus_url="memory:")) as dashtam:
        await dashtam.live.begin()
        with dashtam.live.listen(ANN.user_id, [Category.SECURITY]) as listener:
            assert isinstance(dashtam.store, MemoryStore)
            await tell(dashtam.store, event, who=ExternalSubject("operator"))  # whose transaction it is
            await dashtam.relay.wake()
            entry = await listener.next(PATIENCE)
    assert entry is not None
    assert (entry.event.event_id, entry.event.user_id) == (event.event_id, ANN.user_id)
    assert "@" not in entry.event.json
