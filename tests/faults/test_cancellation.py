"""A storm of cancelled commands leaves no connection taken, no transaction open and no wrong reply."""

import asyncio
import random
from collections import defaultdict
from typing import Any, Final

import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.audit import Phase
from dashtam_core.kernel import Success
from faults.world import (
    INSIDE,
    all_given_back,
    application,
    books,
    marked,
    nothing_open,
    size,
    sweep,
    taken,
    tell,
)

AT_ONCE: Final = 200
EARLY: Final = 250
LATE: Final = 20
"""Steps of the event loop, counted from the start, or from the handler's write: around the commit and after it."""


@attrs.define
class Replies:
    """What callers heard of each mark."""

    succeeded: set[str] = attrs.field(factory=set[str])
    failed: set[str] = attrs.field(factory=set[str])
    cancelled: set[str] = attrs.field(factory=set[str])
    written: defaultdict[str, asyncio.Event] = attrs.field(factory=lambda: defaultdict(asyncio.Event))
    """Set once the handler has written."""

    async def inside(self, mark: str) -> None:
        self.written[mark].set()


@pytest.mark.timeout(size(120, 1200))
async def test_a_storm_of_cancelled_commands(database: Database) -> None:
    """Who heard of a success has it, who heard of a failure has nothing, and the books agree on the rest."""
    commands, chance, replies = size(1_000, 20_000), random.Random(20260102), Replies()
    async with dashtam_postgres.open_store(database.app_url) as store, application(store) as dashtam:
        INSIDE.does = replies.inside
        for start in range(0, commands, AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + AT_ONCE):
                    group.create_task(cancelled_somewhere(dashtam, number, chance, replies))
        INSIDE.does = None
        await all_given_back(store)
        await nothing_open(database.admin_url)
        lost = await sweep(dashtam)
        found = await books(database.admin_url)
        assert taken(store) == 0
    found.check()
    assert set(found.state.values()) <= {1}
    wrong = (replies.succeeded - found.state.keys()) | (replies.failed & found.state.keys())
    assert not wrong
    assert set(found.state) <= replies.succeeded | replies.cancelled
    assert not found.ends(Phase.FAILED).keys() - replies.failed - replies.cancelled
    there = len(replies.cancelled & found.state.keys())
    tell(
        "cancelled commands",
        commands=commands,
        succeeded=len(replies.succeeded),
        failed=len(replies.failed),
        cancelled=len(replies.cancelled),
        cancelled_but_committed=there,
        closed_by_the_sweeper=lost,
        wrong_replies=len(wrong),
        connections_leaked=0,
    )
    assert min(map(len, (replies.succeeded, replies.failed, replies.cancelled))) > commands // 50
    assert there, "no cancellation came late enough to prove anything"


async def cancelled_somewhere(dashtam: Dashtam, number: int, chance: random.Random, replies: Replies) -> None:
    """Runs a command, and cancels it after so many steps of the loop, some of them twice."""
    mark, refuse, key = f"{number}", number % 5 == 0, f"{number}" if number % 3 == 0 else None
    late, again = number % 2 == 0, chance.random() < 0.3
    task = asyncio.create_task(marked(dashtam, mark, who=number % 7, refuse=refuse, key=key))
    if late:
        await replies.written[mark].wait()
    await _steps(chance.randint(0, LATE if late else EARLY), task)
    task.cancel()
    if again:
        await _steps(chance.randint(0, 5), task)
        task.cancel()
    try:
        answer: Any = await task
    except asyncio.CancelledError:
        replies.cancelled.add(mark)
        return
    (replies.succeeded if isinstance(answer, Success) else replies.failed).add(mark)


async def _steps(count: int, task: asyncio.Task[Any]) -> None:
    for _ in range(count):
        if task.done():
            return
        await asyncio.sleep(0)
