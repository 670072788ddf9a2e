"""Writes docs/events.json: what each event carries as other processes and programs read it.

Refuses a change that those who read the version of before could not bear: raise `version` of the event's class.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs

from dashtam_core import accounts, connections, identity
from dashtam_core.messaging import DomainEvent, wire_type

FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "events.json"
EVENTS: Final = (*identity.EVENTS, *accounts.EVENTS, *connections.EVENTS)
PLAIN: Final[Mapping[Any, Mapping[str, str]]] = {
    NoneType: {"type": "null"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": "string"},
    bool: {"type": "boolean"},
    bytes: {"type": "string"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    int: {"type": "integer"},
    str: {"type": "string"},
}

type Json = dict[str, Any]


def schema(kind: Any) -> Json:
    """The JSON Schema of what the wire has for a value of this type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, NewType):
        return schema(kind.__supertype__)
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if origin in {tuple, frozenset}:
        return {"type": "array", "items": schema(arguments[0])}
    if origin in {Union, UnionType}:
        return {"anyOf": [schema(each) for each in arguments]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [each.value for each in kind]}
    if isinstance(kind, type) and attrs.has(kind):
        return fields(kind)
    raise TypeError(f"{kind} has no JSON Schema yet: add it to `schema` in scripts/events.py")


def fields(kind: type[attrs.AttrsInstance], hidden: frozenset[str] = frozenset()) -> Json:
    """The JSON Schema of a class without some of its fields. Who reads it passes over what it does not know."""
    hints, shown = get_type_hints(kind), [each for each in attrs.fields(kind) if each.name not in hidden]
    return {
        "type": "object",
        "properties": {each.name: schema(hints[each.name]) for each in sorted(shown, key=lambda each: each.name)},
        "required": sorted(each.name for each in shown if each.default is attrs.NOTHING),
    }


def described(event: type[DomainEvent]) -> Json:
    return {
        "type": wire_type(event),
        "version": event.version,
        "category": event.category,
        "description": (event.__doc__ or "").partition("\n")[0],
        "data": fields(event, frozenset({"event_id"}) | event.private),
    }


def now() -> Json:
    """What the file should say."""
    return {event.__name__: described(event) for event in sorted(EVENTS, key=lambda event: event.__name__)}


def problems(before: Json, after: Json) -> Iterator[str]:
    """What those who read the events as they were could not bear, and what to do instead."""
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            yield f"{name} is gone: keep its class, or strike it from docs/events.json if nobody reads it any more"
        elif new["version"] < old["version"]:
            yield f"{name} goes back to version {new['version']}: versions only rise"
        elif new["version"] == old["version"]:
            told = (
                [f"is told under {new['category']} now"] if old["category"] not in {None, new["category"]} else []
            )
            for what in [*told, *_broken(old["data"], new["data"])]:
                yield f"{name} {what}: raise `version` of {name} to {old['version'] + 1}"


def _broken(old: Json, new: Json) -> Iterator[str]:
    for field, was in old["properties"].items():
        if field not in new["properties"]:
            yield f"has no {field} any more"
        elif not _still_read(was, new["properties"][field]):
            yield f"has another type of {field}"
    for field in set(new["required"]) - set(old["required"]):
        yield f"needs {field}, which what was written before may not have"


def _still_read(old: Json, new: Json) -> bool:
    """Whether it is what it was; of texts with a fixed choice there may be more."""
    return old | {"enum": None} == new | {"enum": None} and set(old.get("enum", ())) <= set(new.get("enum", ()))


def text_of(events: Json) -> str:
    return json.dumps(events, indent=2) + "\n"


def main(file: Path = FILE) -> int:
    """Writes the file, or tells why not."""
    events = now()
    if found := [*problems(json.loads(file.read_text()) if file.exists() else {}, events)]:
        print("\n".join(found))
        return 1
    file.write_text(text_of(events))
    return 0


if __name__ == "__main__":
    sys.exit(main())
