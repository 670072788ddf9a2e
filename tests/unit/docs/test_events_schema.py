"""The wire format of events: docs/events.json says what is written, and no version changes under its readers."""

import importlib.util
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, NewType, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs
import pytest

from dashtam_core.identity import EmailAddress
from dashtam_core.kernel import UserId, new_id
from dashtam_core.messaging import DomainEvent, StoredEvent, WireEvent

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "events.py"
_SPEC = importlib.util.spec_from_file_location("events_script", SCRIPT)
assert _SPEC is not None
assert _SPEC.loader is not None
script: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(script)

KEPT: dict[str, Any] = json.loads(script.FILE.read_text())
ADDRESS = "ann@example.com"
SAMPLES: dict[Any, Any] = {str: "text", int: 7, bool: True, EmailAddress: EmailAddress(ADDRESS)}
FORMATS: dict[Any, Any] = {
    "uuid": UUID,
    "date-time": datetime.fromisoformat,
    "date": datetime.fromisoformat,
    None: str,
}
EACH = pytest.mark.parametrize("event", script.EVENTS, ids=lambda event: event.__name__)


def sample(kind: Any) -> Any:
    """A value of a type, with everything given that it can have."""
    if isinstance(kind, NewType):
        return sample(kind.__supertype__)
    if kind is UUID:
        return new_id()
    if get_origin(kind) is tuple:
        return (sample(get_args(kind)[0]),) * 2
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, DomainEvent):
        hints = get_type_hints(kind)
        return kind(**{each.alias: sample(hints[each.name]) for each in attrs.fields(kind)})
    return SAMPLES[kind]


def check(value: Any, schema: dict[str, Any]) -> None:
    """Fails unless a value is what the schema says, with no field that it does not name."""
    match schema["type"]:
        case "object":
            assert set(schema["required"]) <= set(value) <= set(schema["properties"])
            for name, each in value.items():
                check(each, schema["properties"][name])
        case "array":
            for each in value:
                check(each, schema["items"])
        case "string":
            FORMATS[schema.get("format")](value)
            assert isinstance(value, str)
            assert value in schema.get("enum", [value])
        case plain:
            assert type(value) is {"integer": int, "boolean": bool}[plain]


def test_no_version_was_changed_under_its_readers() -> None:
    """A field that went, is of another type, or must be there now: the class needs another `version`."""
    found = [*script.problems(KEPT, script.now())]
    assert not found, "\n".join(found)


def test_the_file_says_what_is_written() -> None:
    """What was added is in the file too."""
    assert script.FILE.read_text() == script.text_of(script.now()), "run python scripts/events.py"


@EACH
def test_what_is_written_is_what_the_file_says(event: type[DomainEvent]) -> None:
    """The envelope names the event as the file does, and the data are valid."""
    user_id = UserId(new_id())
    wire = json.loads(WireEvent.of(StoredEvent.of(sample(event), user_id), event).json)
    said = KEPT[event.__name__]
    assert (wire["type"], wire.get("category")) == (said["type"], said["category"])
    check(wire["data"], said["data"])


@EACH
def test_nothing_private_is_written(event: type[DomainEvent]) -> None:
    """No address of anybody, and no field that the class calls private; every private field is one it has."""
    wire = WireEvent.of(StoredEvent.of(sample(event), UserId(new_id())), event)
    assert "@" not in wire.json
    assert not event.private & (json.loads(wire.json)["data"].keys() | KEPT[event.__name__]["data"]["properties"])
    assert event.private <= set(attrs.fields_dict(event))


@EACH
def test_an_event_with_a_category_names_its_person(event: type[DomainEvent]) -> None:
    """Whoever is told of it as it happens is its `user_id`."""
    assert event.category is None or "user_id" in KEPT[event.__name__]["data"]["required"]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The file with something else in one place, or nothing there."""
    after = deepcopy(KEPT)
    *way, last = path.split(".")
    place = after
    for each in way:
        place = place[each]
    place.pop(last) if value is None else place.update({last: value})
    return after


type Write = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Runs the script where the events are these, and the file is as it is: its exit code, and the file then."""

    def run(after: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "events.json"
        file.write_text(script.text_of(KEPT))
        monkeypatch.setattr(script, "now", lambda: after)
        return script.main(file), json.loads(file.read_text())

    return run


STATUSES = KEPT["UserStatusChanged"]["data"]["properties"]["status"]["enum"]
PROPERTIES = "StatementImported.data.properties"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            f"{PROPERTIES}.added",
            None,
            "StatementImported has no added any more: raise `version` of StatementImported",
        ),
        (f"{PROPERTIES}.added", {"type": "string"}, "has another type of added: raise `version` of Stat"),
        (
            f"{PROPERTIES}.account_ids.items",
            {"type": "string"},
            "has another type of account_ids: raise `version` of",
        ),
        (
            "UserStatusChanged.data.properties.status.enum",
            ["active"],
            "has another type of status: raise `version`",
        ),
        (
            "StatementImported.data.required",
            [*KEPT["StatementImported"]["data"]["required"], "new"],
            "needs new, wh",
        ),
        (
            "StatementImported.category",
            "balances",
            "is told under balances now: raise `version` of StatementImported",
        ),
        ("StatementImported.version", 0, "goes back to version 0"),
        ("StatementImported", None, "StatementImported is gone"),
    ],
)
def test_a_change_that_breaks_readers_is_refused(
    path: str, value: Any, said: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script says what to do and leaves the file; with a higher version the same change is fine."""
    after = changed(path, value)
    assert write(after) == (1, KEPT)
    assert said in capsys.readouterr().out
    for each in after.values():
        each["version"] += 2
    assert [line for line in script.problems(KEPT, after) if "is gone" not in line] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{PROPERTIES}.note", {"type": "string"}),
        ("UserStatusChanged.data.properties.status.enum", ["new", *STATUSES]),
        ("StatementImported.data.required", ["user_id"]),
        ("UserErased.category", "security"),
        ("Later", KEPT["UserErased"]),
    ],
)
def test_a_change_that_readers_can_bear_is_written(path: str, value: Any, write: Write) -> None:
    """A field that may be absent, one more choice, an event more: the file is made anew."""
    after = changed(path, value)
    assert write(after) == (0, after)


def test_a_type_without_a_schema_is_named() -> None:
    """A new kind of field is not passed over in silence."""
    with pytest.raises(TypeError, match=r"has no JSON Schema yet: add it"):
        script.schema(complex)
