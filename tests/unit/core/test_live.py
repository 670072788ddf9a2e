"""What happens, told as it happens: to those who listen, to those who come back, and to nobody who is too slow."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import ClassVar

import attrs
import pytest

from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import UnavailableCode, UnavailableError, UserId
from dashtam_core.logs import bound
from dashtam_core.memory import MemoryEventBus, MemoryEventStream
from dashtam_core.messaging import Category, DomainEvent, Entry, Listener, Live, StoredEvent, WireEvent
from dashtam_core.messaging import _live as live_module

ANN, BEN = ExternalSubject("ann").user_id, ExternalSubject("ben").user_id
ALL = tuple(Category)
PATIENCE = 30
"""Seconds after which what is waited for will not come."""


@attrs.frozen(kw_only=True)
class Came(DomainEvent):
    category: ClassVar[Category | None] = Category.BALANCES
    user_id: UserId = ANN
    number: int = 0


@attrs.frozen(kw_only=True)
class Guarded(Came):
    category: ClassVar[Category | None] = Category.SECURITY


@attrs.frozen(kw_only=True)
class Silent(Came):
    category: ClassVar[Category | None] = None


def wire(event: Came) -> WireEvent:
    return WireEvent.of(StoredEvent.of(event, event.user_id), type(event))


@attrs.define
class Stream(MemoryEventStream):
    """A stream that does not answer while it is `down`, and that can lose what it holds."""

    down: bool = False
    broken: bool = False
    asked: int = 0

    def __attrs_post_init__(self) -> None:
        super().__init__()

    def _answer(self) -> None:
        self.asked += 1
        if self.down:
            raise UnavailableError(UnavailableCode.BUS_UNREACHABLE, "down: start it")
        if self.broken:
            raise LookupError("a defect")

    async def after(self, position: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        self._answer()
        found = await super().after(position, limit=limit, seconds=0.01)
        self._answer()
        return found

    async def latest(self, limit: int, /) -> Sequence[Entry]:
        self._answer()
        return await super().latest(limit)

    async def tell(self, *events: Came) -> None:
        for event in events:
            await self.append(wire(event))

    def lose(self) -> None:
        """What was there is gone; positions go on where they were."""
        self._entries.clear()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    monkeypatch.setattr(live_module, "_FIRST_SECONDS", 0.01)
    return Stream()


@asynccontextmanager
async def following(stream: Stream) -> AsyncGenerator[Live]:
    live = Live(stream)
    await live.begin()
    try:
        yield live
    finally:
        await live.aclose()


async def asked_again(stream: Stream) -> None:
    """The stream has been asked a few times more, so what it had to say is said."""
    asked = stream.asked
    async with asyncio.timeout(PATIENCE):
        while stream.asked < asked + 4:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def heard(listener: Listener, count: int) -> list[int]:
    """The numbers of the next events."""
    entries = [await listener.next(PATIENCE) for _ in range(count)]
    return [int(each.event.json.partition('"number":')[2].partition(",")[0]) for each in entries if each]


async def is_over(listener: Listener) -> bool:
    """Whether it is told to come back, once it has had what waited."""
    try:
        return await listener.next(0) is not None and await is_over(listener)
    except asyncio.QueueShutDown:
        return True


async def test_each_hears_what_is_theirs_and_what_they_asked_for(stream: Stream) -> None:
    """In order, of their person, of the categories they named; what has none is told to nobody."""
    async with following(stream) as live:
        with (
            live.listen(ANN, ALL) as all_,
            live.listen(ANN, [Category.SECURITY]) as some,
            live.listen(BEN, ALL) as ben,
        ):
            await stream.tell(Came(number=1), Guarded(number=2), Silent(number=3), Came(number=4, user_id=BEN))
            assert (await heard(all_, 2), await heard(some, 1), await heard(ben, 1)) == ([1, 2], [2], [4])
            assert [await each.next(0) for each in (all_, some, ben)] == [None] * 3
            assert (all_.complete, live.listeners_of(ANN), live.listeners_of(BEN)) == (True, 2, 1)
        assert live.listeners_of(ANN) == 0
        assert live._listeners == {}


async def test_who_comes_back_has_missed_nothing(stream: Stream) -> None:
    """After any position that is remembered: what came since, before this process followed too, and what comes."""
    await stream.tell(*(Came(number=number) for number in range(5)))
    await stream.tell(Came(number=99, user_id=BEN), Silent(number=98))
    async with following(stream) as live:
        with live.listen(ANN, ALL, after="2") as back, live.listen(ANN, ALL, after=live.position) as here:
            await stream.tell(Came(number=5))
            assert (await heard(back, 4), await heard(here, 1)) == ([2, 3, 4, 5], [5])
            assert back.complete
            assert here.complete
        with live.listen(ANN, ALL, after="2") as back:
            assert await heard(back, 4) == [2, 3, 4, 5]


@pytest.mark.parametrize("position", ["", "0", "17", "nonsense"])
async def test_who_left_at_what_is_not_remembered_is_told_so(stream: Stream, position: str) -> None:
    """Nothing of before, and `complete` is false; what comes from now on is heard."""
    await stream.tell(Came(number=1))
    async with following(stream) as live:
        with live.listen(ANN, ALL, after=position) as back:
            assert not back.complete
            await stream.tell(Came(number=2))
            assert await heard(back, 1) == [2]


async def test_the_last_events_are_remembered_and_no_more() -> None:
    """Without a stream too; the position of the last is where whoever heard everything stands."""
    live = Live()
    events = [Came(number=number) for number in range(live_module.REMEMBERED + 1)]
    assert live.position == ""
    for event in events:
        await live._hear(event)
    assert (len(live._remembered), live.position) == (live_module.REMEMBERED, str(events[-1].event_id))
    for event, complete in ((events[0], False), (events[1], True)):
        with live.listen(BEN, ALL, after=str(event.event_id)) as back:
            assert back.complete is complete


async def test_who_does_not_read_is_sent_back(stream: Stream) -> None:
    """256 events wait, and then no more: others hear all, and who reads late gets what waited before the end."""
    count = live_module._WAITING + 50
    async with following(stream) as live:
        with live.listen(ANN, ALL) as slow, live.listen(ANN, ALL) as quick:
            for number in range(count):
                await stream.tell(Came(number=number))
                assert await heard(quick, 1) == [number]
            assert await heard(slow, live_module._WAITING) == list(range(live_module._WAITING))
            assert await is_over(slow)
        with live.listen(ANN, ALL, after=str(live_module._WAITING)) as back:  # the number of the last it read
            assert (back.complete, await heard(back, 50)) == (True, list(range(count - 50, count)))


async def test_who_missed_more_than_may_wait_comes_back_in_steps(stream: Stream) -> None:
    """Each time the next 256, and no event is left out."""
    await stream.tell(*(Came(number=number) for number in range(600)))
    async with following(stream) as live:
        numbers, position = [0], "1"
        while len(numbers) < 600:
            with live.listen(ANN, ALL, after=position) as back:
                numbers += await heard(back, min(live_module._WAITING, 600 - len(numbers)))
                position = str(len(numbers))
        assert numbers == list(range(600))


async def test_a_thousand_listeners_hear(stream: Stream) -> None:
    """All of one person's, each everything; none is left when they are gone."""
    async with following(stream) as live:
        with ExitStack() as stack:
            listeners = [stack.enter_context(live.listen(ANN, ALL)) for _ in range(1_000)]
            await stream.tell(Came(number=1), Came(number=2))
            assert [await heard(each, 2) for each in listeners] == [[1, 2]] * 1_000
            assert live.listeners_of(ANN) == 1_000
        assert live.listeners_of(ANN) == 0


