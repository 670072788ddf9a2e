"""No event is lost and none acts twice: writers that commit out of order, relays that are killed."""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from typing import Any, Final

import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from faults.jobs import HEARD, subscriptions
from faults.world import application, connection, execute, marked, nothing_open, size, tell, until
from faults.zygote import Zygote

WRITERS: Final = 32
RELAYS: Final = 2


@pytest.mark.timeout(size(170, 6000))
async def test_every_event_is_heard_once_and_in_order(database: Database, zygote: Zygote) -> None:
    """Each of two subscribers hears every event once, those of one writer in the order of its commits."""
    events, kills, chance = size(2_000, 100_000), size(4, 60), random.Random(20260107)
    await execute(database.admin_url, *HEARD)
    async with (
        dashtam_postgres.open_store(database.app_url, pool_size=WRITERS) as store,
        application(store, subscriptions=subscriptions()) as dashtam,
        asyncio.TaskGroup() as group,
    ):
        for writer in range(WRITERS):
            holds = random.Random(writer)
            group.create_task(write(dashtam, writer, range(events // WRITERS), holds))
        await relays_that_are_killed(zygote, database, 2 * (events // WRITERS * WRITERS), kills, chance)
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
    tell(
        "outbox",
        events=wanted.total(),
        deliveries=len(rows),
        writers=WRITERS,
        relays_killed=kills,
        lost=0,
        twice=0,
    )


async def write(dashtam: Dashtam, writer: int, turns: range, holds: random.Random) -> None:
    """One event after the other; some transactions stay open for a while after their write."""
    for turn in turns:
        hold = holds.random() * 0.05 if holds.random() < 0.2 else 0.0
        assert (await marked(dashtam, f"{writer}.{turn}", who=writer, call=True, hold=hold)).unwrap()


async def relays_that_are_killed(
    zygote: Zygote, database: Database, deliveries: int, kills: int, chance: random.Random
) -> None:
    """Two processes deliver until everything is; one or the other is killed and replaced at random moments."""
    pids: list[int] = [await zygote.fork(do="relay", url=database.app_url) for _ in range(RELAYS)]
    moments = sorted(chance.sample(range(1, deliveries), kills))
    async with connection(database.admin_url) as owner:

        async def heard(count: int) -> None:
            async def enough() -> bool:
                return int(await owner.fetchval("SELECT count(*) FROM dashtam.heard") or 0) >= count

            await until(enough, 5000)

        for moment in moments:
            await heard(moment)
            nth = chance.randrange(RELAYS)
            os.kill(pids[nth], signal.SIGKILL)
            assert await zygote.ended(pids[nth]) == -signal.SIGKILL
            pids[nth] = await zygote.fork(do="relay", url=database.app_url)
        await heard(deliveries)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        await zygote.ended(pid)


def by_writer(marks: list[str]) -> dict[str, list[int]]:
    """What was heard of each writer, in the order it was heard."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for mark in marks:
        writer, _, turn = mark.partition(".")
        found[writer].append(int(turn))
    return found
