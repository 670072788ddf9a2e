"""No event is lost and none acts twice: writers that commit out of order, relays that are killed."""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from typing import Any, Final

import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from faults.jobs import HEARD, subscriptions
from faults.world import application, connection, execute, marked, nothing_open, size, tell, until
from faults.zygote import Zygote

WRITERS: Final = 32
RELAYS: Final = 2
SUBSCRIBERS: Final = 2
LEAD: Final = 4 * WRITERS


@attrs.define
class Relays:
    """Processes that deliver, each replaced when it was killed, until there is nothing more to deliver."""

    zygote: Zygote
    database: Database
    between: int
    """Deliveries between two deaths of one of them, at most."""
    chance: random.Random
    running: set[int] = attrs.field(factory=set[int])
    killed: int = 0
    over: asyncio.Event = attrs.field(factory=asyncio.Event)
    written: int = 0
    heard: int = 0

    async def room(self) -> None:
        """Lets writers be only so far ahead: what relays do while transactions are open is to be proven."""
        while self.written - self.heard / SUBSCRIBERS > LEAD:  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.005)
        self.written += 1

    async def run(self, deliveries: int) -> None:
        async with connection(self.database.admin_url) as owner, asyncio.TaskGroup() as group:

            async def all_heard() -> bool:
                self.heard = await owner.fetchval("SELECT count(*) FROM dashtam.heard")
                return self.heard >= deliveries

            for _ in range(RELAYS):
                group.create_task(self._one_after_the_other())
            await until(all_heard, 5000)
            self.over.set()
            for pid in self.running:
                os.kill(pid, signal.SIGKILL)

    async def _one_after_the_other(self) -> None:
        while not self.over.is_set():
            last, seconds = self.chance.randint(1, self.between), self.chance.random() * 0.002
            pid = await self.zygote.fork(do="relay", url=self.database.app_url, deliveries=last, seconds=seconds)
            self.running.add(pid)
            if self.over.is_set():
                os.kill(pid, signal.SIGKILL)
            assert await self.zygote.ended(pid) == -signal.SIGKILL
            self.running.remove(pid)
            self.killed += not self.over.is_set()


@pytest.mark.timeout(size(170, 6000))
async def test_every_event_is_heard_once_and_in_order(database: Database, zygote: Zygote) -> None:
    """Each of two subscribers hears every event once, those of one writer in the order of its commits."""
    events, chance = size(2_000, 100_000), random.Random(20260107)
    deliveries = SUBSCRIBERS * (events // WRITERS * WRITERS)
    relays = Relays(zygote, database, 2 * deliveries // size(8, 100), chance)
    await execute(database.admin_url, *HEARD)
    async with (
        dashtam_postgres.open_store(database.app_url, pool_size=WRITERS) as store,
        application(store, subscriptions=subscriptions()) as dashtam,
        asyncio.TaskGroup() as group,
    ):
        for writer in range(WRITERS):
            holds = random.Random(writer)
            group.create_task(write(dashtam, relays, writer, range(events // WRITERS), holds))
        await relays.run(deliveries)
    await nothing_open(database.admin_url)
    async with connection(database.admin_url) as owner:
        rows = await owner.fetch("SELECT subscriber, mark FROM dashtam.heard ORDER BY at")
        committed = await owner.fetch("SELECT name, xmin::text::bigint AS xid FROM dashtam.account")
        left = await owner.fetchval("SELECT count(*) FROM dashtam.inbox WHERE NOT done")
    heard: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        heard[row["subscriber"]].append(row["mark"])
    xids: dict[str, int] = {row["name"]: row["xid"] for row in committed}
    wanted = Counter(row["name"] for row in committed)
    assert wanted.total() == events // WRITERS * WRITERS
    assert heard.keys() == {"first", "second"}
    for name, marks in heard.items():
        assert Counter(marks) == wanted, f"{name} lost events, or heard some twice"
        assert all(each == sorted(each) for each in by_writer(marks).values()), f"{name} heard them out of order"
        assert [xids[mark] for mark in marks] == sorted(xids.values()), f"{name} heard a later transaction first"
    assert left == 0
    assert relays.killed, "no relay was killed: nothing is proven"
    tell(
        "outbox",
        events=wanted.total(),
        deliveries=len(rows),
        writers=WRITERS,
        relays_killed=relays.killed,
        lost=0,
        twice=0,
    )


async def write(dashtam: Dashtam, relays: Relays, writer: int, turns: range, holds: random.Random) -> None:
    """One event after the other; some transactions stay open for a while after their write."""
    for turn in turns:
        await relays.room()
        hold = holds.random() * 0.05 if holds.random() < 0.2 else 0.0
        assert (await marked(dashtam, f"{writer}.{turn}", who=writer, call=True, hold=hold)).unwrap()


def by_writer(marks: list[str]) -> dict[str, list[int]]:
    """What was heard of each writer, in the order it was heard."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for mark in marks:
        writer, _, turn = mark.partition(".")
        found[writer].append(int(turn))
    return found
