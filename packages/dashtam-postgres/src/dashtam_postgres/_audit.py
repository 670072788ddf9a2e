"""The audit trail of everybody: written in bulk, sealed into the tree, read in the tree's order."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import attrs

from dashtam_core import audit
from dashtam_core.kernel import ANONYMOUS, Subject, UnavailableError, UserId
from dashtam_postgres import _append
from dashtam_postgres._lease import Lease
from dashtam_postgres._transactions import where

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore
    from dashtam_postgres._unit import PostgresUnit

HASH_SIZE: Final = 32
_CHUNK: Final = 1000
_HASHES: Final = 100_000
_LONGEST_OPEN: Final = timedelta(days=35)
"""Attempts older than this are not looked for any more."""
_OVERLAP: Final = timedelta(hours=1)
"""How far the store's clock may be set back without a sweep missing an attempt, or its outcome."""

_FIELDS: Final = (*_append.ENTRY.split(", "), "recorded_at")
_PHASES: Final = {phase.value: phase for phase in audit.Phase}
_COLUMNS: Final = ", ".join(f"e.{name}::text" if name == "context" else f"e.{name}" for name in _FIELDS)

# Sorting off: what comes after a long pause is many rows that the planner takes for few, and would sort each time
# anew for the first thousand; the index has them in order.
_LAST: Final = """
SELECT tree_size, peaks, seen, complete, system_identifier = (pg_control_system()).system_identifier AS ours,
    set_config('enable_sort', 'off', true)
FROM audit_checkpoint ORDER BY tree_size DESC LIMIT 1
"""
_UNCOVERED: Final = f"""
(SELECT {_COLUMNS}, e.xid, pg_current_snapshot() AS seen FROM audit_entry e WHERE {{}} AND NOT EXISTS (
    SELECT FROM audit_leaf l WHERE l.recorded_at = e.recorded_at AND l.entry_id = e.entry_id
) ORDER BY e.xid, e.recorded_at, e.entry_id LIMIT $3)
"""  # noqa: S608 - made of our own column names
_RUNNING_THEN: Final = _UNCOVERED.format("e.xid = ANY ($1::xid8[])")
# Rows that a dump brought along carry numbers of another cluster. They are all sealed at first, whatever their
# numbers; from then on a number that has not been given out here yet is passed over, for it is sealed already.
_UNSEALED: Final = {
    complete: f"{_RUNNING_THEN} UNION ALL {_UNCOVERED.format(f'e.xid >= $2{upper}')} "
    "ORDER BY xid, recorded_at, entry_id LIMIT $3"
    for complete, upper in {True: " AND e.xid < pg_snapshot_xmax(pg_current_snapshot())", False: ""}.items()
}
_AGE: Final = "extract(epoch FROM clock_timestamp() - min(recorded_at))"
_STRAY: Final = f"""
SELECT {_COLUMNS} FROM audit_entry e WHERE NOT EXISTS (
    SELECT FROM audit_leaf l WHERE l.recorded_at = e.recorded_at AND l.entry_id = e.entry_id
) AND (
    e.xid < $2 AND e.xid <> ALL ($1::xid8[]) OR $4 AND e.xid >= pg_snapshot_xmax(pg_current_snapshot())
) ORDER BY e.recorded_at, e.entry_id LIMIT $3
"""  # noqa: S608 - made of our own column names
_KEEP: Final = """
WITH leaf AS (
    INSERT INTO audit_leaf (tree_index, recorded_at, entry_id, leaf_hash)
    SELECT $1 + nth - 1, recorded_at, entry_id, leaf_hash
    FROM unnest($2::timestamptz[], $3::uuid[], $4::bytea[])
        WITH ORDINALITY AS sealed (recorded_at, entry_id, leaf_hash, nth)
)
INSERT INTO audit_checkpoint (tree_size, note, peaks, seen, complete, system_identifier)
SELECT $5, $6, $7, $8, $9, system_identifier FROM pg_control_system()
"""
_LEAVES: Final = f"""
SELECT {_COLUMNS}, l.tree_index, l.leaf_hash, l.entry_id AS leaf_entry_id, l.recorded_at AS leaf_recorded_at
FROM audit_leaf l LEFT JOIN audit_entry e ON e.recorded_at = l.recorded_at AND e.entry_id = l.entry_id
WHERE {{}} ORDER BY l.tree_index
"""  # noqa: S608 - made of our own column names
_OPEN: Final = f"""
SELECT {_COLUMNS} FROM audit_entry e WHERE e.phase = $1 AND e.recorded_at >= $2 AND e.recorded_at < $3
AND NOT EXISTS (
    SELECT FROM audit_entry o
    WHERE o.attempt_id = e.attempt_id AND o.phase <> $1 AND o.recorded_at >= $2 - $4::interval
) ORDER BY e.recorded_at LIMIT $5
"""  # noqa: S608 - made of our own column names


