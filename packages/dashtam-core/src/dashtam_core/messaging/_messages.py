"""Commands change state, queries read. Each is a frozen attrs class with exactly one handler.

`T_co` is the value a message answers with and `E_co` the error; both checkers infer them from the class alone, so
a handler with another message, answer or error is refused where it is registered.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import attrs

from dashtam_core.kernel import Permission, Result

# Covariant, said outright: inference would take the factories below for a reason to be invariant, and mypy then
# refuses to pass the answer of `execute` straight on.
T_co = TypeVar("T_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


class Handler[M, A, F](Protocol):
    """Answers a message inside one transaction. Short: no network but the store's, no long computing."""

    def apply(self, message: M, /) -> Awaitable[Result[A, F]]: ...


class PreparingHandler[M, P, A, F](Protocol):
    """A handler in two steps: `prepare` parses, hashes or calls out with no transaction open, `apply` writes."""

    def prepare(self, message: M, /) -> Awaitable[Result[P, F]]: ...

    def apply(self, message: M, prepared: P, /) -> Awaitable[Result[A, F]]: ...


class Message(Generic[T_co, E_co]):  # noqa: UP046 - see above
    """What a subject asks for. A subclass names the `permission` it needs."""

    __slots__ = ()
    permission: ClassVar[Permission]

    @classmethod
    def handled_by(cls, factory: Callable[..., Handler[Self, T_co, E_co]], /) -> "Route":
        """The route to a handler; the container fills the factory's parameters by their types."""
        return Route(cls, factory, prepares=False)

    @classmethod
    def prepared_by[P](cls, factory: Callable[..., PreparingHandler[Self, P, T_co, E_co]], /) -> "Route":
        """The route to a handler that prepares outside the transaction."""
        return Route(cls, factory, prepares=True)

    def __answer__(self) -> Result[T_co, E_co]:  # pragma: no cover - holds T and E in place
        raise NotImplementedError


class Command(Message[T_co, E_co]):
    """Changes state."""

    __slots__ = ()


class Query(Message[T_co, E_co]):
    """Reads, and leaves everything as it was."""

    __slots__ = ()


@attrs.frozen
class Route:
    """A message class with the factory of its one handler. Made by `handled_by` and `prepared_by`."""

    message: type[Message[Any, Any]]
    factory: Callable[..., Any]
    prepares: bool
