"""The one place where ports meet adapters.

`provide(Port).by(factory)` says how a port is made. A factory's parameters are filled by their types. Whatever
needs, directly or through others, something of one request is made anew for each request; everything else is
made once. The whole plan is worked out when the container is built, so a gap or a circle is found at start.
What was made once is closed once, the last made first.
"""

import asyncio
import inspect
import logging
from asyncio import CancelledError, Timeout
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args

import attrs
from typing_extensions import TypeForm

from dashtam_core.kernel import UnavailableCode, UnavailableError

__all__ = ["AssemblyError", "Binding", "Container", "Port", "provide"]


class AssemblyError(Exception):
    """The parts do not fit: names what is missing or circular, who needs it, and what to do."""


type _Work[P] = Callable[[P], Awaitable[object]]


@attrs.frozen
class Binding:
    """A port with the factory of its adapter. Made by `provide(Port).by(factory)`."""

    port: Any
    factory: Callable[..., Any]
    closing: _Work[Any] | None = None
    ping: _Work[Any] | None = None
    is_value: bool = False


@attrs.frozen
class Port[P]:
    """A port that waits for its factory."""

    port: TypeForm[P]

    def by(
        self, factory: Callable[..., P], /, *, closing: _Work[P] | None = None, ping: _Work[P] | None = None
    ) -> Binding:
        """Bind the port to what `factory` makes; a class whose instances fit is a factory too.

        `closing` ends what was made, when the application ends; `ping` returns if it can serve, and if not raises
        an `UnavailableError` that tells the operator why. Both are async and get the thing.
        """
        return Binding(self.port, factory, closing, ping)

    def value(self, value: P, /, *, closing: _Work[P] | None = None, ping: _Work[P] | None = None) -> Binding:
        """Bind the port to one thing that is there already: closed and pinged whether or not anybody needs it."""
        return Binding(self.port, lambda: value, closing, ping, is_value=True)


def provide[P](port: TypeForm[P], /) -> Port[P]:
    """The first half of a binding. Two halves, so that both type checkers refuse an adapter that does not fit."""
    return Port(port)


_log: Final = logging.getLogger(__name__)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

type _Values = dict[Any, Any]


@attrs.frozen
class _Plan:
    """How a port is made: its factory, what each parameter takes, and whether any of it belongs to one request."""

    factory: Callable[..., Any]
    needs: Mapping[str, Any]
    per_request: bool


