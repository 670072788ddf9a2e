"""Values as JSON and back: what one version of a program wrote, the next one reads or refuses."""

import json
import types
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, NewType, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dashtam_core import accounts, audit, identity, messaging, portfolio
from dashtam_core.accounts import AccountId, DocumentId, ImportReport, ReadingWarning, StatementImported
from dashtam_core.audit import VerifierKey
from dashtam_core.identity import UserErased
from dashtam_core.kernel import Currency, Money, Permission, UserId
from dashtam_core.messaging import Command, DomainEvent, StoredEvent
from dashtam_core.messaging._codec import dump, fingerprint, load
from dashtam_core.messaging._idempotency import _answer_type
from dashtam_core.portfolio import MatchState
from dashtam_core.testing import strategies

ROUTES = (*messaging.ROUTES, *audit.ROUTES, *identity.ROUTES, *accounts.ROUTES, *portfolio.ROUTES)
COMMANDS = [route.message for route in ROUTES if issubclass(route.message, Command) and route.message.replayable]
GOLDEN = (
    '{"account_ids":["0197f3a4-0000-7000-8000-00000000000c","0197f3a4-0000-7000-8000-00000000000d"],"added":7,'
    '"document_id":"0197f3a4-0000-7000-8000-00000000000b","event_id":"0197f3a4-0000-7000-8000-00000000000a",'
    '"user_id":"5f1c2b0e-6d5a-4c7e-9b51-0d3c8f6f7a10"}'
)
KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    VerifierKey: st.builds(VerifierKey, st.just("example.com/audit"), st.binary(min_size=32, max_size=32)),
    datetime: st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=30))])),
    str: st.text(st.characters(codec=None)),
    Money: strategies.money(),
    MatchState: st.sampled_from([MatchState.CONFIRMED, MatchState.REJECTED]),
}


class Colour(Enum):
    RED = 1


class Kind(StrEnum):
    PLAIN = "plain"


Name = NewType("Name", str)


@attrs.frozen
class Everything:
    """A field of each type that a message or an event may have."""

    text: str
    count: int
    flag: bool
    nothing: str | None
    amount: Decimal
    money: Money
    day: date
    at: datetime
    ids: tuple[AccountId, ...]
    data: bytes
    colour: Colour
    kind: Kind
    name: Name
    may: frozenset[Permission]
    counts: Mapping[str, int]
    rows: tuple[ReadingWarning, ...]


WHOLE = Everything(
    text="Caf\u00e9 \U0001f3e6 \0 \ud800",
    count=-(10**30),
    flag=True,
    nothing=None,
    amount=Decimal("-0.10"),
    money=Money(Decimal("1E+3"), Currency("EUR")),
    day=date(1, 1, 1),
    at=datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ids=(AccountId(UUID(int=1)),),
    data=b"\x00\xff",
    colour=Colour.RED,
    kind=Kind.PLAIN,
    name=Name("n"),
    may=frozenset({Permission("b"), Permission("a")}),
    counts={"a": 1},
    rows=(ReadingWarning("odd", "line 1", None),),
)


def family(kind: type[DomainEvent]) -> Iterator[type[DomainEvent]]:
    """The product's classes below this one, without those that attrs has replaced with others."""
    for each in kind.__subclasses__():
        if each.__module__.startswith("dashtam_") and "__attrs_attrs__" in vars(each):
            yield each
        yield from family(each)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, with every field of a class given."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in KNOWN:
        return KNOWN[kind]
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    if attrs.has(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.alias: values(hints[field.name]) for field in attrs.fields(kind)})
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin in {Union, types.UnionType}:
        return st.one_of(*map(values, arguments))
    return st.from_type(kind)


@pytest.mark.parametrize("kind", [*family(DomainEvent)], ids=lambda kind: kind.__name__)
@given(st.data())
def test_every_event_comes_back_as_it_was(kind: type[DomainEvent], data: st.DataObject) -> None:
    """What an event class writes it reads, its id with it, and the text fits any store."""
    event = data.draw(values(kind))
    stored = StoredEvent.of(event, UserId(UUID(int=7)))
    assert (stored.name, stored.event_id, stored.payload.isascii()) == (kind.__name__, event.event_id, True)
    back = stored.read(kind)
    assert (type(back), back, back.event_id) == (kind, event, event.event_id)


def test_the_events_are_found() -> None:
    """The walk above passes every event there is."""
    assert {StatementImported, UserErased} <= {*family(DomainEvent)}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
@given(st.data())
def test_every_kept_answer_comes_back_as_it_was(command: type[Command[Any, Any]], data: st.DataObject) -> None:
    """A retry gets an answer equal to the first, of the same type, from text that fits any store."""
    kind = _answer_type(command)
    answer = data.draw(values(kind))
    text = dump(answer)
    assert text.isascii()
    assert (load(text, kind), type(load(text, kind)), dump(load(text, kind))) == (answer, type(answer), text)