@attrs.frozen
class _Sealed:
    """How far sealing has come: the tree, and which transactions were seen in full.

    `seen` is a snapshot as PostgreSQL has it: every transaction below the first number had ended, none from the
    second on had begun, and the listed ones in between were still running. A floor alone would not do: while one
    transaction runs for an hour, each second would go through that hour's entries again.
    """

    frontier: audit.Frontier = attrs.field(factory=audit.Frontier)
    seen: tuple[int, int, Sequence[int]] = (1, 1, ())
    complete: bool = False
    """Whether everything that came with a dump from another cluster is sealed."""

    @classmethod
    def of(cls, last: asyncpg.Record | None) -> "_Sealed":
        if last is None:
            return cls()
        peaks = last["peaks"]
        frontier = audit.Frontier(
            last["tree_size"], [peaks[at : at + HASH_SIZE] for at in range(0, len(peaks), HASH_SIZE)]
        )
        return cls(frontier, last["seen"], last["complete"]) if last["ours"] else cls(frontier)

    @property
    def window(self) -> tuple[Sequence[int], int]:
        return self.seen[2], self.seen[1]


@attrs.define
class PostgresAuditLog:
    _store: "PostgresStore"
    _swept: datetime | None = None
    """Attempts recorded before this were looked at already, by this process."""

    async def record(self, entries: Sequence[audit.AuditEntry], /) -> None:
        if len(entries) > _append.ROWS:
            async with self._store.unit_of_work(ANONYMOUS) as unit:
                unit.entries.extend(entries)
            return
        for statement, values in _append.statements(self._store.schema, entries, ()):
            async with Lease(self._store) as raw:  # one statement is a transaction, and needs no BEGIN
                await raw.execute(statement, *values)

    async def entries(
        self, wanted: audit.EntryFilter, /, *, after: tuple[datetime, audit.EntryId] | None, limit: int
    ) -> Sequence[audit.RecordedEntry]:
        if wanted.stray:
            return await self._strays(limit)
        conditions, values = where(
            {
                "e.user_id = {}": (wanted.user_id,),
                "e.action = {}": (wanted.action,),
                "e.phase = {}": (wanted.phase,),
                "e.resource_id = {}": (wanted.resource_id,),
                "e.recorded_at >= {}": (wanted.since,),
                "e.recorded_at < {}": (wanted.until,),
                "(e.recorded_at, e.entry_id) < ({}, {})": after or (None,),
            }
        )
        query = (
            f"SELECT {_COLUMNS} FROM audit_entry e WHERE {conditions} "  # noqa: S608 - values are parameters
            f"ORDER BY e.recorded_at DESC, e.entry_id DESC LIMIT ${len(values) + 1}"
        )
        async with self._reading(wanted.user_id) as unit:
            return [_recorded(row) for row in await unit.raw.fetch(query, *values, limit)]

    async def seal(self, sealer: audit.Sealer, /, *, limit: int) -> int | None:
        async with self._store.work() as unit:
            if not await unit.lock("seal"):
                return None
            sealed = _Sealed.of(await unit.raw.fetchrow(_LAST))
            rows = await unit.raw.fetch(_UNSEALED[sealed.complete], *sealed.window, limit)
            if rows:
                batch = await asyncio.to_thread(sealer, sealed.frontier, [_recorded(row) for row in rows])
                limited = len(rows) == limit
                await _keep(
                    unit.raw,
                    sealed.frontier.size,
                    [row["recorded_at"] for row in rows],
                    [row["entry_id"] for row in rows],
                    batch.leaf_hashes,
                    batch.frontier.size,
                    batch.checkpoint,
                    b"".join(batch.frontier.peaks),
                    _seen(rows, limited=limited),
                    sealed.complete or not limited,
                )
            return len(rows)

    async def leaves(
        self, *, size: int, only: audit.EntryId | None = None
    ) -> AsyncGenerator[Sequence[audit.Leaf]]:
        if only is not None:
            yield await self._leaves("l.entry_id = $1 AND l.tree_index < $2", only, size)
            return
        for start in range(0, size, _CHUNK):
            yield await self._leaves("l.tree_index >= $1 AND l.tree_index < $2", start, min(start + _CHUNK, size))

    async def leaf_hashes(self, size: int, /) -> Sequence[bytes]:
        query = (
            "SELECT string_agg(leaf_hash, ''::bytea ORDER BY tree_index) FROM audit_leaf "
            "WHERE tree_index >= $1 AND tree_index < $2"
        )
        hashes: list[bytes] = []
        async with self._store.work() as unit:
            for start in range(0, size, _HASHES):
                joined = await unit.raw.fetchval(query, start, min(start + _HASHES, size)) or b""
                hashes += [joined[at : at + HASH_SIZE] for at in range(0, len(joined), HASH_SIZE)]
        return hashes

    async def checkpoints(self, *, last: bool = False) -> Sequence[tuple[int, str]]:
        query = "SELECT tree_size, note FROM audit_checkpoint ORDER BY tree_size"
        async with self._store.work() as unit:
            rows = await unit.raw.fetch(f"{query} DESC LIMIT 1" if last else query)
        return [(row["tree_size"], row["note"]) for row in rows]

    async def sweep(self, close: Callable[[audit.RecordedEntry], audit.AuditEntry], /, *, before: datetime) -> int:
        total = 0
        while True:
            async with self._store.work() as unit:
                if not await unit.lock("sweep"):
                    return total
                now = await unit.raw.fetchval("SELECT now()")
                since = self._swept or now - _LONGEST_OPEN
                rows = await unit.raw.fetch(_OPEN, audit.Phase.ATTEMPTED, since, before, _OVERLAP, _CHUNK)
                for row in rows:
                    unit.trail.add(close(_recorded(row)))
            total += len(rows)
            if len(rows) < _CHUNK:
                self._swept = min(before, now) - _OVERLAP
                return total

    async def lag(self) -> audit.SealingLag:
        async with self._store.work() as unit:
            sealed = _Sealed.of(await unit.raw.fetchrow(_LAST))
            query = f"SELECT count(*), {_AGE} FROM ({_UNSEALED[sealed.complete]}) AS unsealed"  # noqa: S608 - constants
            unsealed, seconds = await unit.raw.fetchrow(query, *sealed.window, None) or (0, None)
        return audit.SealingLag(unsealed, float(seconds or 0))

    async def _strays(self, limit: int) -> Sequence[audit.RecordedEntry]:
        async with self._store.work() as unit:
            sealed = _Sealed.of(await unit.raw.fetchrow(_LAST))
            rows = await unit.raw.fetch(_STRAY, *sealed.window, limit, sealed.complete)
        return [_recorded(row) for row in rows]

    def _reading(self, user_id: UserId | None) -> "AbstractAsyncContextManager[PostgresUnit]":
        """Who looks at one person's entries needs no more than that person may see."""
        if user_id is None:
            return self._store.work()
        return self._store.unit_of_work(Subject(user_id, frozenset()))

    async def _leaves(self, condition: str, *values: object) -> Sequence[audit.Leaf]:
        async with self._store.work() as unit:
            return [_leaf(row) for row in await unit.raw.fetch(_LEAVES.format(condition), *values)]


