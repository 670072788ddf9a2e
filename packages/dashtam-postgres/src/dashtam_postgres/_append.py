"""The statements that write entries of the audit trail and events of the outbox."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import batched, count
from typing import Any, Final

from dashtam_core.audit import AuditEntry
from dashtam_core.messaging import StoredEvent

ROWS: Final = 32
"""The most entries or events in one statement. Plain values cost a fifth less than arrays, and arrays of one row alone
twice as much."""

ENTRY: Final = (
    "entry_id",
    "attempt_id",
    "occurred_at",
    "user_id",
    "action",
    "phase",
    "code",
    "resource_type",
    "resource_id",
    "channel",
    "request_id",
    "context",
    "personal",
)
"""The columns of an entry that are the program's to write. When it was recorded is the store's to say."""
EVENT: Final = ("event_id", "user_id", "name", "payload")


def statements(
    schema: str, entries: Sequence[AuditEntry], events: Sequence[StoredEvent]
) -> Iterator[tuple[str, list[Any]]]:
    """What inserts all of them, mostly one statement, with its values. Needs no search path."""
    for start in range(0, max(len(entries), len(events)), ROWS):
        some, others = entries[start : start + ROWS], events[start : start + ROWS]
        values = [value for entry in some for value in _entry(entry)]
        values += [value for event in others for value in _event(event)]
        yield _insert(schema, len(some), len(others)), values


@lru_cache(maxsize=256)
def _insert(schema: str, entries: int, events: int) -> str:
    number = count(1)
    trail = _insert_into(f'"{schema}".audit_entry', ENTRY, entries, number)
    outbox = _insert_into(f'"{schema}".outbox', EVENT, events, number)
    return f"WITH entry AS ({trail}) {outbox}" if trail and outbox else trail or outbox


def _insert_into(table: str, columns: tuple[str, ...], rows: int, number: Iterator[int]) -> str:
    if not rows:
        return ""
    # JSON crosses the wire as text: what a driver makes of its own types is for whoever set it up to say.
    given = [f"${next(number)}{'::text::jsonb' if column == 'context' else ''}" for column in columns * rows]
    listed = ", ".join(f"({', '.join(row)})" for row in batched(given, len(columns), strict=True))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {listed}"


def _entry(entry: AuditEntry) -> tuple[Any, ...]:
    return (
        entry.entry_id,
        entry.attempt_id,
        entry.occurred_at,
        entry.user_id,
        entry.action,
        entry.phase.value,
        entry.code,
        entry.resource_type,
        entry.resource_id,
        entry.channel,
        entry.request_id,
        json.dumps(entry.context, ensure_ascii=False, default=dict) if entry.context else "{}",
        entry.personal,
    )


def _event(event: StoredEvent) -> tuple[Any, ...]:
    return event.event_id, event.user_id, event.name, event.payload