class Container:
    """Everything bound, planned once. `request_ports` are given anew with each request.

    Of several bindings of one port the last counts.
    """

    def __init__(self, bindings: Iterable[Binding], *, request_ports: Sequence[Any] = ()) -> None:
        self._bindings = {binding.port: binding for binding in bindings}
        self._plans = {port: _Plan(_given_with_request, {}, per_request=True) for port in request_ports}
        self._app: _Values = {}
        self._pinged: dict[str, Any] = {}
        self._closed = False
        for port in self._plans.keys() & self._bindings.keys():
            raise AssemblyError(f"{_name(port)} comes with each request: it cannot be provided")
        for port, binding in self._bindings.items():
            used = binding.closing or binding.ping
            if self._plan(port, ()).per_request and used:
                raise AssemblyError(
                    f"{_name(port)} is made for each request: nothing can close or ping it for the application"
                )
            if binding.ping and self._pinged.setdefault(_name(port), port) != port:
                raise AssemblyError(
                    f"two ports called {_name(port)} have a ping, which is told by name: rename one"
                )
            if binding.is_value:
                self._make(port, self._app)

    def get[P](self, port: TypeForm[P], /) -> P:
        """What `port` is bound to for the whole application."""
        if self._closed:
            raise _gone(port, "the caller")
        if self._plan(port, ()).per_request:
            raise AssemblyError(f"{_name(port)} is made for each request: there is none outside one")
        made: P = self._make(port, self._app)
        return made

    def check(self, factory: Callable[..., Any], /) -> None:
        """Raises unless `maker` can fill the parameters of `factory`. Makes nothing."""
        for port in _parameters(factory).values():
            self._plan(port, (factory,))

    def maker[P](self, factory: Callable[..., P], /) -> Callable[[Mapping[Any, Any]], P]:
        """A function that calls `factory` with its parameters filled, given what one request brings."""
        makers = {name: self._maker(port, factory) for name, port in _parameters(factory).items()}

        def make(request: Mapping[Any, Any]) -> P:
            if self._closed:
                raise _gone(factory, "a request")
            values = dict(request)
            return factory(**{name: one(values) for name, one in makers.items()})

        return make

    async def ping(self, *, timeout: float = 5.0) -> Mapping[str, Exception | None]:  # noqa: ASYNC109 - for each
        """Whether everything that was made can serve: by its port's name, `None` or what is wrong.

        All are asked at once and have `timeout` seconds. An `UnavailableError` tells the operator what to do; any
        other error is a bug and logged as well. What nobody has needed so far is not made for this.
        """
        if self._closed:
            raise _gone(Container, "a ping")
        asked = {
            name: _asked(name, ping, self._app[port], asyncio.timeout(timeout))
            for name, port in self._pinged.items()
            if port in self._app and (ping := self._bindings[port].ping)
        }
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    async def aclose(self, *, deadline: float = 10.0) -> None:
        """Closes what was made for the application, the last made first, within `deadline` seconds in all.

        What fails, or is not closed by then, is logged by its port's name and keeps nothing else from closing.
        Values count as made before everything else. Nothing is to be had from the container any more.
        """
        self._closed = True
        ends = asyncio.get_running_loop().time() + deadline
        while self._app:
            port, made = self._app.popitem()
            closing, limit = self._bindings[port].closing, asyncio.timeout_at(ends)
            if closing is not None and (error := await _tried(closing, made, limit)):
                why = "was not done by the deadline" if limit.expired() else "failed"
                _log.error("closing %s %s", _name(port), why, exc_info=error, extra={"port": _name(port)})

    def _maker(self, port: Any, needed_by: Callable[..., Any]) -> Callable[[_Values], Any]:
        if self._plan(port, (needed_by,)).per_request:
            return lambda values: self._make(port, values)
        if self._closed:
            raise _gone(port, _name(needed_by))
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
        if port not in self._bindings:
            raise AssemblyError(
                f"nothing provides {_name(port)}, needed by {_path(needed_by) or 'the caller'}: "
                f"add provide({_name(port)}).by(...) or install the adapter that brings it"
            )
        factory = self._bindings[port].factory
        needs = _parameters(factory)
        plans = [self._plan(need, path) for need in needs.values()]
        self._plans[port] = _Plan(factory, needs, any(plan.per_request for plan in plans))
        return self._plans[port]


async def _asked(name: str, ping: _Work[Any], made: Any, limit: Timeout) -> Exception | None:
    error = await _tried(ping, made, limit)
    if limit.expired():
        late = f"{name} did not answer in time: see whether it is overloaded or out of reach"
        return UnavailableError(UnavailableCode.TOO_SLOW, late)
    if error is None or isinstance(error, UnavailableError):
        return error
    _log.error("the ping of %s failed", name, exc_info=error, extra={"port": name})
    return error if isinstance(error, Exception) else RuntimeError(f"the ping of {name} was cancelled")


async def _tried(work: _Work[Any], made: Any, limit: Timeout) -> BaseException | None:
    """What went wrong, whatever it is, but for the cancellation of who waits here."""
    try:
        async with limit:
            await work(made)
    except (Exception, CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, CancelledError) and task is not None and task.cancelling():
            raise
        return error
    return None


def _gone(thing: Any, needed_by: str) -> AssemblyError:
    return AssemblyError(f"{_name(thing)}, needed by {needed_by}, is closed: ask before the application ends")


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
    return (not get_args(thing) and getattr(thing, "__name__", None)) or str(thing)


def _path(things: Sequence[Any]) -> str:
    return " → ".join(_name(thing) for thing in things)
