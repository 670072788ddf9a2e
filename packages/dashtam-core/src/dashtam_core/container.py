"""The one place where ports meet adapters.

`provide(Port).by(factory)` says how a port is made. A factory's parameters are filled by their types. Whatever
needs, directly or through others, something of one request is made anew for each request; everything else is
made once. The whole plan is worked out when the container is built, so a gap or a circle is found at start.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
from typing_extensions import TypeForm


class AssemblyError(Exception):
    """The parts do not fit: names what is missing or circular, who needs it, and what to do."""


@attrs.frozen
class Binding:
    """A port with the factory of its adapter. Made by `provide(Port).by(factory)`."""

    port: Any
    factory: Callable[..., Any]


@attrs.frozen
class Port[P]:
    """A port that waits for its factory."""

    port: TypeForm[P]

    def by(self, factory: Callable[..., P], /) -> Binding:
        """Bind the port to what `factory` makes; a class whose instances fit is a factory too."""
        return Binding(self.port, factory)

    def value(self, value: P, /) -> Binding:
        """Bind the port to one thing that is there already."""
        return Binding(self.port, lambda: value)


def provide[P](port: TypeForm[P], /) -> Port[P]:
    """The first half of a binding. Two halves, so that both type checkers refuse an adapter that does not fit."""
    return Port(port)


_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

type _Values = dict[Any, Any]


@attrs.frozen
class _Plan:
    """How a port is made: its factory, what each parameter takes, and whether any of it belongs to one request."""

    factory: Callable[..., Any]
    needs: Mapping[str, Any]
    per_request: bool


class Container:
    """Everything bound, planned once. `request_ports` are given anew with each request."""

    def __init__(self, bindings: Iterable[Binding], *, request_ports: Sequence[Any] = ()) -> None:
        self._factories = {binding.port: binding.factory for binding in bindings}
        self._plans = {port: _Plan(_given_with_request, {}, per_request=True) for port in request_ports}
        self._app: _Values = {}
        for port in self._plans.keys() & self._factories.keys():
            raise AssemblyError(f"{_name(port)} comes with each request: it cannot be provided")
        for port in self._factories:
            self._plan(port, ())

    def get[P](self, port: TypeForm[P], /) -> P:
        """What `port` is bound to for the whole application."""
        if self._plan(port, ()).per_request:
            raise AssemblyError(f"{_name(port)} is made for each request: there is none outside one")
        made: P = self._make(port, self._app)
        return made

    def maker[P](self, factory: Callable[..., P], /) -> Callable[[Mapping[Any, Any]], P]:
        """A function that calls `factory` with its parameters filled, given what one request brings."""
        makers = {name: self._maker(port, factory) for name, port in _parameters(factory).items()}

        def make(request: Mapping[Any, Any]) -> P:
            values = dict(request)
            return factory(**{name: one(values) for name, one in makers.items()})

        return make

    def _maker(self, port: Any, needed_by: Callable[..., Any]) -> Callable[[_Values], Any]:
        if self._plan(port, (needed_by,)).per_request:
            return lambda values: self._make(port, values)
        made = self._make(port, self._app)
        return lambda _: made

    def _make(self, port: Any, values: _Values) -> Any:
        plan = self._plans[port]
        scope = values if plan.per_request else self._app
        if port not in scope:
            scope[port] = plan.factory(**{name: self._make(need, values) for name, need in plan.needs.items()})
        return scope[port]

    def _plan(self, port: Any, needed_by: tuple[Any, ...]) -> _Plan:
        """Works out how to make `port`, walking everything it needs."""
        if port in self._plans:
            return self._plans[port]
        path = (*needed_by, port)
        if port in needed_by:
            raise AssemblyError(
                f"circular: {_path(path)}: let one of them take what it needs as an argument instead"
            )
        if port not in self._factories:
            raise AssemblyError(
                f"nothing provides {_name(port)}, needed by {_path(needed_by) or 'the caller'}: "
                f"add provide({_name(port)}).by(...) or install the adapter that brings it"
            )
        factory = self._factories[port]
        needs = _parameters(factory)
        plans = [self._plan(need, path) for need in needs.values()]
        self._plans[port] = _Plan(factory, needs, any(plan.per_request for plan in plans))
        return self._plans[port]


def _given_with_request() -> None:  # pragma: no cover - the request always brings these
    raise AssertionError("a request did not bring what it should")


def _parameters(factory: Callable[..., Any]) -> Mapping[str, Any]:
    """The type of each parameter of a factory that has no default, by name."""
    try:
        parameters = inspect.signature(factory, eval_str=True).parameters.values()
    except (AttributeError, NameError, TypeError, ValueError) as error:
        raise AssemblyError(f"the parameters of {_name(factory)} cannot be read: {error}") from error
    required = [one for one in parameters if one.default is one.empty]
    untyped = [one.name for one in required if one.annotation is one.empty or one.kind in _VARIADIC]
    if untyped:
        raise AssemblyError(
            f"{_name(factory)} takes {', '.join(untyped)} without a type: annotate it with its port"
        )
    return {one.name: one.annotation for one in required}


def _name(thing: Any) -> str:
    return getattr(thing, "__name__", None) or str(thing)


def _path(things: Sequence[Any]) -> str:
    return " → ".join(_name(thing) for thing in things)
