"""Audit entries: one form in bytes, on every machine, whatever the store gives back."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.audit._entries import (
    MAX_DEPTH,
    MAX_INTEGER,
    AttemptId,
    EntryId,
    Phase,
    RecordedEntry,
    canonical,
    check_context,
    leaf_hash,
)
from dashtam_core.kernel import UserId
from unit.audit.logs import START, entry

OTHER: dict[str, object] = {
    "entry_id": EntryId(UUID(int=99)),
    "attempt_id": AttemptId(UUID(int=99)),
    "occurred_at": START - timedelta(microseconds=1),
    "recorded_at": START - timedelta(microseconds=1),
    "user_id": UserId(UUID(int=99)),
    "action": "other",
    "phase": Phase.FAILED,
    "code": "other",
    "resource_type": "other",
    "resource_id": "other",
    "channel": "other",
    "request_id": "other",
    "context": {"added": 99},
    "personal": b"other",
}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
contexts = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def nested(depth: int) -> Any:
    return {"deep": nested(depth - 1)} if depth > 1 else {}


def test_the_form_is_written_down() -> None:
    """This entry has these bytes in every version, or old seals would no longer fit."""
    said = RecordedEntry(
        entry_id=EntryId(UUID("0197F3A4-0000-7000-8000-00000000000A")),
        attempt_id=AttemptId(UUID("0197f3a4-0000-7000-8000-00000000000b")),
        occurred_at=datetime(2026, 2, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))),
        recorded_at=datetime(2026, 2, 1, 0, 2, 3, 45, UTC),
        user_id=UserId(UUID(int=0)),
        action="ImportStatement",
        phase=Phase.FAILED,
        code="statement_unreadable",
        resource_type="account",
        channel="http",
        context={"b": [1, True, None, {"z": "€", "a": "-12.50"}], "a": '"\\/\x0f\n'},
        personal=b"\x00\xab",
    )
    assert canonical(said).decode() == (
        '{"action":"ImportStatement","attempt_id":"0197f3a4-0000-7000-8000-00000000000b","channel":"http",'
        '"code":"statement_unreadable","context":{"a":"\\"\\\\/\\u000f\\n","b":[1,true,null,{"a":"-12.50","z":"€"}]},'
        '"entry_id":"0197f3a4-0000-7000-8000-00000000000a","occurred_at":"2026-02-01T00:02:03.000000Z",'
        '"personal":"00ab","phase":"failed","recorded_at":"2026-02-01T00:02:03.000045Z","request_id":null,'
        '"resource_id":null,"resource_type":"account","user_id":"00000000-0000-0000-0000-000000000000","v":1}'
    )
    assert leaf_hash(said) == hashlib.sha256(b"\x00" + canonical(said)).digest()


def test_keys_are_in_the_order_of_their_utf_16_code_units() -> None:
    """The example of RFC 8785, section 3.2.3, where the order by code points would be another."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = json.loads(canonical(entry(0, context=dict.fromkeys(keys, 0))))["context"]
    assert list(written) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(contexts)
def test_a_store_may_reorder_keys(context: dict[str, Any]) -> None:
    """A context that comes back from JSON, in another order, has the same form and holds the same."""
    check_context(context)
    back = json.loads(json.dumps(context), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical(entry(0, context=back)) == canonical(entry(0, context=context))
    assert json.loads(canonical(entry(0, context=context)))["context"] == context


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(RecordedEntry)])
def test_every_field_counts(field: str) -> None:
    """An entry that differs in one field has another hash."""
    assert leaf_hash(entry(0, **{field: OTHER[field]})) != leaf_hash(entry(0))


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        float("nan"),
        Decimal(1),
        MAX_INTEGER + 1,
        -MAX_INTEGER - 1,
        "a\0",
        "\\\0",
        "\ud800",
        b"bytes",
        {"a\0": 1},
        {"\udc00": 1},
        {1: 1},
        [[1.5]],
        {1, 2},
        START,
        nested(MAX_DEPTH),
    ],
)
def test_what_no_store_gives_back_as_it_was_is_refused(value: Any) -> None:
    """Such a context is refused when it is made, and when it is hashed."""
    with pytest.raises(ValueError, match="audit"):
        check_context({"key": value})
    with pytest.raises(ValueError, match="audit"):
        canonical(entry(0, context={"key": value}))


def test_a_list_too_deep_is_refused() -> None:
    """However deep lists go, the answer is a `ValueError`, never a full stack."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        check_context({"key": deep})


@pytest.mark.parametrize(
    "value", [MAX_INTEGER, -MAX_INTEGER, "\\u0000", "\\\\u0000", (1, 2), nested(MAX_DEPTH - 1), "\ufffe\x7f"]
)
def test_what_stores_keep_is_taken(value: Any) -> None:
    """The limits themselves are within, and so is text that only looks like U+0000."""
    check_context({"key": value})


@pytest.mark.parametrize("field", ["action", "code", "resource_type", "resource_id", "channel", "request_id"])
@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_no_text_holds_what_stores_refuse(field: str, text: str) -> None:
    """Text outside the context is held to the same rules."""
    with pytest.raises(ValueError, match="audit"):
        canonical(entry(0, **{field: text}))


def test_an_instant_needs_a_zone() -> None:
    """A time without a zone means another instant on another machine, so it has no form."""
    with pytest.raises(ValueError, match="time zone"):
        canonical(entry(0, occurred_at=START.replace(tzinfo=None)))


def test_only_an_attempt_is_open() -> None:
    """Every phase but ATTEMPTED is the end of an action."""
    assert [phase for phase in Phase if not phase.ends] == [Phase.ATTEMPTED]


def test_personal_data_is_not_printed() -> None:
    """What only the person's key opens does not reach a log by way of `repr`."""
    assert "personal" not in repr(entry(1))
