"""The suites for what processes share beside the store: caches, locks and event streams."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import ClassVar, Final

import attrs
import pytest

from dashtam_core.kernel import Subject, UnavailableCode, UnavailableError
from dashtam_core.messaging import Cache, Category, DomainEvent, Entry, EventStream, Lease, Locks, WireEvent
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import HOUR, PATIENCE, BrokenError
from dashtam_core.testing.samples import ANN, BEN, TEXTS, event

SOON: Final = 0.05
"""Seconds that are over before long, but not to be relied on not to be."""
NAMES: Final = (*TEXTS, *"aA*?[]{}:/ \n\0", "a ", "a/b", "{a}b", "caf\u00e9", "cafe\u0301", "a" * 300, "a" * 301)
LENGTH: Final = 20
SLACK: Final = 200
"""How many entries more than asked for a stream may keep."""

type MakeStream = Callable[..., EventStream]


@attrs.frozen
class Noted(DomainEvent):
    category: ClassVar[Category | None] = Category.IMPORTS


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Waits for what somebody else's clock decides."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(SOON / 5)


async def held(locks: Locks, name: str = "import", wait: float = 0.0) -> Lease | None:
    """Takes a lock and gives it back."""
    async with asyncio.timeout(PATIENCE), locks.hold(name, seconds=HOUR, wait=wait) as lease:
        return lease


async def append(stream: EventStream, count: int = 1, of: Subject = ANN) -> list[WireEvent]:
    """Appends so many events, or as many as it takes; answers with those."""
    events = list[WireEvent]()
    try:
        for number in range(count):
            one = WireEvent.of(event(f"{TEXTS[0]} {number}", of), Noted)
            await stream.append(one)
            events.append(one)
    except UnavailableError as error:
        if error.code is not UnavailableCode.BUS_FULL:
            raise
    return events


async def take(stream: EventStream, group: str = "mail", limit: int = 1_000) -> list[Entry]:
    """What is there for a group now."""
    return list(await asyncio.wait_for(stream.take(group, limit=limit, seconds=0), PATIENCE))


async def after(stream: EventStream, position: str = "", limit: int = 1_000) -> list[Entry]:
    """What is there now."""
    return list(await asyncio.wait_for(stream.after(position, limit=limit, seconds=0), PATIENCE))


async def finish(stream: EventStream, *entries: Entry) -> None:
    await stream.done("mail", [each.position for each in entries])


def events_of(entries: Sequence[Entry]) -> list[WireEvent]:
    return [each.event for each in entries]


class CacheConformance(Conformance):
    """The promises of the port `Cache`. The fixture `cache` gives one that is empty."""

    @pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"\r\n$-1\r\n", bytes(1024 * 1024)], ids=len)
    async def test_what_is_kept_is_had(self, cache: Cache, value: bytes) -> None:
        """Bytes of any kind and size come back as they were given, as often as one asks; the last are kept."""
        for each in (b"before", value):
            await cache.set("key", each, seconds=HOUR)
        assert [await cache.get("key"), await cache.get("key"), await cache.get("other")] == [value, value, None]

    async def test_keys_are_apart(self, cache: Cache) -> None:
        """However long or odd a key is, its own is found under it, in the order asked for, and forgotten."""
        for number, key in enumerate(NAMES):
            await cache.set(key, str(number).encode(), seconds=HOUR)
        found = [str(number).encode() for number in range(len(NAMES))]
        assert list(await cache.get_many(["none", *NAMES, NAMES[1]])) == [None, *found, b"1"]
        assert list(await cache.get_many([])) == []
        await cache.delete()
        await cache.delete(*NAMES[1:], "nothing")
        assert [await cache.get(key) for key in NAMES] == [b"0", *[None] * (len(NAMES) - 1)]

    async def test_many_are_had_at_one_moment(self, cache: Cache) -> None:
        """Of what is set one after another the second is never seen without the first."""

        async def write() -> None:
            for number in range(100):
                for key in ("first", "second"):
                    await cache.set(key, b"%03d" % number, seconds=HOUR)
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        while not writing.done():
            first, second = await cache.get_many(["first", "second"])
            assert (first or b"") >= (second or b"")
            await asyncio.sleep(0)
        await writing

    async def test_what_is_kept_ends(self, cache: Cache) -> None:
        """After its time nothing is had; who keeps it anew begins its time anew, be it longer or shorter."""
        for key, times in {"kept": (SOON, HOUR), "short": (SOON,), "shortened": (HOUR, SOON)}.items():
            for seconds in times:
                await cache.set(key, b"1", seconds=seconds)

        async def ended() -> bool:
            return list(await cache.get_many(["short", "shortened"])) == [None, None]

        await until(ended)
        assert await cache.get("kept") == b"1"

    async def test_many_ask_at_once(self, cache: Cache) -> None:
        """Each has the answer to what it asked, also beside those who were cancelled as they asked."""

        async def use(key: str) -> None:
            for number in range(10):
                value = f"{key} {number}".encode()
                await cache.set(key, value, seconds=HOUR)
                assert [await cache.get(key), *await cache.get_many([key])] == [value] * 2

        tasks = [asyncio.create_task(use(f"key {number}")) for number in range(60)]
        for each in tasks[::3]:
            await asyncio.sleep(0)
            each.cancel()
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
        assert [*ended[1::3], *ended[2::3]] == [None] * 40


class LocksConformance(Conformance):
    """The promises of the port `Locks`. The fixture `locks` gives some that nobody holds."""

    async def test_one_holds_a_lock_at_a_time(self, locks: Locks) -> None:
        """Of many who wait each has its turn alone, and its token is greater than those before."""
        inside = list[int]()

        async def contend() -> None:
            async with locks.hold("import", seconds=HOUR, wait=HOUR) as lease:
                for _ in range(3):
                    inside.append(lease.token if lease else 0)
                    await asyncio.sleep(0)

        await asyncio.wait_for(asyncio.gather(*(contend() for _ in range(20))), PATIENCE)
        assert inside == sorted(inside)
        assert [inside.count(token) for token in set(inside)] == [3] * 20

    async def test_a_lock_is_had_when_it_is_given_back(self, locks: Locks) -> None:
        """Not before: who waits too briefly gets None and gives nothing back; who waits long enough gets it."""
        async with locks.hold("import", seconds=HOUR) as lease:
            assert lease is not None
            assert [await held(locks, wait=wait) for wait in (0.0, 0.01, 0.0)] == [None] * 3
            waiting = asyncio.create_task(held(locks, wait=HOUR))
            await asyncio.sleep(0)
        assert await waiting is not None
        assert await held(locks) is not None

    async def test_a_lock_ends_by_itself(self, locks: Locks) -> None:
        """Who holds it for longer is overtaken by a greater token, and gives back nothing of who came then."""
        async with (
            asyncio.timeout(PATIENCE),
            AsyncExitStack() as late,
            locks.hold("import", seconds=SOON) as first,
        ):
            await late.enter_async_context(locks.hold("import", seconds=SOON, wait=HOUR))
            async with locks.hold("import", seconds=HOUR, wait=HOUR) as third:
                await late.aclose()
                assert await held(locks) is None
        fourth = await held(locks)
        assert first is not None
        assert third is not None
        assert fourth is not None
        assert first.token < third.token < fourth.token

    async def test_locks_are_apart(self, locks: Locks) -> None:
        """Names that are not the same, however alike or long, are locks of their own."""
        async with AsyncExitStack() as all_of_them:
            leases = [await all_of_them.enter_async_context(locks.hold(name, seconds=HOUR)) for name in NAMES]
            assert [lease and lease.name for lease in leases] == list(NAMES)
            assert [await held(locks, name) for name in NAMES] == [None] * len(NAMES)

    @pytest.mark.parametrize("ending", [BrokenError, asyncio.CancelledError])
    async def test_who_is_cut_short_gives_it_back(self, locks: Locks, ending: type[BaseException]) -> None:
        """What ends the block ends the lock, and goes on to who called."""
        with pytest.raises(ending):
            async with locks.hold("import", seconds=HOUR):
                raise ending
        assert await held(locks) is not None

    async def test_who_is_cancelled_as_it_takes_it_has_nothing(self, locks: Locks) -> None:
        """Whenever that is, and whether or not another has it: soon it is anybody's."""
        for turns in range(20):
            another = locks.hold("import", seconds=HOUR, wait=HOUR) if turns % 2 else AsyncExitStack()
            async with asyncio.timeout(PATIENCE), another:
                taking = asyncio.create_task(held(locks, wait=HOUR))
                for _ in range(turns):
                    await asyncio.sleep(0)
                taking.cancel()
            await asyncio.wait([taking])
            assert await held(locks, wait=HOUR) is not None


