"""The audit trail of everybody: only added to, sealed into the tree in the order of commits."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import attrs

from dashtam_core import audit
from dashtam_core.audit import EntryId
from dashtam_core.kernel import ANONYMOUS, UnavailableError
from dashtam_sqlite._database import Database
from dashtam_sqlite._unit import SqliteUnit
from dashtam_sqlite._values import read, seconds_since

_CHUNK: Final = 1000
_ENTRIES: Final = "SELECT * FROM audit_entries"
_CHECKPOINTS: Final = "SELECT * FROM audit_checkpoints ORDER BY tree_size"


@attrs.frozen
class SqliteAuditLog:
    _database: Database

    async def record(self, entries: Sequence[audit.AuditEntry], /) -> None:
        async with SqliteUnit(self._database, ANONYMOUS) as unit:
            unit.trail.extend(entries)

    async def entries(
        self, wanted: audit.EntryFilter, /, *, after: tuple[datetime, EntryId] | None, limit: int
    ) -> Sequence[audit.RecordedEntry]:
        conditions = {
            **{f"{name} = ?": getattr(wanted, name) for name in ("user_id", "action", "phase", "resource_id")},
            "recorded_at >= ?": wanted.since,
            "recorded_at < ?": wanted.until,
            "(recorded_at, entry_id) < (?, ?)": after,
            "position IN (SELECT position FROM strays) AND ?": wanted.stray or None,
        }
        order = f"ORDER BY recorded_at DESC, entry_id DESC LIMIT {limit:d}"
        async with self._database.transaction(writing=False) as sql:
            return [read(row, audit.RecordedEntry) for row in await sql.find(_ENTRIES, conditions, order)]

    async def seal(self, sealer: audit.Sealer, /, *, limit: int) -> int | None:
        async with self._database.transaction() as sql:  # who writes is alone: nobody else is at it
            rows = await sql.fetch("SELECT * FROM unsealed ORDER BY position LIMIT ?", limit)
            if rows:
                entries = [read(row, audit.RecordedEntry) for row in rows]
                frontier = await _frontier(sql)
                batch = await asyncio.to_thread(sealer, frontier, entries)
                await _keep(sql, frontier.size, rows, batch)
            return len(rows)

    async def leaves(self, *, size: int, only: EntryId | None = None) -> AsyncGenerator[Sequence[audit.Leaf]]:
        step = _CHUNK if only is None else max(size, 1)
        for start in range(0, size, step):
            wanted = {
                "tree_index >= ?": start,
                "tree_index < ?": min(start + step, size),
                "leaf_entry_id = ?": only,
            }
            async with self._database.transaction(writing=False) as sql:
                rows = await sql.find("SELECT * FROM leaves", wanted, "ORDER BY tree_index")
            yield [_leaf(row) for row in rows]

    async def leaf_hashes(self, size: int, /) -> Sequence[bytes]:
        query = "SELECT leaf_hash FROM audit_leaves WHERE tree_index < ? ORDER BY tree_index"
        return [row["leaf_hash"] for row in await self._database.look(query, size)]

    async def checkpoints(self, *, last: bool = False) -> Sequence[tuple[int, str]]:
        rows = await self._database.look(f"{_CHECKPOINTS} DESC LIMIT 1" if last else _CHECKPOINTS)
        return [(row["tree_size"], row["note"]) for row in rows]

    async def sweep(self, close: Callable[[audit.RecordedEntry], audit.AuditEntry], /, *, before: datetime) -> int:
        async with SqliteUnit(self._database, ANONYMOUS) as unit:
            rows = await unit.sql.fetch("SELECT * FROM unended WHERE recorded_at < ?", before)
            unit.trail.extend(close(read(row, audit.RecordedEntry)) for row in rows)
            return len(rows)

    async def lag(self) -> audit.SealingLag:
        ((unsealed, oldest),) = await self._database.look("SELECT count(*), min(recorded_at) FROM unsealed")
        return audit.SealingLag(unsealed, seconds_since(oldest))


async def _frontier(sql: Database) -> audit.Frontier:
    # The tree as the last checkpoint left it.
    for last in await sql.fetch(f"{_CHECKPOINTS} DESC LIMIT 1"):
        return audit.Frontier(last["tree_size"], [bytes.fromhex(peak) for peak in json.loads(last["peaks"])])
    return audit.Frontier()


async def _keep(sql: Database, size: int, rows: Sequence[sqlite3.Row], batch: audit.SealedBatch) -> None:
    named = [{name: row[name] for name in ("position", "entry_id", "recorded_at")} for row in rows]
    places = [{"tree_index": index, "leaf_hash": each} for index, each in enumerate(batch.leaf_hashes, size)]
    leaves = [row | place for row, place in zip(named, places, strict=True)]
    try:
        await sql.insert("audit_leaves", leaves)
    except sqlite3.IntegrityError as error:
        problem = "the audit log was tampered with: a leaf that no checkpoint covers stands where the next belongs"
        raise UnavailableError(audit.AuditCode.AUDIT_TAMPERED, f"{problem}: compare it with a backup") from error
    frontier = {"tree_size": batch.frontier.size, "peaks": [peak.hex() for peak in batch.frontier.peaks]}
    await sql.insert("audit_checkpoints", [frontier | {"note": batch.checkpoint}])


def _leaf(row: sqlite3.Row) -> audit.Leaf:
    recorded_at, entry_id = datetime.fromisoformat(row["leaf_recorded_at"]), UUID(row["leaf_entry_id"])
    entry = None if row["entry_id"] is None else read(row, audit.RecordedEntry)
    return audit.Leaf(row["tree_index"], row["leaf_hash"], EntryId(entry_id), recorded_at, entry)
