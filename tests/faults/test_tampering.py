"""Whoever has every power over the database cannot change the trail unseen; who is erased is erased."""

import io
import random
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import asyncpg
import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.accounts import ImportStatement
from dashtam_core.audit import (
    EntryFilter,
    ExportAuditLog,
    ListAuditEntries,
    ReadableEntry,
    Sealing,
    Verified,
    VerifierKey,
    VerifyAuditLog,
    leaf_hash,
    verify_export,
)
from dashtam_core.identity import CreateApiToken, EraseUser
from dashtam_core.kernel import Origin, Page, Result, Subject
from dashtam_postgres import PostgresStore
from faults.world import application, connection, marked, person, size, statement, tell

ENTRY: Final = "(recorded_at, entry_id) = (SELECT recorded_at, entry_id FROM audit_leaf WHERE tree_index = $1)"
CHANGES: Final = {
    "action": "'another'",
    "attempt_id": "gen_random_uuid()",
    "channel": "'http'",
    "code": "'denied'",
    "context": """'{"count": 2}'""",
    "entry_id": "gen_random_uuid()",
    "occurred_at": "occurred_at - interval '1 microsecond'",
    "personal": "NULL",
    "phase": "'replayed'",
    "recorded_at": "recorded_at - interval '1 microsecond'",
    "request_id": "NULL",
    "resource_id": "'other'",
    "resource_type": "'other'",
    "user_id": "gen_random_uuid()",
}
"""Every column of an entry, and another value for it."""
UP: Final = (
    "UPDATE audit_leaf SET tree_index = -tree_index - 1 WHERE tree_index > $1",
    "UPDATE audit_leaf SET tree_index = -tree_index WHERE tree_index < 0 AND $1::bigint >= 0",
)
DOWN: Final = (UP[0], UP[1].replace("-tree_index ", "-tree_index - 2 "))
COPY: Final = f"""
INSERT INTO audit_entry (recorded_at, xid, occurred_at, entry_id, attempt_id, user_id, action, phase,
    resource_type, channel, context)
SELECT recorded_at, xid, occurred_at, md5(entry_id::text)::uuid, attempt_id, user_id, action, phase, resource_type,
    channel, context FROM audit_entry WHERE {ENTRY}
"""
COPY_LEAF: Final = """
INSERT INTO audit_leaf SELECT tree_index + 1, recorded_at, md5(entry_id::text)::uuid, leaf_hash
FROM audit_leaf WHERE tree_index = $1
"""
FAKE_LEAF: Final = "INSERT INTO audit_leaf SELECT $1::bigint, now(), gen_random_uuid(), sha256('')"
DELETE: Final = f"DELETE FROM audit_entry WHERE {ENTRY}"
DELETE_LEAF: Final = "DELETE FROM audit_leaf WHERE tree_index = $1"
DELETE_LAST: Final = """
DELETE FROM audit_leaf WHERE $1::bigint >= 0 AND tree_index = (SELECT max(tree_index) FROM audit_leaf)
"""
SKIP: Final = "UPDATE audit_checkpoint SET seen = '900000000:900000000:' WHERE $1::bigint >= 0"
"""Has the sealer believe that it has seen everything for a long time to come."""
CUT: Final = (
    f"DELETE FROM audit_entry WHERE {ENTRY.replace(' = (SEL', ' IN (SEL').replace('= $1', '>= $1')}",
    "DELETE FROM audit_leaf WHERE tree_index >= $1",
    "DELETE FROM audit_checkpoint WHERE tree_size > $1",
)
TAMPERS: Final[dict[str, Sequence[str]]] = {
    **{f"change {each}": (f"UPDATE audit_entry SET {each} = {to} WHERE {ENTRY}",) for each, to in CHANGES.items()},
    "change a hash": ("UPDATE audit_leaf SET leaf_hash = sha256(leaf_hash) WHERE tree_index = $1",),
    "delete an entry": (DELETE,),
    "delete a leaf": (DELETE_LEAF,),
    "delete both": (DELETE, DELETE_LEAF),
    "delete both and close the gap": (DELETE, DELETE_LEAF, *DOWN),
    "insert a copy for the last": (DELETE_LAST, *UP, COPY, COPY_LEAF),
    "reorder": (
        "UPDATE audit_leaf SET tree_index = -1 WHERE tree_index = $1",
        "UPDATE audit_leaf SET tree_index = $1 WHERE tree_index = $1 + 1",
        "UPDATE audit_leaf SET tree_index = $1 + 1 WHERE tree_index = -1",
    ),
}
TRAIL: Final = ("audit_entry", "audit_leaf", "audit_checkpoint")
BATCHES: Final = 6
BATCH: Final = 16


