"""Exports: any change is found away from the store, and a clean one is never accused."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.audit._checkpoint import AuditCode, AuditRefused, VerifierKey
from dashtam_core.audit._entries import Phase, RecordedEntry
from dashtam_core.audit._export import verify_export
from dashtam_core.audit._ports import Leaf
from dashtam_core.audit._verify import RETIRE_ACTION, Verified
from dashtam_core.kernel import Failure, Success
from unit.audit.logs import (
    KEY,
    START,
    STRANGER,
    LogRecord,
    checkpoint,
    entry,
    exported,
    gone,
    leaf,
    leaves_of,
    renumbered,
    sealed,
)

PROVE = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
TAMPERINGS = 1_000 if PROVE else 50
CLEAN = 1_000_000 if PROVE else 20_000

VKEY = str(KEY)
LOG = list(sealed(map(entry, range(8)), {3, 8}))
LINES = list(exported(LOG))

fields = sorted(field.name for field in attrs.fields(RecordedEntry))


def verdict(lines: Iterable[str], **given: str | None) -> Verified | AuditRefused:
    match verify_export(lines, **given):
        case Success(value):
            return value
        case Failure(error):
            return error


def code(lines: Iterable[str], **given: str | None) -> AuditCode | None:
    found = verdict(lines, **given)
    return found.code if isinstance(found, AuditRefused) else None


def other(value: Any, random: Random) -> Any:
    """Another value of the same sort, sometimes only just another."""
    by = random.choice([-1, 1])
    if isinstance(value, Phase):
        return random.choice([phase for phase in Phase if phase is not value])
    if isinstance(value, UUID):
        return UUID(int=value.int ^ 1 << random.randrange(128))
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1 << random.randrange(8)])
    if isinstance(value, str):
        return value + random.choice("x \u00e9\U0001f600")
    if isinstance(value, datetime):
        return value + by * random.choice([timedelta(microseconds=1), timedelta(hours=1)])
    return value | {"added": value["added"] + by}


def change(records: list[LogRecord], random: Random) -> list[LogRecord]:
    """One field of one entry is another; sometimes its leaf is made to fit."""
    place = _place(records, random)
    victim = records[place]
    assert isinstance(victim, Leaf)
    assert victim.entry is not None
    field = random.choice([name for name in fields if getattr(victim.entry, name) is not None])
    forged = attrs.evolve(victim.entry, **{field: other(getattr(victim.entry, field), random)})
    fitted = leaf(victim.index, forged)
    records[place] = random.choice([attrs.evolve(victim, entry=forged), fitted])
    return records


def delete(records: list[LogRecord], random: Random) -> list[LogRecord]:
    """One entry is gone: alone, or with its leaf, and then the others may be numbered anew."""
    place = _place(records, random)
    victim = records[place]
    assert isinstance(victim, Leaf)
    rest = [*records[:place], *records[place + 1 :]]
    return random.choice([[*records[:place], gone(victim), *records[place + 1 :]], rest, renumbered(rest)])


def insert(records: list[LogRecord], random: Random) -> list[LogRecord]:
    """One entry more, forged or copied, with a leaf that fits it; the others may be numbered anew."""
    place = random.randrange(len(records) + 1)
    copied = records[_place(records, random)]
    more = random.choice([copied, leaf(min(place, len(records) - 1), entry(10_000))])
    records.insert(place, more)
    return random.choice([records, renumbered(records)])


def reorder(records: list[LogRecord], random: Random) -> list[LogRecord]:
    """Two entries changed places, near or far; all may be numbered anew."""
    first, second = random.sample([place for place, each in enumerate(records) if isinstance(each, Leaf)], 2)
    records[first], records[second] = records[second], records[first]
    return random.choice([records, renumbered(records)])


def _place(records: list[LogRecord], random: Random) -> int:
    return random.choice([place for place, each in enumerate(records) if isinstance(each, Leaf)])


@pytest.mark.parametrize("tamper", [change, delete, insert, reorder])
def test_every_tampering_is_found(tamper: Callable[[list[LogRecord], Random], list[LogRecord]]) -> None:
    """Whatever is done to an entry of a log of any size, the export is refused; a seed replays a failure."""
    for seed in range(TAMPERINGS):
        random = Random(seed)
        size = random.randrange(2, 40)
        clean = list(sealed(map(entry, range(size)), {*random.choices(range(size), k=random.randrange(4)), size}))
        assert isinstance(verdict(exported(clean), vkey=VKEY), Verified), seed
        lines = list(exported(tamper(clean, random)))
        assert code(lines, vkey=VKEY) is AuditCode.AUDIT_TAMPERED, (tamper, seed)


@pytest.mark.timeout(900)
def test_a_clean_log_is_never_accused() -> None:
    """Not one false alarm over a long log with many checkpoints, retired entries and a published checkpoint."""
    retired = CLEAN // 4
    before = {"before": (START + timedelta(seconds=retired)).isoformat()}
    entries = (
        entry(number, action=RETIRE_ACTION, phase=Phase.SUCCEEDED, context=before)
        if number == CLEAN - 9
        else entry(number)
        for number in range(CLEAN)
    )
    records = sealed(entries, {*range(1_000, CLEAN, 1_000), 1, CLEAN})
    thinned = (gone(each) if isinstance(each, Leaf) and each.index < retired else each for each in records)
    published = checkpoint(leaves_of(LOG)[:7])
    found = verdict(exported(thinned), vkey=VKEY, published=published)
    assert isinstance(found, Verified), found
    assert (found.entries, found.retired, found.tree_size) == (CLEAN - retired, retired, CLEAN)


@given(st.integers(0, sum(map(len, LINES)) - 1), st.characters(exclude_categories=()))
def test_no_character_can_be_another(place: int, character: str) -> None:
    """Every character of an export counts: there is one way to write a log."""
    text = "\n".join(LINES)
    changed = (text[:place] + character + text[place + 1 :]).split("\n")
    assert changed == LINES or code(changed, vkey=VKEY) is not None


def test_lines_may_end_as_files_do() -> None:
    """With a newline of either kind, or none."""
    for end in ("", "\n", "\r\n"):
        assert isinstance(verdict([line + end for line in LINES], vkey=VKEY), Verified)


def test_an_export_of_another_key_is_refused() -> None:
    """A forger can sign an export of their own, but not with the key that the verifier was given."""
    forged = list(exported(sealed(map(entry, range(3)), {3}, STRANGER), VerifierKey.of(STRANGER)))
    assert isinstance(verdict(forged), Verified)
    assert code(forged, vkey=VKEY) is AuditCode.EXPORT_INVALID
    assert code([LINES[0], *forged[1:]], vkey=VKEY) is AuditCode.AUDIT_TAMPERED
    assert code([forged[0], *LINES[1:]]) is AuditCode.AUDIT_TAMPERED
    assert code(LINES, vkey="no key") is AuditCode.VERIFIER_KEY_INVALID


def test_an_export_cut_off_is_found_with_a_published_checkpoint() -> None:
    """Up to a checkpoint, the beginning of a log is a log; only what was published tells that there was more."""
    cut = LINES[:5]
    assert isinstance(verdict(cut, vkey=VKEY), Verified)
    assert code(cut, vkey=VKEY, published=checkpoint(leaves_of(LOG))) is AuditCode.AUDIT_TAMPERED
    assert code(LINES, published="not a checkpoint") is AuditCode.CHECKPOINT_INVALID


def without(field: str) -> str:
    return json.dumps({name: value for name, value in json.loads(LINES[1]).items() if name != field})


def entry_with(**said: Any) -> str:
    """The first leaf's line with other fields, a hash that fits, and the form of the writer."""
    line = json.loads(LINES[1])
    line["entry"] = dict(sorted((line["entry"] | said).items()))
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        LINES[0],
        LINES[1][:-1],
        LINES[1] + " ",
        LINES[1].replace(",", ", ", 1),
        LINES[1].replace('"index":0', '"index":0.0'),
        LINES[1].replace('"index":0', '"index":false'),
        LINES[1].replace('"index":0', f'"index":{"9" * 5_000}'),
        LINES[1].replace('"index":0', '"index":1,"index":0'),
        LINES[1].replace('"http"', '"ftp","channel":"http"'),
        LINES[1].replace(':"http"', ':"\\u0068ttp"'),
        json.dumps(json.loads(LINES[1])),
        without("entry"),
        without("leaf_hash"),
        '{"checkpoint":5}',
        '{"checkpoint":"\\ud800"}',
        '{"entry":' + "[" * 100_000,
        '{"checkpoint":' + "[" * 100_000,
        *(entry_with(**{field: 5}) for field in fields),
        *(entry_with(**{field: "\ud800"}) for field in fields),
        *(entry_with(**{field: [None]}) for field in fields),
        entry_with(v=2),
        entry_with(more=1),
        entry_with(context={"amount": 0.5}),
        entry_with(context={"amount": float("nan")}),
        entry_with(occurred_at="2026-01-31T23:59:59.250000+00:00"),
        entry_with(occurred_at="2026-01-31T23:59:59.250Z"),
        entry_with(occurred_at="0001-01-01T00:00:00.000000+23:00"),
        entry_with(personal="AB"),
        entry_with(user_id="{00000000-0000-0000-0000-000000000000}"),
    ],
)
def test_a_line_of_another_form_is_named(line: str) -> None:
    """What the writer would not have written is refused with its number, and never raises."""
    found = verdict([LINES[0], line, *LINES[2:]], vkey=VKEY)
    assert isinstance(found, AuditRefused)
    assert found.code is AuditCode.EXPORT_INVALID
    assert "line 2 " in found.message


