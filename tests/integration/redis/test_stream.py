"""Events of all processes in one stream, on both servers: the promises of the port, and what goes wrong."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import pytest

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.messaging import DomainEvent, Entry, WireEvent
from dashtam_core.testing import EventStreamConformance
from dashtam_core.testing.samples import event
from dashtam_redis._place import Place
from dashtam_redis._stream import RedisEventStream, open_stream
from integration.redis.servers import OwnServer, client, full, read_only

KEY: Final = "dashtam:events"
SILENT: Final = 0.05
"""Seconds that are over before long."""
HOUR: Final = 3600.0
PATIENCE: Final = 30.0


class Noted(DomainEvent):
    """What samples are of."""


type Make = Callable[..., RedisEventStream]


@pytest.fixture
async def make_stream(redis_url: str) -> AsyncGenerator[Make]:
    """Makes members of the stream of one server, and closes them in the end."""
    place = Place.parse(redis_url, "DASHTAM_BUS_URL", UnavailableCode.BUS_NOT_CONFIGURED)
    made = list[RedisEventStream]()

    def make(**options: Any) -> RedisEventStream:
        made.append(RedisEventStream(place, **options))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture
async def server(redis_url: str) -> AsyncGenerator[Any]:
    """A client to look behind the stream, and to do it harm."""
    async with client(redis_url) as redis:
        yield redis


class TestRedisEventStream(EventStreamConformance):
    """With `make_stream` from above."""


async def append(stream: RedisEventStream, *texts: str) -> list[WireEvent]:
    events = [WireEvent.of(event(text), Noted) for text in texts]
    for each in events:
        await stream.append(each)
    return events


async def take(stream: RedisEventStream, limit: int = 1_000, seconds: float = 0.0) -> Sequence[Entry]:
    return await asyncio.wait_for(stream.take("mail", limit=limit, seconds=seconds), PATIENCE)


def events_of(entries: Sequence[Entry]) -> list[WireEvent]:
    return [each.event for each in entries]


async def done(stream: RedisEventStream, entries: Sequence[Entry]) -> None:
    await stream.done("mail", [each.position for each in entries])


async def waits(server: Any) -> None:
    """Returns when somebody waits for entries."""
    async with asyncio.timeout(PATIENCE):
        while not (await server.info("clients"))["blocked_clients"]:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)


async def members(server: Any) -> set[str]:
    return {each["name"].decode() for each in await server.xinfo_consumers(KEY, "mail")}


@pytest.mark.parametrize("loss", ["flushall", "delete", "xgroup_destroy"])
async def test_who_waits_outlives_the_loss_of_the_stream(make_stream: Make, server: Any, loss: str) -> None:
    """The group is made again while it waits, and hears of what comes."""
    stream = make_stream()
    await append(stream, "before")
    await done(stream, await take(stream))
    await done(stream, [])
    waiting = asyncio.create_task(take(stream, seconds=PATIENCE))
    await waits(server)
    await getattr(server, loss)(*{"delete": [KEY], "xgroup_destroy": [KEY, "mail"]}.get(loss, []))
    events = await append(stream, "after")
    heard = events_of(await waiting)
    assert heard[-1:] == events or events_of(await take(stream)) == events, "what was kept may come again"


async def test_a_member_that_is_forgotten_while_it_waits_is_there_again(make_stream: Make, server: Any) -> None:
    """It has what comes, as its own."""
    stream = make_stream()
    waiting = asyncio.create_task(take(stream, seconds=PATIENCE))
    await waits(server)
    (me,) = await members(server)
    await server.xgroup_delconsumer(KEY, "mail", me)
    events = await append(stream, "one")
    assert events_of(await waiting) == events
    assert await members(server) == {me}


async def test_many_begin_at_once(make_stream: Make) -> None:
    """One of them makes the group, and each entry is for one of them."""
    streams = [make_stream() for _ in range(10)]
    events = await append(streams[0], *map(str, range(30)))
    await asyncio.gather(*(each.latest(1) for each in streams))  # connected, so that all ask at once
    heard = await asyncio.gather(*(take(each, limit=3) for each in streams))
    assert sorted(one.event.json for some in heard for one in some) == sorted(each.json for each in events)


async def test_what_is_silent_is_found_behind_what_is_under_way(make_stream: Make, server: Any) -> None:
    """However much the others have just taken, and are not done with."""
    busy, other = make_stream(), make_stream()
    await append(busy, *map(str, range(301)))
    *_, last = await take(busy)
    (me,) = await members(server)
    await server.xclaim(KEY, "mail", me, 0, [last.position], idle=round(HOUR * 1000))
    assert list(await take(other, limit=2)) == [last]


async def test_who_is_gone_is_forgotten(make_stream: Make, server: Any) -> None:
    """Once what it took has come to another, and not while it may be there."""
    gone, there = make_stream(), make_stream(silent_seconds=SILENT)
    await there._forget(keys=[KEY], args=["mail", 0])  # of a stream that is not there
    await append(gone, "one")
    (one,) = await take(gone)
    (its,) = await members(server)
    await there._forget(keys=[KEY], args=["mail", 0])
    assert its in await members(server), "what it took would be forgotten with it"
    async with asyncio.timeout(PATIENCE):
        while await take(there) != [one]:
            pass
        await take(make_stream())
        assert its in await members(server)
        while its in await members(server):
            await take(there)


async def test_what_is_silent_is_looked_for_now_and_then(make_stream: Make, server: Any) -> None:
    """Not with each take: it costs a question each time."""
    stream = make_stream()
    await server.config_resetstat()
    for _ in range(5):
        await take(stream)
    assert (await server.info("commandstats"))["cmdstat_xautoclaim"]["calls"] <= 2, (
        "one, and one to make the group"
    )


async def test_nobody_loses_what_is_oldest(make_stream: Make) -> None:
    """One entry that is taken and not done holds up who appends, though everything after it is done."""
    stream = make_stream(length=20)
    await append(stream, *map(str, range(20)))
    oldest, *others = await take(stream)
    await done(stream, others)
    with pytest.raises(UnavailableError, match=r"^mail is 20 events behind") as caught:
        await append(stream, "one more")
    assert caught.value.code is UnavailableCode.BUS_FULL
    await done(stream, [oldest])
    events = await append(stream, "one more")
    assert events_of(await take(stream)) == events


async def test_an_entry_that_somebody_deleted_holds_up_nobody(make_stream: Make, server: Any) -> None:
    """Nor does what was pushed out while its group was away, though the server counts both as to be done."""
    stream = make_stream(length=20, silent_seconds=SILENT)
    await append(stream, *map(str, range(20)))
    await take(stream, limit=10)
    async with asyncio.timeout(PATIENCE):
        for number in range(15):
            while not await _appended(make_stream(length=20, silent_seconds=SILENT), f"pushes {number}"):
                pass
    strict = make_stream(length=20, silent_seconds=HOUR)
    await done(strict, await take(strict))
    await append(strict, *map(str, range(20)))
    (_, second, *_), _ = await take(strict, limit=5), await take(strict, limit=4)
    await server.xdel(KEY, second.position)
    await append(strict, "fits in")


async def _appended(stream: RedisEventStream, text: str) -> bool:
    try:
        await append(stream, text)
    except UnavailableError:
        return False
    return True


async def test_what_is_no_event_is_passed_over(make_stream: Make, server: Any) -> None:
    """Whatever somebody else puts there is nobody's, and done with as all else is."""
    stream = make_stream()
    for odd in ({"other": "field"}, {"event": b"\xff"}, {"event": "[]"}, {"event": '{"id": 1}'}):
        await server.xadd(KEY, odd)
    events = await append(stream, "ours")
    taken = await take(stream)
    assert [each.name for each in events_of(taken)] == ["", "", "", "", events[0].name]
    assert await stream.latest(9) == await stream.after("", limit=9, seconds=0) == taken
    await done(stream, taken)
    assert (await server.xpending(KEY, "mail"))["pending"] == 0