def test_the_commands_are_found() -> None:
    """The walk above passes every command whose answer may be kept."""
    assert {"ImportStatement", "SealAuditLog", "RetryDeadLetters"} <= {each.__name__ for each in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
@given(st.data())
def test_any_other_field_is_another_command(command: type[Any], data: st.DataObject) -> None:
    """Two commands share a fingerprint if, and only if, they are equal."""
    one, other = data.draw(values(command)), data.draw(values(command))
    field = data.draw(st.sampled_from(attrs.fields(command)))
    changed = attrs.evolve(one, **{field.alias: getattr(other, field.name)})
    again = attrs.evolve(one)
    assert fingerprint(again) == fingerprint(one)
    assert len(fingerprint(one)) == 32
    assume(changed != one)
    assert fingerprint(changed) != fingerprint(one)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("text", "Caf\u00e9"),
        ("flag", False),
        ("nothing", ""),
        ("amount", Decimal("-0.1")),
        ("data", b"\x00\xfe"),
        ("may", frozenset({Permission("b")})),
        ("counts", {"a": 2}),
        ("rows", ()),
    ],
)
def test_a_fingerprint_tells_every_field(field: str, other: Any) -> None:
    """Bytes, sets and amounts count like text does."""
    assert fingerprint(attrs.evolve(WHOLE, **{field: other})) != fingerprint(WHOLE)


def test_every_type_comes_back_as_it_was() -> None:
    """Odd text, great numbers, the ends of time, trailing zeros: nothing is lost, and sets have one order."""
    back = load(dump(WHOLE), Everything)
    assert back == WHOLE
    assert (str(back.amount), str(back.money.amount), back.at.utcoffset()) == ("-0.10", "1E+3", timedelta(0))
    assert json.loads(dump(WHOLE))["may"] == ["a", "b"]


def test_an_answer_may_be_nothing() -> None:
    """A command whose answer says no more than that it was done can be replayed."""
    assert load(dump(None), type(None)) is None


def test_an_event_as_it_is_today_is_read_for_ever() -> None:
    """This is what stores hold: a change that writes or reads it otherwise loses the events that wait."""
    event = StatementImported(
        UserId(UUID("5f1c2b0e-6d5a-4c7e-9b51-0d3c8f6f7a10")),
        DocumentId(UUID("0197f3a4-0000-7000-8000-00000000000b")),
        (
            AccountId(UUID("0197f3a4-0000-7000-8000-00000000000c")),
            AccountId(UUID("0197f3a4-0000-7000-8000-00000000000d")),
        ),
        7,
        event_id=UUID("0197f3a4-0000-7000-8000-00000000000a"),
    )
    stored = StoredEvent.of(event, event.user_id)
    assert (stored.name, stored.payload) == ("StatementImported", GOLDEN)
    back = cast("StatementImported", stored.read(StatementImported))
    assert (back, back.event_id) == (event, event.event_id)


def test_a_field_that_was_added_may_have_a_default() -> None:
    """What an earlier version wrote is read by a class that has learned more, or forgotten something."""

    @attrs.frozen
    class Later(DomainEvent):
        added: int
        source: str = "file"

    assert load(GOLDEN, Later) == Later(7)


MISFITS: list[tuple[str, Any]] = [
    ("text", None),
    ("text", 5),
    ("count", "5"),
    ("count", 5.7),
    ("count", True),
    ("flag", 1),
    ("flag", None),
    ("nothing", 5),
    ("amount", 1.5),
    ("amount", 5),
    ("amount", "five"),
    ("money", "5 EUR"),
    ("money", {"amount": "5"}),
    ("day", "2026-02-30"),
    ("at", 5),
    ("ids", ["5"]),
    ("ids", 5),
    ("data", "0"),
    ("data", 5),
    ("colour", 2),
    ("kind", "odd"),
    ("name", None),
    ("may", [5]),
    ("counts", {"a": "1"}),
    ("counts", 5),
    ("rows", [{}]),
]


@pytest.mark.parametrize(("field", "said"), MISFITS)
def test_what_is_of_another_type_is_refused(field: str, said: object) -> None:
    """A payload that does not fit its class raises `ValueError`; nothing is made to fit, a float least of all."""
    with pytest.raises(ValueError, match="Everything"):
        load(json.dumps(json.loads(dump(WHOLE)) | {field: said}), Everything)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", int), ("{", int), ("null", Everything), ("[]", ImportReport), ('"5"', UUID), ("5", dict[str, int])],
)
def test_what_is_no_value_at_all_is_refused(text: str, kind: Any) -> None:
    """Text that is not JSON, or JSON of another shape, raises `ValueError`."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is JSON's own for some
        load(text, kind)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 1.5),
        ("amount", "1.5"),
        ("ids", ("1",)),
        ("data", "text"),
        ("day", "2026-01-01"),
        ("counts", {"a": object()}),
        ("text", {1, 2}),
    ],
)
@pytest.mark.parametrize("write", [dump, fingerprint])
def test_what_has_no_form_is_refused(field: str, value: Any, write: Any) -> None:
    """A float for an amount, or a type that JSON cannot tell, raises `TypeError` before anything is kept."""
    with pytest.raises(TypeError):
        write(attrs.evolve(WHOLE, **{field: value}))


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, [timedelta(1)], {"a": object()}])
def test_an_unknown_type_is_refused(value: object) -> None:
    """There is no form for what nobody taught."""
    for write in (dump, fingerprint):
        with pytest.raises(TypeError):
            write(value)
