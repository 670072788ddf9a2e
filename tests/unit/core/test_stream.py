"""Events as they cross processes: what is written, what is left out, and what is read of what others wrote."""

import json
from typing import ClassVar
from uuid import UUID

import attrs
import pytest

from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import UserId
from dashtam_core.messaging import Category, DomainEvent, StoredEvent, WireEvent, wire_type

ANN, ADMIN = ExternalSubject("ann").user_id, ExternalSubject("admin").user_id
ID = UUID("0197f3a4-0000-7000-8000-00000000000a")


@attrs.frozen(kw_only=True)
class CardLocked(DomainEvent):
    version: ClassVar[int] = 3
    category: ClassVar[Category | None] = Category.SECURITY
    private: ClassVar[frozenset[str]] = frozenset({"pin"})
    user_id: UserId
    pin: str
    reason: str = "lost"


@attrs.frozen(kw_only=True)
class Ticked(DomainEvent):
    """Speaks of nobody, and nobody is told."""


TICKED = Ticked(event_id=ID)


def wire(event: DomainEvent, by: UserId = ADMIN) -> WireEvent:
    return WireEvent.of(StoredEvent.of(event, by), type(event))


def test_an_event_is_written_as_cloudevents() -> None:
    """Every attribute as CloudEvents 1.0 has it, the data without what is private."""
    made = wire(CardLocked(event_id=ID, user_id=ANN, pin="1234"))
    assert json.loads(made.json) == {
        "specversion": "1.0",
        "id": str(ID),
        "source": "dashtam",
        "type": "dashtam.CardLocked.v3",
        "subject": str(ANN),
        "time": "2025-07-10T09:21:40.864+00:00",
        "datacontenttype": "application/json",
        "category": "security",
        "data": {"user_id": str(ANN), "reason": "lost"},
    }
    assert (made.name, made.category, wire_type(CardLocked)) == ("CardLocked", "security", "dashtam.CardLocked.v3")


def test_it_is_of_the_person_it_speaks_of() -> None:
    """An operator locks a card: its owner is who it is told to; what speaks of nobody is of who did it."""
    assert wire(CardLocked(user_id=ANN, pin="")).user_id == ANN
    quiet = wire(TICKED)
    assert (quiet.user_id, quiet.category, "category" in json.loads(quiet.json)) == (ADMIN, None, False)


@pytest.mark.parametrize("event", [CardLocked(user_id=ANN, pin="1234"), TICKED])
def test_what_is_written_is_read(event: DomainEvent) -> None:
    """Reading gives what was written, to the letter."""
    assert WireEvent.read(wire(event).json) == wire(event)


@pytest.mark.parametrize("category", ["goals", "SECURITY", 7, None, ["security"]])
def test_a_category_of_a_later_version_is_no_obstacle(category: object) -> None:
    """While processes of two versions run, the older one takes such an event for one of no category."""
    text = json.dumps(json.loads(wire(TICKED).json) | {"category": category}, separators=(",", ":"))
    assert WireEvent.read(text) == attrs.evolve(wire(TICKED), json=text)


def test_what_is_read_is_one_line() -> None:
    """However somebody else has written it: a line's end would end the event where it is sent on."""
    written = wire(TICKED).json
    assert WireEvent.read(json.dumps(json.loads(written), indent=1)).json == written


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"id": 7},
        {"id": None},
        {"subject": "ann"},
        {"type": "com.example"},
        {"type": 7},
        {"type": "a.b"},
    ],
)
def test_what_another_wrote_is_refused(change: dict[str, object]) -> None:
    """An envelope with something else in it is no event of ours."""
    said = json.loads(wire(TICKED).json)
    with pytest.raises(ValueError, match=r"event|UUID|unpack|hexadecimal"):
        WireEvent.read(json.dumps(said | change))


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[]", "null", '"text"', "{}", "[" * 200_000, "9" * 5_000, "\ud800"]
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    """Whatever lies on the stream raises the one error that a stream passes over."""
    with pytest.raises(ValueError, match=r"."):
        WireEvent.read(text)
