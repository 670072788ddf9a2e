"""A process killed at any step of the pipeline leaves nothing open, and nothing that does not agree."""

import signal
from typing import Final

import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core.audit import Attempt
from dashtam_core.messaging import transaction
from faults.world import DONE, LOST, application, books, nothing_open, size, sweep, tell
from faults.zygote import Zygote

STAGES: Final = 11


@pytest.mark.timeout(size(120, 1200))
async def test_a_process_killed_at_each_step(database: Database, zygote: Zygote) -> None:
    """Before and after each stage, and in the handler: state, trail and outbox agree after the sweeper."""
    expected: dict[str, tuple[int, tuple[str, ...]]] = {}
    async with dashtam_postgres.open_store(database.app_url) as store, application(store) as dashtam:
        stages = list(dashtam.stages)
        assert len(stages) == STAGES
        attempted = next(n for n, each in enumerate(stages) if isinstance(each, Attempt))
        for turn in range(size(1, 20)):
            for stage in range(STAGES + 1):
                for after in (False, True):
                    mark = f"{turn}-{'after' if after else 'before'}-{stage}"
                    pid = await zygote.fork(do="crash", url=database.app_url, mark=mark, stage=stage, after=after)
                    assert await zygote.ended(pid) == -signal.SIGKILL
                    committed = after and stage <= stages.index(transaction)
                    begun = stage > attempted or committed
                    expected[mark] = (int(committed), DONE if committed else LOST if begun else ())
        await nothing_open(database.admin_url)
        lost = await sweep(dashtam)
    found = await books(database.admin_url)
    found.check()
    assert {mark: (found.state[mark], *found.attempts.get(mark, [()])) for mark in expected} == expected
    tell(
        "processes killed", kills=len(expected), committed=found.state.total(), closed_by_the_sweeper=lost, open=0
    )
