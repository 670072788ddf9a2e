"""The statements that write entries of the audit trail and events of the outbox."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from operator import attrgetter
from typing import Any, Final

from dashtam_core.audit import AuditEntry
from dashtam_core.messaging import StoredEvent

ROWS: Final = 32
"""The most entries or events in one statement. Plain values cost a fifth less than arrays do."""

ENTRY: Final = (
    "entry_id, attempt_id, occurred_at, user_id, action, phase, code, resource_type, resource_id, channel, "
    "request_id, personal, context"
)
"""The columns of an entry that are the program's to write. When it was recorded is the store's to say."""
EVENT: Final = "event_id, user_id, name, payload"

_entry: Final = attrgetter(*ENTRY.removesuffix(", context").split(", "))
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=dict).encode
_event: Final = attrgetter(*EVENT.split(", "))


def statements(
    schema: str, entries: Sequence[AuditEntry], events: Sequence[StoredEvent]
) -> Iterator[tuple[str, list[Any]]]:
    """What inserts all of them, mostly one statement, with its values. Needs no search path."""
    for start in range(0, max(len(entries), len(events)), ROWS):
        some, others = entries[start : start + ROWS], events[start : start + ROWS]
        values = [value for entry in some for value in (*_entry(entry), _json(entry.context))]
        values += [value for event in others for value in _event(event)]
        yield _insert(schema, len(some), len(others)), values


@lru_cache(maxsize=256)
def _insert(schema: str, entries: int, events: int) -> str:
    number = count(1)
    trail = _insert_into(f'"{schema}".audit_entry', ENTRY, entries, number)
    outbox = _insert_into(f'"{schema}".outbox', EVENT, events, number)
    return f"WITH entry AS ({trail}) {outbox}" if trail and outbox else trail or outbox


def _insert_into(table: str, columns: str, rows: int, number: Iterator[int]) -> str:
    # JSON crosses the wire as text: what a driver makes of its own types is for whoever set it up to say.
    casts = ["::text::jsonb" if column == "context" else "" for column in columns.split(", ")]
    listed = [f"({', '.join([f'${next(number)}{cast}' for cast in casts])})" for _ in range(rows)]
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join(listed)}" if rows else ""  # noqa: S608 - our own names