@attrs.frozen
class Log:
    """A sealed log, and the connection of somebody who may do anything to it."""

    dashtam: Dashtam
    store: PostgresStore
    owner: "asyncpg.Connection[Any]"
    size: int

    async def tampered(self, how: Sequence[str], index: int) -> None:
        for each in how:
            await self.owner.execute(each, index)

    async def restore(self) -> None:
        """The log as it was sealed."""
        async with self.owner.transaction():
            await self.owner.execute(f"TRUNCATE {', '.join(TRAIL)}")
            for table in TRAIL:
                await self.owner.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")

    async def online(self, published: str | None = None) -> Result[Verified, Any]:
        return await self.dashtam.run(VerifyAuditLog(published), person(0))

    async def offline(self, published: str | None = None) -> Result[Verified, Any]:
        lines: list[str] = []
        await self.dashtam.run(ExportAuditLog(lines.append), person(0))
        key = VerifierKey.of(self.dashtam.container.get(Sealing).signer)
        return verify_export(lines, vkey=str(key), published=published)


@pytest.fixture
async def log(database: Database) -> AsyncGenerator[Log]:
    """Some batches of entries under a checkpoint each, all triggers off, and a copy to go back to."""
    async with (
        dashtam_postgres.open_store(database.app_url) as store,
        application(store) as dashtam,
        connection(database.admin_url) as owner,
    ):
        for batch in range(BATCHES):
            for number in range(BATCH // 2):
                assert (await marked(dashtam, f"{batch}.{number}", who=number)).unwrap()
            await dashtam.container.get(Sealing).seal()
        await owner.execute("SET search_path TO dashtam")
        tables = await owner.fetch(
            "SELECT relname FROM pg_class WHERE relname LIKE 'audit_%' AND relkind IN ('r', 'p')"
        )
        for (table,) in tables:
            await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for table in TRAIL:
            await owner.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
        yield Log(dashtam, store, owner, BATCHES * BATCH)


@pytest.mark.timeout(size(120, 3000))
async def test_every_tampering_is_found(log: Log) -> None:
    """Changed, deleted, put in or moved: online and offline find it and name where; an untouched log is clean."""
    rounds, chance, alarms, found = size(1, 45), random.Random(20260108), 0, 0
    for _ in range(rounds):
        for how, statements in TAMPERS.items():
            index = chance.randrange(log.size - 1)
            await log.tampered(statements, index)
            for verdict in (await log.online(), await log.offline()):
                message = verdict.failure().message
                assert names(message, index), f"{how} at {index}: {message}"
                found += 1
            await log.restore()
        index = chance.randrange(log.size - 1)
        await forge(log, index)
        for verdict in (await log.online(), await log.offline()):
            assert names(verdict.failure().message, index)
            found += 1
        await log.restore()
        for verdict in (await log.online(), await log.offline()):
            alarms += verdict.unwrap().entries < log.size
        await log.restore()
    tell("tampering", tampers=rounds * (len(TAMPERS) + 1), verdicts=found, missed=0, false_alarms=alarms)
    assert not alarms


async def test_a_cut_off_end_is_found_with_what_was_published(log: Log) -> None:
    """Entries, leaves and checkpoints taken off the end together are missed by a checkpoint kept elsewhere."""
    ((_, published),) = await log.store.audit.checkpoints(last=True)
    assert (await log.offline(published)).unwrap().entries > log.size
    await log.restore()
    for cut in range(1, size(5, 60)):
        first = log.size - cut
        await log.tampered(CUT, first // BATCH * BATCH)
        assert "published checkpoint" in (await log.online(published)).failure().message
        assert "published checkpoint" in (await log.offline(published)).failure().message
        await log.restore()


async def test_a_leaf_put_at_the_end_is_found(log: Log) -> None:
    """A leaf beyond the last checkpoint is a finding, and no error of whoever verifies next."""
    await log.tampered((FAKE_LEAF,), log.size)
    assert "no checkpoint covers" in (await log.online()).failure().message


@pytest.mark.parametrize("how", [(COPY,), (SKIP,)])
async def test_an_entry_without_a_leaf_is_found(log: Log, how: Sequence[str]) -> None:
    """An entry among those that are sealed, or kept from being sealed, is a finding although no leaf is wrong."""
    await log.tampered(how, 10)
    assert "is in no tree" in (await log.online()).failure().message


async def forge(log: Log, index: int) -> None:
    """Changes an entry together with its hash, as somebody does who knows how the log is made."""
    found = [leaf async for some in log.store.audit.leaves(size=log.size) for leaf in some][index]
    assert found.entry is not None
    other = leaf_hash(attrs.evolve(found.entry, resource_id="forged"))
    await log.owner.execute(f"UPDATE audit_entry SET resource_id = 'forged' WHERE {ENTRY}", index)
    await log.owner.execute("UPDATE audit_leaf SET leaf_hash = $2 WHERE tree_index = $1", index, other)


def names(message: str, index: int) -> bool:
    """Whether a verdict says where: that entry, the next, or a range or the end of a batch with it in."""
    if between := re.search(r"entries (\d+) to (\d+) ", message):
        return int(between[1]) <= index <= int(between[2])
    exact = re.search(r"entry (\d+) |missing from (\d+) on", message)
    if exact is None:
        return False
    named = int(exact[1] or exact[2])
    return named in {index, index + 1} or ((named + 1) % BATCH == 0 and named // BATCH == index // BATCH)


PLANTED: Final = {
    "filename": "planted-filename",
    "payee": "planted-payee",
    "key": "planted-key",
    "token": "planted-token-name",
}
NEVER_PLAIN: Final = {"ip_address": "198.51.100.77", "user_agent": "planted-user-agent"}


async def test_who_is_erased_is_in_no_dump(database: Database) -> None:
    """After erasure no table holds a word the person brought; before, not even the trail shows where they sat."""
    origin, who = Origin("test", NEVER_PLAIN["ip_address"], NEVER_PLAIN["user_agent"], "request"), person(1)
    file = statement(1, "a").replace(b"<NAME>x", b"<NAME>" + PLANTED["payee"].encode())
    async with dashtam_postgres.open_store(database.app_url) as store, application(store) as dashtam:
        imported = await dashtam.run(ImportStatement(file, PLANTED["filename"]), who, origin, PLANTED["key"])
        assert imported.unwrap().document.added == 1
        assert (await dashtam.run(CreateApiToken(PLANTED["token"]), who, origin)).unwrap()
        assert {word for words in await readable(dashtam, who) for word in words} == {
            PLANTED["filename"],
            *NEVER_PLAIN.values(),
        }
        before = await dump(database.admin_url)
        assert [word for word in NEVER_PLAIN.values() if shown(word, before)] == []
        assert [word for word in PLANTED.values() if not shown(word, before)] == []
        assert (await dashtam.run(EraseUser(), who, origin)).unwrap()["transactions"] == 1
        after = await dump(database.admin_url)
        hits = [word for word in (*PLANTED.values(), *NEVER_PLAIN.values()) if shown(word, after)]
        assert not hits
        assert await readable(dashtam, who) == [()] * 6
        verified: Verified = (await dashtam.run(VerifyAuditLog(), person(0))).unwrap()
    tell("erasure", planted=len(PLANTED | NEVER_PLAIN), found_in_a_dump=len(hits), verified=verified.entries)


async def readable(dashtam: Dashtam, who: Subject) -> list[tuple[str, ...]]:
    """What is still to be read in each entry of theirs beside the bare facts."""
    answer = await dashtam.run(ListAuditEntries(EntryFilter(user_id=who.user_id)), person(0))
    page: Page[ReadableEntry] = answer.unwrap()
    return [tuple((each.personal or {}).values()) for each in page.items]


async def dump(admin_url: str) -> bytes:
    """Every row of every table, as its superuser copies it out."""
    output = io.BytesIO()
    async with connection(admin_url) as owner:
        tables = await owner.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'dashtam'::regnamespace AND relkind = 'r'"
        )
        for (table,) in tables:
            await owner.copy_from_table(table, schema_name="dashtam", output=output)
    return output.getvalue()


def shown(word: str, dumped: bytes) -> bool:
    """Whether a word is there, as text or as the hexadecimal digits that bytes are dumped as."""
    return word.encode() in dumped or word.encode().hex().encode() in dumped
