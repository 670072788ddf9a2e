"""The statement that writes entries of the audit trail and events of the outbox."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from dashtam_core.audit import AuditEntry
from dashtam_core.messaging import StoredEvent

# JSON crosses the wire as text: what a driver makes of its own types is for whoever set the driver up to say.
ENTRY: Final = {
    "entry_id": "uuid",
    "attempt_id": "uuid",
    "occurred_at": "timestamptz",
    "user_id": "uuid",
    "action": "text",
    "phase": "text",
    "code": "text",
    "resource_type": "text",
    "resource_id": "text",
    "channel": "text",
    "request_id": "text",
    "context": "text{0}::jsonb",
    "personal": "bytea",
}
EVENT: Final = {"event_id": "uuid", "user_id": "uuid", "name": "text", "payload": "text"}


def statement(schema: str, entries: Sequence[AuditEntry], events: Sequence[StoredEvent]) -> list[Any]:
    """One statement that inserts all of them, and its values. Needs no search path."""
    values = _values([_entry(entry) for entry in entries]) + _values([_event(event) for event in events])
    return [_insert(schema, _many(entries), _many(events)), *values]


def _many(rows: Sequence[object]) -> bool | None:
    return len(rows) > 1 if rows else None


@lru_cache(maxsize=64)
def _insert(schema: str, entries: bool | None, events: bool | None) -> str:
    """Rows as arrays where there are several: one row alone costs a third less as plain values."""
    if events is None:
        return _insert_into(schema, "audit_entry", ENTRY, 1, many=bool(entries))
    if entries is None:
        return _insert_into(schema, "outbox", EVENT, 1, many=events)
    first = _insert_into(schema, "audit_entry", ENTRY, 1, many=entries)
    return f"WITH entry AS ({first}) {_insert_into(schema, 'outbox', EVENT, len(ENTRY) + 1, many=events)}"


def _insert_into(schema: str, table: str, columns: dict[str, str], first: int, *, many: bool) -> str:
    brackets = "[]" if many else ""
    types = [type_.format(brackets) + brackets for type_ in columns.values()]
    given = ", ".join(f"${nth}::{type_}" for nth, type_ in enumerate(types, first))
    source = f"SELECT * FROM unnest({given})" if many else f"VALUES ({given})"
    return f'INSERT INTO "{schema}".{table} ({", ".join(columns)}) {source}'


def _values(rows: list[tuple[Any, ...]]) -> list[Any]:
    return list(zip(*rows, strict=True)) if len(rows) > 1 else [value for row in rows for value in row]


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
