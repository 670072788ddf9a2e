"""Audit entries, and the one sequence of bytes that stands for each of them."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Final, NewType
from uuid import UUID

import attrs

from dashtam_core.audit._merkle import hash_leaf
from dashtam_core.kernel import UserId

EntryId = NewType("EntryId", UUID)
AttemptId = NewType("AttemptId", UUID)

type Json = str | int | bool | Sequence[Json] | Mapping[str, Json] | None
"""What a context may hold. No floats: two programs may write one float in two ways, so amounts are text."""

MAX_INTEGER: Final = 2**53 - 1
"""The greatest whole number that every reader of JSON reads alike (RFC 8259, section 6)."""
MAX_DEPTH: Final = 32
"""How deep the lists and objects of a context may be nested."""

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_quoted: Final = json.encoder.encode_basestring
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Phase(StrEnum):
    """How far an action has come. Each ATTEMPTED is followed by one of the others but DENIED, its outcome."""

    ATTEMPTED = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    DENIED = auto()
    """Refused before it was attempted."""
    REPLAYED = auto()
    """Answered with what an earlier run had answered."""
    INDETERMINATE = auto()
    """Nobody heard how the attempt ended: it may have succeeded."""

    @property
    def ends(self) -> bool:
        """Whether nothing more is to be said of the action."""
        return self is not Phase.ATTEMPTED


@attrs.frozen(kw_only=True)
class AuditEntry:
    """Who did what to which resource, when, from where, and what came of it (PCI DSS 4.0, 10.2.2)."""

    entry_id: EntryId
    attempt_id: AttemptId
    """The same in an attempt and its outcome."""
    occurred_at: datetime
    """Aware, UTC, by the clock of the program."""
    user_id: UserId
    action: str
    phase: Phase
    code: str | None = None
    """The error's machine-readable code, where there is one."""
    resource_type: str
    resource_id: str | None = None
    channel: str
    """Where it came from: the edge it entered by."""
    request_id: str | None = None
    context: Mapping[str, Json] = attrs.field(factory=dict[str, Json])
    personal: bytes | None = attrs.field(default=None, repr=False)
    """Address, user agent and personal context, encrypted: gone when the person's key is destroyed."""


@attrs.frozen(kw_only=True)
class RecordedEntry(AuditEntry):
    """An entry as the store gives it back."""

    recorded_at: datetime
    """Aware, UTC, by the clock of the store."""


def check_context(context: Mapping[str, Json], /) -> None:
    """Raise `ValueError` for what would not come back from a store as it went in.

    That is a float or another type that `Json` does not name, an integer beyond 2**53-1 either way, text with
    U+0000 or half a surrogate pair, and nesting deeper than `MAX_DEPTH`.
    """
    _encoded(_encode(_plain(context)))


def canonical(entry: RecordedEntry, /) -> bytes:
    """The bytes that stand for the entry: the same for equal entries in every version, on every machine.

    JSON after RFC 8785 with a member for every field, `personal` as lower-case hexadecimal digits, and `v`, the
    version of this form. Raises `ValueError` as `check_context` does, and for an instant without a time zone.
    """
    # In the order of RFC 8785. Written out: every entry passes here, and a serializer takes three times as long.
    return _encoded(
        f'{{"action":{_quoted(entry.action)},"attempt_id":"{entry.attempt_id}","channel":{_quoted(entry.channel)},'
        f'"code":{_optional(entry.code)},"context":{_encode(_plain(entry.context)) if entry.context else "{}"},'
        f'"entry_id":"{entry.entry_id}","occurred_at":"{instant_text(entry.occurred_at)}",'
        f'"personal":{"null" if entry.personal is None else f'"{entry.personal.hex()}"'},"phase":"{entry.phase}",'
        f'"recorded_at":"{instant_text(entry.recorded_at)}","request_id":{_optional(entry.request_id)},'
        f'"resource_id":{_optional(entry.resource_id)},"resource_type":{_quoted(entry.resource_type)},'
        f'"user_id":"{entry.user_id}","v":1}}'
    )


def _optional(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def leaf_hash(entry: RecordedEntry, /) -> bytes:
    """The entry's leaf in the Merkle tree: the hash of its canonical form (RFC 6962, section 2.1)."""
    return hash_leaf(canonical(entry))


def instant_text(instant: datetime, /) -> str:
    """RFC 3339 in UTC with exactly six digits after the second, so that text sorts as time does."""
    if instant.utcoffset() is None:
        raise ValueError(f"an instant of the audit log has a time zone: {instant.isoformat()} has none")
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:-6] + "Z"


def _encoded(text: str) -> bytes:
    if "\\u0000" in text and _NUL.search(text):
        raise ValueError("text in the audit log cannot hold U+0000: no store keeps it")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text in the audit log cannot hold half of a surrogate pair") from error


def _plain(mapping: Mapping[str, Json], depth: int = 1) -> dict[str, Json]:
    """The mapping as a dict in the order of RFC 8785, section 3.2.3: by the keys' UTF-16 code units."""
    return {key: _value(mapping[key], depth) for key in sorted(mapping, key=_utf16)}


def _utf16(key: str) -> bytes:
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance] - the caller may be untyped
        raise ValueError(f"a key in an audit context is text, not {key!r}")  # noqa: TRY004 - one error for all
    return key.encode("utf-16-be", "surrogatepass")


def _value(value: Json, depth: int) -> Json:
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) <= MAX_INTEGER):
        return value
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return _plain(value, depth + 1)
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [_value(item, depth + 1) for item in value]
    raise ValueError(
        "an audit context holds text, integers up to 2**53-1, booleans, None, and lists and mappings of them, "
        f"nested at most {MAX_DEPTH} deep: write this {type(value).__name__} as text"
    )
