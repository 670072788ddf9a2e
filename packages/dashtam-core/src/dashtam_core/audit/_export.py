"""The log as JSON lines: what an auditor takes away and verifies without the store."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from dashtam_core.audit._checkpoint import AuditCode, AuditRefused, VerifierKey, refused
from dashtam_core.audit._entries import EntryId, Phase, RecordedEntry, canonical, instant_text
from dashtam_core.audit._ports import Leaf
from dashtam_core.audit._verify import Verified, Verifier
from dashtam_core.kernel import Failure, Result, Success

FORMAT: Final = "dashtam-audit-log"
VERSION: Final = 1

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def write_export(records: AsyncIterable[Leaf | str], key: VerifierKey, /) -> AsyncIterator[str]:
    """The export's lines, each without its newline, of what `log_records` gives.

    First a header with the log's verifier key; then a line for each leaf, with the entry in its canonical form or
    null where it was retired, and one for each signed checkpoint after as many leaves as it counts. Raises
    `ValueError` for an entry that was tampered into what has no canonical form: a `Verifier` tells which it is.
    """
    yield _header(key)
    async for record in records:
        yield _line(record)


def verify_export(
    lines: Iterable[str], /, *, vkey: str | None = None, published: str | None = None
) -> Result[Verified, AuditRefused]:
    """Whether an export is what the log's key has signed; lines may end in a newline. Reads them once, keeps none.

    Give `vkey`, the verifier key that the log's owner published: the key in the header shows no more than that the
    export agrees with itself, since a forger can sign with a key of their own. Give `published`, a checkpoint that
    was kept elsewhere, to see that the end was not cut off and the owner has not signed two histories.
    Every line must be just as `write_export` writes it: `EXPORT_INVALID` names the first that is not.
    """
    numbered = enumerate((line.rstrip("\r\n") for line in lines), 1)
    key = _key(next(numbered, (1, ""))[1], vkey)
    if isinstance(key, Failure):
        return key
    verifier = Verifier(key.unwrap(), published=published)
    for number, line in numbered:
        try:
            record = _record(line)
        except _MISREAD:
            return _invalid(number, "it is not as the log wrote it, so it was changed or cut: export it again")
        verifier.read(record)
        if verifier.failure is not None:
            break
    return verifier.finish()


def _key(line: str, vkey: str | None) -> Result[VerifierKey, AuditRefused]:
    try:
        named = VerifierKey.parse(json.loads(line)["vkey"])
    except _MISREAD:
        named = None
    if not isinstance(named, Success) or line != _header(named.unwrap()):
        return _invalid(1, f"it is not the header of a {FORMAT} of version {VERSION}: export the log again")
    if vkey is None:
        return named
    given = VerifierKey.parse(vkey)
    if isinstance(given, Success) and given != named:
        return _invalid(1, f"the export is signed with {named.unwrap()}, not with the key that was given")
    return given


def _header(key: VerifierKey) -> str:
    return _encode({"format": FORMAT, "version": VERSION, "vkey": str(key)})


def _line(record: Leaf | str) -> str:
    if isinstance(record, str):
        return _encode({"checkpoint": record})
    entry = "null" if record.entry is None else canonical(record.entry).decode()
    return (
        f'{{"index":{record.index},"leaf_hash":"{record.leaf_hash.hex()}","entry_id":"{record.entry_id}",'
        f'"recorded_at":"{instant_text(record.recorded_at)}","entry":{entry}}}'
    )


def _record(line: str) -> Leaf | str:
    """What a line holds, which is not looked at closely: the line must be just what `_line` makes of it."""
    said = json.loads(line)
    record = said["checkpoint"] if "checkpoint" in said else _leaf(said)
    if _line(record) != line:
        raise ValueError("another form of the line means the same")
    return record


def _leaf(said: dict[str, Any]) -> Leaf:
    entry = said["entry"]
    return Leaf(
        int(said["index"]),
        bytes.fromhex(said["leaf_hash"]),
        EntryId(UUID(said["entry_id"])),
        datetime.fromisoformat(said["recorded_at"]),
        None if entry is None else _entry(entry),
    )


def _entry(said: dict[str, Any]) -> RecordedEntry:
    del said["v"]
    return RecordedEntry(**said | {name: form(said[name]) for name, form in _FORMS.items()})


_FORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("entry_id", "attempt_id", "user_id"), UUID),
    **dict.fromkeys(("occurred_at", "recorded_at"), datetime.fromisoformat),
    "phase": Phase,
    "personal": lambda digits: None if digits is None else bytes.fromhex(digits),
}
"""How the fields of an entry are read that JSON does not hold as they are."""

_MISREAD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What comes of reading something else than a line of an export as one."""


def _invalid(number: int, why: str) -> Failure[AuditRefused]:
    told = f"line {number} of the export cannot be read, take another copy of it or export again: {why}"
    return refused(AuditCode.EXPORT_INVALID, told)
