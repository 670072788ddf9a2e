"""Group commit: entries of one time share a commit, and nobody hears of theirs before it."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import attrs
import pytest

from dashtam_core.audit import AttemptId, AuditEntry, EntryId, GroupCommit, Phase
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import SystemClock
from dashtam_core.memory import MemoryStore
from dashtam_core.memory._audit import MemoryAuditLog

PATIENCE = 30
"""Seconds after which somebody who is waited for will not come."""


class BrokenError(Exception):
    """What the log raises on purpose."""


@attrs.frozen
class Gated(MemoryAuditLog):
    """A log in memory that counts its commits, and makes each wait until it is let through."""

    gate: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(0))
    begun: list[list[str]] = attrs.field(factory=list[list[str]])
    """What each call was given."""
    broken: set[str] = attrs.field(factory=set[str])
    """Entries that cannot be written."""

    async def record(self, entries: Sequence[AuditEntry], /) -> None:
        self.begun.append([each.action for each in entries])
        await self.gate.acquire()
        if any(each.action in self.broken for each in entries):
            raise BrokenError
        await MemoryAuditLog(self.store).record(entries)

    @property
    def written(self) -> list[str]:
        return [each.action for each in self.store.trail.entries]


@pytest.fixture
def log() -> Gated:
    return Gated(MemoryStore())


def entry(action: str) -> AuditEntry:
    number = UUID(int=ord(action[0]))
    return AuditEntry(
        entry_id=EntryId(number),
        attempt_id=AttemptId(number),
        occurred_at=SystemClock().now(),
        user_id=ExternalSubject("ann").user_id,
        action=action,
        phase=Phase.ATTEMPTED,
        resource_type="account",
        channel="library",
    )


async def settle() -> None:
    """Lets everybody go as far as they can without the log."""
    for _ in range(20):
        await asyncio.sleep(0)


async def recording(group: GroupCommit, actions: str) -> list[asyncio.Task[None]]:
    """A caller for each entry, one after another; the first of all goes to the log at once."""
    tasks = [asyncio.create_task(group.record(entry(action)), name=action) for action in actions]
    await settle()
    return tasks


def returned(tasks: Sequence[asyncio.Task[None]]) -> str:
    return "".join(task.get_name() for task in tasks if task.done() and not task.cancelled())


async def outcomes(tasks: Sequence[asyncio.Task[None]]) -> str:
    """For each caller whether it returned (.), heard of the error (!) or was cancelled (x)."""
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
    signs: dict[type, str] = {type(None): ".", BrokenError: "!", asyncio.CancelledError: "x"}
    return "".join(signs[type(each)] for each in found)


async def test_entries_of_one_time_share_a_commit(log: Gated) -> None:
    """Who comes while a commit is under way shares the next one, in order of coming."""
    group = GroupCommit(log)
    tasks = await recording(group, "abcd")
    assert log.begun == [["a"]]
    log.gate.release()
    await settle()
    assert log.begun == [["a"], ["b", "c", "d"]]
    tasks += await recording(group, "ef")
    log.gate.release()
    await settle()
    assert log.begun == [["a"], ["b", "c", "d"], ["e", "f"]]
    log.gate.release()
    assert await outcomes(tasks) == "......"
    assert log.written == [*"abcdef"]


async def test_a_hundred_at_once_take_two_commits(log: Gated) -> None:
    """However many come, the store is asked once for the first and once for all others."""
    tasks = await recording(GroupCommit(log), "x" * 100)
    for _ in range(2):
        log.gate.release()
    assert await outcomes(tasks) == "." * 100
    assert [len(each) for each in log.begun] == [1, 99]
    assert len(log.written) == 100


async def test_nobody_returns_before_their_commit(log: Gated) -> None:
    """Each caller goes on when its own entry is committed, and no sooner."""
    tasks = await recording(GroupCommit(log), "abc")
    assert returned(tasks) == ""
    log.gate.release()
    await settle()
    assert (returned(tasks), log.written) == ("a", ["a"])
    log.gate.release()
    assert await outcomes(tasks) == "..."
    assert log.written == [*"abc"]


async def test_one_after_another_shares_nothing(log: Gated) -> None:
    """Whoever comes alone is written at once, by itself."""
    group = GroupCommit(log)
    for action in "abc":
        log.gate.release()
        await asyncio.wait_for(group.record(entry(action)), PATIENCE)
    assert log.begun == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("broken", "expected"), [("a", "!....."), ("c", ".!!!.."), ("f", "....!!"), ("acf", "!!!!!!")]
)
async def test_an_error_reaches_its_batch_and_nobody_else(log: Gated, broken: str, expected: str) -> None:
    """Everybody whose entry was not written hears of it; those before and after are written."""
    group = GroupCommit(log)
    log.broken.update(broken)
    tasks = await recording(group, "abcd")
    log.gate.release()
    await settle()
    tasks += await recording(group, "ef")
    for _ in range(2):
        log.gate.release()
    assert await outcomes(tasks) == expected
    assert log.written == [each for each, sign in zip("abcdef", expected, strict=True) if sign == "."]
    log.gate.release()
    await asyncio.wait_for(group.record(entry("g")), PATIENCE)
    assert log.written[-1] == "g"


@pytest.mark.parametrize("cancelled", ["a", "b", "d", "ab", "bcd", "abcd"])
@pytest.mark.parametrize("when", ["the first is written", "the others are written"])
async def test_who_is_cancelled_takes_nobody_along(log: Gated, cancelled: str, when: str) -> None:
    """Whether the first or one who waits: the others are written, hear of it, and the group goes on."""
    group = GroupCommit(log)
    tasks = await recording(group, "abcd")
    if when == "the others are written":
        log.gate.release()
        await settle()
    for task in tasks:
        if task.get_name() in cancelled:
            task.cancel()
    await settle()
    for _ in range(2):
        log.gate.release()
    signs = await outcomes(tasks)
    first = "." if when == "the others are written" or "a" not in cancelled else "x"
    assert signs == first + "".join("x" if each in cancelled else "." for each in "bcd")
    assert {each for each, sign in zip("abcd", signs, strict=True) if sign == "."} <= {*log.written}
    await asyncio.wait_for(group.close(), PATIENCE)
    log.gate.release()
    await asyncio.wait_for(group.record(entry("g")), PATIENCE)
    assert log.written[-1] == "g"


async def test_who_was_cancelled_hears_of_no_error(log: Gated) -> None:
    """A commit that fails after a caller of it has gone is told to those who are left."""
    group = GroupCommit(log)
    tasks = await recording(group, "abc")
    log.broken.add("b")
    tasks[1].cancel()
    for _ in range(2):
        log.gate.release()
    assert await outcomes(tasks) == ".x!"


@pytest.mark.parametrize("callers", ["a", "ab", "abcd"])
async def test_closing_waits_for_what_is_being_written(log: Gated, callers: str) -> None:
    """Closing returns when everything is committed, be it the first that writes or those who came after."""
    group = GroupCommit(log)
    tasks = await recording(group, callers)
    closing = asyncio.create_task(group.close())
    for _ in range(min(len(callers), 2)):
        await settle()
        assert not closing.done()
        log.gate.release()
    await asyncio.wait_for(closing, PATIENCE)
    assert log.written == [*callers]
    assert await outcomes(tasks) == "." * len(callers)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_what_is_idle_returns_at_once(log: Gated) -> None:
    """Nothing is waited for where nothing is written, and closing twice is harmless."""
    group = GroupCommit(log)
    for _ in range(2):
        await asyncio.wait_for(group.close(), PATIENCE)