async def test_a_stream_that_began_anew_is_followed(make_stream: Make, server: Any) -> None:
    """Even if the time of its server was set back meanwhile, so that its positions come before those known."""
    stream = make_stream()
    await server.xadd(KEY, {"event": "later"}, id="99999999999999-0")
    (last,) = await stream.latest(1)
    assert await stream.after(last.position, limit=9, seconds=0) == []
    await server.delete(KEY)
    assert await stream.after(last.position, limit=9, seconds=0) == []
    events = await append(stream, "one", "two")
    (one,) = await stream.after(last.position, limit=1, seconds=0)
    assert [one.event, *events_of(await stream.after(one.position, limit=9, seconds=0))] == events


async def test_time_that_is_set_back_keeps_the_order(make_stream: Make, server: Any) -> None:
    """What is appended comes after what is there, and groups have it."""
    stream = make_stream()
    await server.xadd(KEY, {"event": "later"}, id="99999999999999-0")
    (last,) = await take(stream)
    events = await append(stream, "one", "two")
    assert events_of(await stream.after(last.position, limit=9, seconds=0)) == events
    assert events_of(await take(stream)) == events


@pytest.mark.parametrize("failing", [read_only, full])
async def test_a_server_that_takes_nothing_now(make_stream: Make, redis_url: str, failing: Any) -> None:
    """Who appends is told why; nothing is lost, and afterwards all goes on."""
    stream = make_stream()
    events = await append(stream, "before")
    async with failing(redis_url):
        with pytest.raises(UnavailableError, match=r"read only|maxmemory") as caught:
            await append(stream, "meanwhile")
        assert caught.value.code is UnavailableCode.BUS_UNREACHABLE
        with pytest.raises(UnavailableError, match=r"read only|maxmemory"):
            await take(stream)
    events += await append(stream, "after")
    assert events_of(await take(stream)) == events