async def test_at_the_end_all_are_sent_back(stream: Stream) -> None:
    """Who waits is woken, who has something waiting gets that first, and who comes later is sent back at once."""
    async with following(stream) as live:
        with live.listen(ANN, ALL) as waits, live.listen(BEN, ALL) as has:
            waiting = asyncio.create_task(waits.next(PATIENCE))
            await stream.tell(Came(user_id=BEN, number=7))
            await asked_again(stream)
            live.close()
            with pytest.raises(asyncio.QueueShutDown):
                await waiting
            assert (await heard(has, 1), await is_over(has)) == ([7], True)
        with live.listen(ANN, ALL) as late:
            assert await is_over(late)
        await live.aclose()
        asked = stream.asked
        await live.begin()
        await asyncio.sleep(0)
        assert stream.asked == asked


async def test_a_stream_that_is_down_is_told_of_once(stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
    """From the start and later: listeners wait, one warning says so each time, and then they hear."""
    stream.down = True
    async with following(stream) as live:
        for number in (1, 2):
            await asked_again(stream)
            assert [vars(each)["code"] for each in caplog.records] == ["bus_unreachable"] * number
            stream.down = False
            await stream.tell(Came(number=number))
            await asked_again(stream)
            assert live.position == str(number)
            stream.down = True


async def test_what_came_while_the_stream_was_down_is_told_in_order(stream: Stream) -> None:
    """Nobody is sent back when nothing is lost, and each event comes once."""
    async with following(stream) as live:
        with live.listen(ANN, ALL) as listener:
            await stream.tell(Came(number=1))
            assert await heard(listener, 1) == [1]
            stream.down = True
            await asked_again(stream)
            await stream.tell(Came(number=2), Came(number=3))
            stream.down = False
            await stream.tell(Came(number=4))
            assert await heard(listener, 3) == [2, 3, 4]
            assert await listener.next(0) is None


async def test_who_may_have_missed_what_a_stream_lost_is_sent_back(stream: Stream) -> None:
    """The stream has no more what this process knows: all listeners come back, and are told that it is not all."""
    async with following(stream) as live:
        with live.listen(ANN, ALL) as listener:
            await stream.tell(Came(number=1))
            assert await heard(listener, 1) == [1]
            stream.down = True
            await asked_again(stream)
            await stream.tell(Came(number=2))
            stream.lose()
            await stream.tell(Came(number=3))
            stream.down = False
            with pytest.raises(asyncio.QueueShutDown):
                await listener.next(PATIENCE)
        with live.listen(ANN, ALL, after="1") as back:
            assert not back.complete
            await stream.tell(Came(number=4))
            assert await heard(back, 1) == [4]


async def test_what_was_before_they_came_is_not_told_as_new(stream: Stream) -> None:
    """Listeners who came before the stream could be asked come back, and hear nothing old as if it were new."""
    await stream.tell(Came(number=1))
    stream.down = True
    async with following(stream) as live:
        with live.listen(ANN, ALL) as listener:
            stream.down = False
            with pytest.raises(asyncio.QueueShutDown):
                await listener.next(PATIENCE)
        with live.listen(ANN, ALL) as listener:
            assert await listener.next(0) is None


async def test_a_defect_ends_no_listening_for_good(stream: Stream) -> None:
    """Whatever the stream raises, listeners are sent back rather than left alone; who comes back hears again."""
    async with following(stream) as live:
        with live.listen(ANN, ALL) as listener:
            stream.broken = True
            with pytest.raises(asyncio.QueueShutDown):
                await listener.next(PATIENCE)
        failed, stream.broken = live._following, False
        assert failed is not None
        assert isinstance(failed.exception(), LookupError)
        await live.begin()
        with live.listen(ANN, ALL) as listener:
            await stream.tell(Came(number=1))
            assert await heard(listener, 1) == [1]


async def test_who_begins_leaves_nothing_of_their_own(stream: Stream) -> None:
    """The task that follows is everybody's: what the first to come has bound for the log is not in its lines."""
    with bound(user="ann"):
        async with following(stream) as live:
            assert live._following is not None
            assert [value for value in live._following.get_context().values() if "ann" in str(value)] == []


async def test_without_a_stream_a_process_hears_itself() -> None:
    """The bus tells what happened here; events without a category are not even asked for."""
    live = Live()
    await live.begin()
    told = live.subscriptions([Came, Guarded, Silent])
    assert [each.event for each in told] == [Came, Guarded]
    bus = MemoryEventBus(told)
    with live.listen(ANN, ALL) as ann, live.listen(BEN, ALL) as ben:
        await bus.publish(Came(number=1))
        await bus.publish(Guarded(number=2, user_id=BEN))
        assert (await heard(ann, 1), await heard(ben, 1)) == ([1], [2])
    await live.aclose()
    assert Live(MemoryEventStream()).subscriptions([Came]) == []