@pytest.mark.parametrize(
    "header",
    [
        "",
        "[]",
        "[" * 100_000,
        LINES[1],
        LINES[0].replace("1", "2", 1),
        LINES[0].replace("audit-log", "other"),
        LINES[0].replace(VKEY, "no key"),
        LINES[0].replace(VKEY, "\\ud800"),
        LINES[0].replace(":", ": "),
    ],
)
def test_a_header_of_another_form_is_refused(header: str) -> None:
    """Another format, version or no key at all: the first line is named."""
    found = verdict([header, *LINES[1:]], vkey=VKEY)
    assert isinstance(found, AuditRefused)
    assert found.code is AuditCode.EXPORT_INVALID
    assert "line 1 " in found.message


def test_nothing_is_not_an_export() -> None:
    """An empty file is refused, a header alone is the export of an empty log."""
    assert code([], vkey=VKEY) is AuditCode.EXPORT_INVALID
    assert verdict(LINES[:1], vkey=VKEY) == verdict(exported([]))
    assert isinstance(verdict(LINES[:1]), Verified)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
named = st.sampled_from(["index", "leaf_hash", "entry_id", "recorded_at", "entry", "checkpoint", "vkey", "format"])


@given(st.integers(0, len(LINES)), st.text() | st.dictionaries(named, json_values).map(json.dumps))
def test_no_line_is_too_odd_to_be_refused(place: int, line: str) -> None:
    """Any line anywhere is refused as a value."""
    assert code([*LINES[:place], line, *LINES[place:]], vkey=VKEY) is AuditCode.EXPORT_INVALID


@given(st.sampled_from(fields), json_values)
def test_no_field_is_too_odd_to_be_refused(field: str, value: Any) -> None:
    """Any value in any field of an entry is refused, unless it is the one that was there."""
    before = json.loads(LINES[1])["entry"][field]
    same = type(value) is type(before) and value == before
    assert same or code([LINES[0], entry_with(**{field: value}), *LINES[2:]], vkey=VKEY) is not None


@pytest.mark.parametrize("wrong", ["odd", LINES[1]])
def test_an_export_is_read_as_it_comes(wrong: str) -> None:
    """Lines are read once and one at a time, and not beyond the first that is wrong."""
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in [*LINES[:2], wrong, *LINES[2:]]:
            read.append(line)
            yield line

    assert code(lines(), vkey=VKEY) in {AuditCode.EXPORT_INVALID, AuditCode.AUDIT_TAMPERED}
    assert len(read) == 3