async def test_what_is_no_stream_is_told_of(make_stream: Make, server: Any) -> None:
    """Somebody else's data under our name is left alone, and named."""
    stream = make_stream()
    await server.set(KEY, "something else")
    for asked in (append(stream, "one"), take(stream), stream.latest(1), stream.after("", limit=1, seconds=0)):
        with pytest.raises(UnavailableError, match="WRONGTYPE"):
            await asked
    assert await server.get(KEY) == b"something else"


@pytest.mark.parametrize("empty", [False, True])
async def test_a_server_that_is_killed_while_one_waits(own_server: OwnServer, empty: bool) -> None:
    """Who waits is told at once; when it is back with its data or without, the same member goes on."""
    async with open_stream(own_server.url) as stream, client(own_server.url) as server:
        kept = await append(stream, "kept")
        await take(stream)
        waiting = asyncio.create_task(take(stream, seconds=HOUR))
        await waits(server)
        own_server.kill()
        with pytest.raises(UnavailableError, match="does not work now") as caught:
            await waiting
        assert caught.value.code is UnavailableCode.BUS_UNREACHABLE
        with pytest.raises(UnavailableError):
            await append(stream, "meanwhile")
        await own_server.start(empty=empty)
        events = await append(stream, "after")
        assert events_of(await take(stream)) == events
        assert events_of(await stream.latest(9)) == [*([] if empty else kept), *events]


async def test_a_server_that_hangs_holds_nobody_up(own_server: OwnServer) -> None:
    """Who asks it is told within a few seconds, and can go on when it does."""
    async with open_stream(own_server.url) as stream:
        own_server.pause()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(stream.latest(1), PATIENCE)
        own_server.resume()
        events = await append(stream, "after")
        assert events_of(await stream.latest(9)) == events
