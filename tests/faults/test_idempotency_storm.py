"""A retried command acts once, however many retries come at once and to which process."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, Final

import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.audit import Phase
from dashtam_core.kernel import Failure, Success
from dashtam_core.messaging import RefusalCode
from faults.world import application, books, marked, nothing_open, size, sweep, tell

RETRIES: Final = 50
IN_USE: Final = RefusalCode.IDEMPOTENCY_KEY_IN_USE
REUSED: Final = RefusalCode.IDEMPOTENCY_KEY_REUSED


@attrs.define
class Answers:
    """What came back, and how often."""

    succeeded: Counter[str] = attrs.field(factory=Counter[str])
    refused: Counter[str] = attrs.field(factory=Counter[str])
    different: int = 0


@pytest.mark.timeout(size(120, 3000))
async def test_each_key_acts_once(database: Database) -> None:
    """Of fifty retries of a key, over two applications, one acts; others get its answer or are told to wait."""
    keys, answers = size(50, 1_000), Answers()
    async with AsyncExitStack() as stack:
        applications = [await opened(stack, database.app_url) for _ in range(2)]
        for key in range(keys):
            async with asyncio.TaskGroup() as group:
                for retry in range(RETRIES):
                    group.create_task(retried(applications[retry % 2], f"key-{key}", answers))
            await retried(applications[key % 2], f"key-{key}", answers)
            await reused(applications[key % 2], f"key-{key}")
        assert await sweep(applications[0]) == 0
    await nothing_open(database.admin_url)
    found = await books(database.admin_url)
    found.check()
    marks = {f"key-{key}" for key in range(keys)}
    assert found.state == dict.fromkeys(marks, 1)
    assert found.ends(Phase.SUCCEEDED) == dict.fromkeys(marks, 1)
    assert found.ends(Phase.REPLAYED) == {mark: answers.succeeded[mark] - 1 for mark in marks}
    assert answers.succeeded.keys() == marks
    assert answers.refused.keys() <= {IN_USE}
    tell(
        "retries",
        keys=keys,
        calls=keys * (RETRIES + 2),
        effects=found.state.total(),
        replayed=found.ends(Phase.REPLAYED).total(),
        told_to_wait=answers.refused[IN_USE],
        different_answers=answers.different,
    )
    assert not answers.different
    assert answers.refused[IN_USE], "nobody came while the first was running: nothing is proven"


async def opened(stack: AsyncExitStack, url: str) -> Dashtam:
    store = await stack.enter_async_context(dashtam_postgres.open_store(url))
    return await stack.enter_async_context(application(store))


async def retried(dashtam: Dashtam, key: str, answers: Answers) -> None:
    match await marked(dashtam, key, key=key):
        case Success(value):
            answers.succeeded[key] += 1
            answers.different += value != f"marked {key}"
        case Failure(error):
            answers.refused[error.code] += 1


async def reused(dashtam: Dashtam, key: str) -> None:
    """The same key with another body."""
    answer: Any = await marked(dashtam, f"{key}, and more", key=key)
    assert answer.failure().code == REUSED