class EventStreamConformance(Conformance):
    """The promises of the port `EventStream`.

    The fixture `make_stream` gives a function that makes another member of one stream, which is empty at first.
    Its options are `length`, how many entries are kept at least, and `silent_seconds`, after which a member is
    silent; a test gives the same to all members.
    """

    async def test_entries_are_read_as_they_were_appended(self, make_stream: MakeStream) -> None:
        """In order, whole and with a position each, by every member, whoever took them."""
        stream, other = make_stream(), make_stream()
        written = [*await append(stream, 5), *await append(other, 5, BEN)]
        taken, entries = await take(stream, limit=3), await after(other)
        assert events_of(entries) == written
        assert entries[:3] == taken
        assert len({each.position for each in entries}) == 10

    async def test_a_position_is_where_to_go_on(self, make_stream: MakeStream) -> None:
        """After it comes what is later, so many at most; "" is before the first, and the latest are the last."""
        stream = make_stream()
        assert await after(stream) == list(await stream.latest(3)) == []
        await append(stream, 6)
        entries = await after(stream)
        for number, position in enumerate(["", *(each.position for each in entries)]):
            assert await after(stream, position) == entries[number:]
            assert await after(stream, position, 2) == entries[number : number + 2]
            assert list(await stream.latest(6 - number)) == entries[number:]

    async def test_every_group_has_everything(self, make_stream: MakeStream) -> None:
        """A group begins with the first entry that is kept, and what one has done another has still to do."""
        stream, other = make_stream(), make_stream()
        await append(stream, 5)
        first = await take(stream)
        await finish(stream, *first)
        await append(stream, 5)
        assert [*first, *await take(stream)] == await after(stream) == await take(other, "index")

    async def test_an_entry_goes_to_one_member_of_a_group(self, make_stream: MakeStream) -> None:
        """Together they have all, each in order, and nobody has again what another is at."""
        taken, members = list[Entry](), [make_stream() for _ in range(3)]
        await append(members[0], 60)

        async def work(stream: EventStream) -> None:
            for _ in range(10):
                taken.extend(await take(stream, limit=7))
                await asyncio.sleep(0)

        await asyncio.gather(*map(work, members))
        entries = await after(members[0])
        assert sorted(taken, key=entries.index) == entries
        assert [await take(each) for each in members] == [[], [], []]

    async def test_what_a_silent_member_took_goes_to_another(self, make_stream: MakeStream) -> None:
        """With its place in the stream; what was done meanwhile, once or twice, goes to nobody."""
        silent, other = (make_stream(silent_seconds=SOON) for _ in range(2))
        await append(silent, 4)
        first, second, third, fourth = await take(silent)
        for _ in range(2):
            await finish(silent, first, third)
        found = set[Entry]()

        async def come() -> bool:
            found.update(await take(other, limit=1))
            return found >= {second, fourth}

        await until(come)
        assert found == {second, fourth}

    async def test_a_stream_keeps_so_many(self, make_stream: MakeStream) -> None:
        """The last ones: what came long before is gone, and who was there goes on with what is kept."""
        stream = make_stream(length=LENGTH)
        await append(stream)
        (first,) = await after(stream)
        events = await append(stream, 3 * SLACK)
        kept = await after(stream)
        assert LENGTH <= len(kept) <= LENGTH + SLACK
        assert events_of(kept) == events[-len(kept) :]
        assert (
            await after(stream, first.position) == await take(stream) == list(await stream.latest(1_000)) == kept
        )

    async def test_who_is_behind_holds_up_who_appends(self, make_stream: MakeStream) -> None:
        """Nothing pushes out what a group has not done: the stream is full until it has, and loses nothing."""
        stream, other = make_stream(length=LENGTH), make_stream(length=LENGTH)
        await take(other)
        events = await append(stream, 3 * SLACK)
        assert LENGTH <= len(events) <= LENGTH + SLACK
        entries = await take(other)
        assert await append(stream) == [], "taken is not done"
        await finish(other, *entries)
        events += await append(stream, LENGTH)
        assert events_of([*entries, *await take(other)]) == events

    async def test_who_comes_no_more_holds_up_nobody(self, make_stream: MakeStream) -> None:
        """A group whose members are all silent is not waited for; if it comes back it has what is kept."""
        stream = make_stream(length=LENGTH, silent_seconds=SOON)
        await append(stream)
        await take(stream, "gone")
        for _ in range(3 * SLACK):
            await until(lambda: append(stream))
        assert await take(stream, "gone") == await after(stream)

    @pytest.mark.parametrize(("ask", "where"), [("take", "mail"), ("after", "")])
    async def test_who_waits_has_what_comes(self, make_stream: MakeStream, ask: str, where: str) -> None:
        """At once, long before its time is over."""
        stream = make_stream()
        waiting = asyncio.ensure_future(getattr(make_stream(), ask)(where, limit=1, seconds=HOUR))
        await asyncio.wait([waiting], timeout=SOON)
        assert not waiting.done()
        events = await append(stream)
        assert events_of(await asyncio.wait_for(waiting, PATIENCE)) == events

    async def test_who_is_cancelled_as_it_waits_loses_nothing(self, make_stream: MakeStream) -> None:
        """What came at that moment is for its group all the same."""
        stream, other = (make_stream(silent_seconds=SOON) for _ in range(2))
        written, had = set[WireEvent](), set[WireEvent]()
        for turns in range(20):
            waiting = asyncio.ensure_future(other.take("mail", limit=1, seconds=HOUR))
            for _ in range(turns):
                await asyncio.sleep(0)
            written.update(await append(stream))
            waiting.cancel()
            await asyncio.wait([waiting])

        async def come() -> bool:
            had.update(events_of(await take(other)))
            return had == written

        await until(come)
