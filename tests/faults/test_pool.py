"""A pool that is too small makes callers wait or turns them away; it never makes them hang."""

import asyncio
from collections import Counter
from typing import Any

import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.accounts import ImportStatement
from dashtam_core.audit import VerifyAuditLog
from dashtam_core.kernel import Success, UnavailableCode, UnavailableError
from faults.jobs import HEARD, subscriptions
from faults.world import (
    ORIGIN,
    all_given_back,
    application,
    books,
    connection,
    execute,
    marked,
    nothing_open,
    person,
    size,
    statement,
    sweep,
    tell,
    until,
)


@pytest.mark.parametrize("pool_size", [1, 4])
async def test_ten_times_more_commands_than_connections(database: Database, pool_size: int) -> None:
    """Slow transactions keep the pool taken: some are turned away, nobody hangs, and all works afterwards."""
    heard: Counter[str] = Counter()
    async with (
        dashtam_postgres.open_store(database.app_url, pool_size=pool_size, pool_seconds=0.5) as store,
        application(store) as dashtam,
    ):
        for wave in range(size(2, 20)):
            marks = [f"{wave}.{number}" for number in range(10 * pool_size)]
            async with asyncio.timeout(30):
                answers = await asyncio.gather(*(tried(dashtam, mark) for mark in marks))
            heard.update(answers)
            await all_given_back(store)
        assert heard.keys() == {"succeeded", UnavailableCode.STORE_BUSY}
        assert await marked(dashtam, "afterwards") == Success("marked afterwards")
        await nothing_open(database.admin_url)
        lost = await sweep(dashtam)
    found = await books(database.admin_url)
    found.check()
    assert found.state.total() == heard["succeeded"] + 1
    tell(f"a pool of {pool_size}", **heard, closed_by_the_sweeper=lost)


async def tried(dashtam: Dashtam, mark: str) -> str:
    number = int(mark.partition(".")[2])
    try:
        answer = await marked(dashtam, mark, who=number, hold=0.2, key=mark if number % 2 else None)
    except UnavailableError as error:
        return error.code
    assert answer == Success(f"marked {mark}")
    return "succeeded"


@pytest.mark.parametrize("pool_size", [1, 2])
async def test_nobody_takes_a_second_connection(database: Database, pool_size: int) -> None:
    """Keys, new people, imports, sealing and delivery share the last connection without waiting for each other."""
    commands = size(20, 300)
    await execute(database.admin_url, *HEARD)
    async with (
        dashtam_postgres.open_store(database.app_url, pool_size=pool_size, pool_seconds=60) as store,
        application(store, workers=True, subscriptions=subscriptions()) as dashtam,
        asyncio.timeout(150),
    ):
        async with asyncio.TaskGroup() as group:
            for number in range(commands):
                mark = f"{number}"
                group.create_task(once(dashtam, mark, who=number, key=mark, call=True))
                group.create_task(once(dashtam, mark, who=number, key=f"other-{mark}"))
                group.create_task(imported(dashtam, number))
        async with connection(database.admin_url) as owner:

            async def all_heard() -> bool:
                return int(await owner.fetchval("SELECT count(*) FROM dashtam.heard") or 0) == 2 * commands

            await until(all_heard)
        assert (await dashtam.run(VerifyAuditLog(), person(0))).unwrap().entries >= 6 * commands
    await nothing_open(database.admin_url)
    found = await books(database.admin_url)
    assert found.state == {f"{number}": 2 for number in range(commands)}
    tell(f"all at once on {pool_size} connections", commands=3 * commands, deliveries=2 * commands, hung=0)


async def once(dashtam: Dashtam, mark: str, **how: Any) -> None:
    assert await marked(dashtam, mark, **how) == Success(f"marked {mark}")


async def imported(dashtam: Dashtam, number: int) -> None:
    answer = await dashtam.run(ImportStatement(statement(number, "a")), person(number), ORIGIN, f"{number}")
    assert answer.unwrap().document.added == 1
