"""Retention: old months of the audit trail are taken out of it, and what is left still proves what they were."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import asyncpg
import attrs

from dashtam_core.audit import RETIRE_ACTION, AttemptId, AuditEntry, EntryId, Json, Phase
from dashtam_core.kernel import ANONYMOUS, UnavailableCode, UnavailableError, new_id
from dashtam_postgres import _append, _connect
from dashtam_postgres._migrate import LOCK
from dashtam_postgres._store import DEFAULT_SCHEMA

_PARTITIONS: Final = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'audit_entry'::regclass AND c.relname < to_char($1::date, '"audit_entry_"YYYY_MM') ORDER BY 1
"""
_COUNT: Final = """
SELECT count(*), count(*) FILTER (WHERE tree_index < (SELECT max(tree_size) FROM audit_checkpoint))
FROM audit_entry e LEFT JOIN audit_leaf l USING (recorded_at, entry_id) WHERE e.recorded_at < $1
"""
_GONE: Final = "SELECT leaf_hash FROM audit_leaf WHERE recorded_at < $1 ORDER BY tree_index"


@attrs.frozen
class Retired:
    """What was taken out of the trail: how many entries, and the tables they are in now."""

    entries: int
    tables: tuple[str, ...]


async def retire(admin_url: str, before: date, *, schema: str = DEFAULT_SCHEMA) -> Retired:
    """Takes the months of the audit trail that lie wholly before a day out of it, each as a table of its own.

    `admin_url` is the owner's, who alone can read those tables: archive them, or drop them. All their entries must
    be sealed. The trail records what was taken out, as the nil subject; proofs and verification hold as before.

    Raises:
        UnavailableError: no answer; entries that are not sealed yet; or the trail was in use for five seconds.
        ValueError: a name that could not be a schema's.
    """
    if not _connect.NAME.fullmatch(schema):
        raise ValueError(f"{schema[:80]!r} is no name for a schema: letters, digits, _ and - only")
    today = datetime.now(UTC).date()
    month = datetime.combine(min(before, today).replace(day=1), datetime.min.time(), UTC)
    try:
        connection = await _connect.connect(admin_url)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL search_path TO \"{schema}\"; SET LOCAL lock_timeout TO '5s'")
                await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                return await _retire(connection, month, schema)
        finally:
            await connection.close()
    except asyncpg.LockNotAvailableError as error:
        raise UnavailableError(
            UnavailableCode.STORE_BUSY, "the audit trail was in use all the time, nothing was done: try again"
        ) from error
    except (OSError, asyncpg.PostgresError) as error:
        if _connect.unreachable(error):
            raise _connect.unavailable(error, _connect.place(admin_url)) from error
        raise


async def _retire(connection: "asyncpg.Connection[Any]", month: datetime, schema: str) -> Retired:
    tables = [row["relname"] for row in await connection.fetch(_PARTITIONS, month.date())]
    if not tables:
        return Retired(0, ())
    entries, sealed = await connection.fetchrow(_COUNT, month) or (0, 0)
    if sealed < entries:
        raise UnavailableError(
            UnavailableCode.STORE_BUSY,
            f"{entries - sealed} of the entries are not sealed yet, nothing was done: let the application run, or "
            "`dashtam audit checkpoint`, and try again",
        )
    digest = hashlib.sha256()
    async for row in connection.cursor(_GONE, month, prefetch=10_000):
        digest.update(row["leaf_hash"])
    for table in tables:
        await connection.execute(f'ALTER TABLE audit_entry DETACH PARTITION "{table}"')
        await connection.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
    context = {"before": month.isoformat(), "entries": entries, "digest": digest.hexdigest()}
    for statement, values in _append.statements(schema, _told(context), ()):
        await connection.execute(statement, *values)
    return Retired(entries, tuple(tables))


def _told(context: dict[str, Json]) -> Sequence[AuditEntry]:
    attempt = AuditEntry(
        entry_id=EntryId(new_id()),
        attempt_id=AttemptId(new_id()),
        occurred_at=datetime.now(UTC),
        user_id=ANONYMOUS.user_id,
        action=RETIRE_ACTION,
        phase=Phase.ATTEMPTED,
        resource_type="audit_trail",
        channel="cli",
        context=context,
    )
    return attempt, attrs.evolve(attempt, entry_id=EntryId(new_id()), phase=Phase.SUCCEEDED)
