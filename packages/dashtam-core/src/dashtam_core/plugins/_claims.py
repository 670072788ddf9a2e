"""What plugins answer, checked for its shape and settled: each name has one owner, or none."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final, get_protocol_members

import attrs

from dashtam_core.accounts import StatementReader, StatementWriter
from dashtam_core.connections import Provider
from dashtam_core.container import Binding
from dashtam_core.messaging import DomainEvent, DurableSubscription, Route, Subscription
from dashtam_core.plugins import _hooks

type Key = tuple[str, Hashable]  # a kind and a name, such as ("store", "sqlite")

_PORTS: Final[Mapping[str, type]] = {"reader": StatementReader, "writer": StatementWriter, "provider": Provider}
_NAMED: Final = frozenset({"store", "cache", "stream", "command", "router"})
_ADVICE: Final = "uninstall all but one, or list the one you want in DASHTAM_PLUGINS"


class PluginError(Exception):
    """Plugins that do not work or not together, or one that is not there: says which, why and what to do."""


@attrs.frozen(eq=False)
class Claim:
    """One thing that a plugin provides. `takes` is what nobody else may have, or an event for no other class."""

    plugin: str
    kind: str
    name: str
    value: Any
    takes: Mapping[Key, type | None]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def claims_of(plugin: str, hook: str, ask: Callable[[], object]) -> tuple[Claim, ...]:
    """What a plugin claims by its answer to a hook; an answer of another shape is a `PluginError`."""
    answer: Any = ask()
    kind = hook.removeprefix("dashtam_").removesuffix("s")
    named = kind in _NAMED
    if [isinstance(answer, shape) for shape in (Iterable, Mapping)] != [True, named]:
        raise _misshapen(kind, answer)
    return tuple(_claim(plugin, kind, each) for each in (answer.items() if named else answer))


def settle(claims: Iterable[Claim], reserved: Mapping[Key, type | None]) -> dict[Claim, str]:
    """The claims that nobody gets, each with the reason: what is reserved, and what several claim."""
    rivals: dict[Key, list[Claim]] = defaultdict(list)
    for claim in claims:
        for key in claim.takes:
            rivals[key].append(claim)
    refused: dict[Claim, str] = {}
    for key, some in rivals.items():
        what = f"the {key[0]} {key[1] if isinstance(key[1], str) else path_of(key[1])!r}"
        owners = ([reserved[key]] if key in reserved else []) + [claim.takes[key] for claim in some]
        if len(owners) == 1 or (key[0] == "event" and len(set(owners)) == 1):
            continue
        who = " and by ".join(map(_claimant, some))
        advice = _ADVICE if len({claim.plugin for claim in some}) > 1 else "each needs a name of its own"
        contested = f"contested: {what} is claimed by {who}: {advice}"
        taken = f"reserved: {what} is the application's own, and claimed by {who}: it needs another name"
        refused |= dict.fromkeys(some, taken if key in reserved else contested)
    return refused


def path_of(thing: Any) -> str:
    """Where a class is defined, for people: `package.module.Name`."""
    name = getattr(thing, "__qualname__", None)
    return f"{thing.__module__}.{name}" if name else str(thing)


def _claimant(claim: Claim) -> str:
    return claim.plugin if None in claim.takes.values() else f"{claim.plugin} ({claim.name})"


def _claim(plugin: str, kind: str, each: Any) -> Claim:  # noqa: PLR0911 - one for each kind
    match kind, each:
        case _, (str() as name, function) if kind in _NAMED and name and callable(function):
            name = name.strip("/") if kind in {"command", "router"} else name.lower()
            return Claim(plugin, kind, name, function, {(kind, name): None})
        case ("reader" | "writer" | "provider", _):
            missing = sorted(member for member in get_protocol_members(_PORTS[kind]) if not hasattr(each, member))
            if missing or not isinstance(each.name, str):
                raise _misshapen(kind, each, f" without {', '.join(missing) or 'a text for a name'}")
            return Claim(plugin, kind, each.name, each, {(kind, each.name): None})
        case "event", type() if issubclass(each, DomainEvent):
            return Claim(plugin, kind, path_of(each), each, {("event", each.__name__): each})
        case "route", Route(message):
            return Claim(plugin, kind, path_of(message), each, {(kind, message.action): message})
        case "binding", Binding(port):
            return Claim(plugin, kind, path_of(port), each, {(kind, port): None})
        case "subscription", DurableSubscription(event, name):
            keys: tuple[Key, ...] = (kind, f"{name} to {event.__name__}"), ("event", event.__name__)
            return Claim(plugin, kind, f"{name} to {path_of(event)}", each, dict.fromkeys(keys, event))
        case "subscription", Subscription(event):
            return Claim(plugin, kind, f"{each.name} to {path_of(event)}", each, {})
        case _:
            raise _misshapen(kind, each)


def _misshapen(kind: str, answer: object, lack: str = "") -> PluginError:
    hook, given = f"dashtam_{kind}s", "None" if answer is None else f"a {type(answer).__name__}"
    wanted = inspect.formatannotation(inspect.signature(getattr(_hooks, hook)).return_annotation)
    return PluginError(f"{hook} answers {given}{lack}: return {wanted}")