async def _keep(raw: "asyncpg.Connection[Any]", *values: object) -> None:
    try:
        await raw.execute(_KEEP, *values)
    except asyncpg.UniqueViolationError as error:
        raise UnavailableError(
            audit.AuditCode.AUDIT_TAMPERED,
            "the audit log was tampered with: a leaf that no checkpoint covers stands where the next one belongs. "
            "Nothing is sealed any more: compare it with an export or a backup",
        ) from error


def _seen(rows: Sequence[asyncpg.Record], *, limited: bool) -> tuple[int, int, tuple[int, ...]]:
    """What is sealed in full now. Where there is more than the limit, the last transaction may be cut in two."""
    _, upper, running = rows[0]["seen"]
    if limited:
        upper = min(upper, rows[-1]["xid"])
    running = tuple(xid for xid in running if xid < upper)
    return min((upper, *running)), upper, running


def _recorded(row: asyncpg.Record) -> audit.RecordedEntry:
    """The entry of a row that begins with `_COLUMNS`."""
    said: dict[str, Any] = dict(zip(_FIELDS, row, strict=False))
    said["phase"] = _PHASES[said["phase"]]
    said["context"] = json.loads(said["context"])
    return audit.RecordedEntry(**said)


def _leaf(row: asyncpg.Record) -> audit.Leaf:
    entry = None if row["action"] is None else _recorded(row)
    return audit.Leaf(row["tree_index"], row["leaf_hash"], row["leaf_entry_id"], row["leaf_recorded_at"], entry)
