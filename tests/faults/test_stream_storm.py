"""Nothing that goes through the stream is lost, and no effect is there twice, whatever is killed on the way."""

import asyncio
import os
import random
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import attrs
import pytest

from conftest import Database, short_lived
from dashtam_core import Dashtam
from faults.spreading import TABLE, Tally, spreading
from faults.world import connection, execute, marked, nothing_open, size, tell, until
from faults.zygote import Zygote
from integration.redis.servers import OwnServer, client, running

MEMBERS: Final = 4
WRITERS: Final = 32
LEAD: Final = 4 * WRITERS
"""How many events writers may be ahead of who hears of them."""


@pytest.fixture
async def bus() -> AsyncGenerator[OwnServer]:
    """A Valkey that may be killed."""
    async with running(short_lived()) as server:
        yield server


@attrs.define
class Storm:
    """Members of one group in processes of their own, and what befalls them and the stream."""

    zygote: Zygote
    job: dict[str, str]
    bus: OwnServer
    running: list[int] = attrs.field(factory=list[int])
    written: int = 0
    heard: int = 0

    async def room(self) -> None:
        while self.written - self.heard > LEAD:  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.01)
        self.written += 1

    async def begin(self) -> None:
        """One more member."""
        self.running.append(await self.zygote.fork(do="spread", **self.job))

    async def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert await self.zygote.ended(pid) == -signal.SIGKILL
        self.running.remove(pid)

    async def befall(self, what: str, chance: random.Random) -> None:
        """One of the things that go wrong."""
        if what == "member":
            await self.kill(chance.choice(self.running))
            await self.begin()
        elif what == "flush":
            async with client(self.bus.url) as administrator:
                await administrator.flushall()
        else:
            self.bus.kill()
            await self.bus.start(empty=what == "lost")


@pytest.mark.timeout(size(170, 6000))
async def test_every_event_is_heard_once(database: Database, zygote: Zygote, bus: OwnServer) -> None:
    """Members are killed, the stream is emptied, its server killed, with its data and without: none is lost."""
    events, chance = size(2_000, 100_000) // WRITERS * WRITERS, random.Random(20260107)
    harm = size(1, 20) * (["member"] * 6 + ["flush", "kept", "lost"])
    chance.shuffle(harm)
    await execute(database.admin_url, *TABLE)
    with tempfile.TemporaryDirectory(prefix="tally-", dir=short_lived()) as folder:
        tally = Tally(Path(folder))
        storm = Storm(zygote, {"url": database.app_url, "bus": bus.url, "folder": folder}, bus)
        began = asyncio.get_running_loop().time()
        async with (
            spreading(database.app_url, bus.url, tally, pool=WRITERS, workers=False) as dashtam,
            connection(database.admin_url) as owner,
            asyncio.TaskGroup() as group,
        ):

            async def all_heard() -> bool:
                storm.heard = await owner.fetchval("SELECT count(*) FROM dashtam.spread")
                if harm and storm.heard > events * (1 - len(harm) / (harms + 1)):
                    await storm.befall(harm.pop(), chance)
                return storm.heard >= events

            harms = len(harm)
            for writer in range(WRITERS):
                group.create_task(write(dashtam, storm, writer, events // WRITERS))
            for _ in range(MEMBERS):
                await storm.begin()
            await until(all_heard, 5000)
        took = asyncio.get_running_loop().time() - began
        for pid in [*storm.running]:
            await storm.kill(pid)
        counted = {what: tally.of(what) for what in ("taken", "claimed", "begun", "suppressed")}
    await nothing_open(database.admin_url)
    async with connection(database.admin_url) as owner:
        rows = await owner.fetch("SELECT mark, seconds FROM dashtam.spread ORDER BY seconds")
        wanted = Counter(row["name"] for row in await owner.fetch("SELECT name FROM dashtam.account"))
        left = await owner.fetchval("SELECT count(*) FROM dashtam.inbox WHERE NOT done")
        kept = await owner.fetchval("SELECT count(*) FROM dashtam.outbox")
    assert wanted.total() == events
    assert Counter(row["mark"] for row in rows) == wanted, "events are lost, or heard twice"
    assert (left, harm) == (0, [])
    assert counted["taken"] > events / 2, "they came some other way: nothing is proven"
    seconds = [row["seconds"] for row in rows]
    tell(
        "stream",
        events=events,
        members_killed=6 * size(1, 20),
        stream_lost=harms - 6 * size(1, 20),
        **counted,
        left_to_maintenance=kept,
        events_a_second=round(events / took),
        seconds_until_heard=[round(seconds[round(at * (events - 1))], 3) for at in (0.5, 0.9, 0.99, 1)],
    )


async def write(dashtam: Dashtam, storm: Storm, writer: int, turns: int) -> None:
    for turn in range(turns):
        await storm.room()
        assert (await marked(dashtam, f"{writer}.{turn}", who=writer, call=True)).unwrap()
