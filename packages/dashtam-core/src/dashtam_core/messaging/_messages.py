"""Commands change state, queries read. Each is a frozen attrs class with exactly one handler.

`T` is the value a message answers with and `E` the error; both checkers infer them from the class alone, so a
handler with another message, answer or error is refused where it is registered.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol, Self

import attrs

from dashtam_core.kernel import Permission, Result


class Handler[M, T, E](Protocol):
    """Answers a message inside one transaction. Short: no network but the store's, no long computing."""

    def apply(self, message: M, /) -> Awaitable[Result[T, E]]: ...


class PreparingHandler[M, P, T, E](Protocol):
    """A handler in two steps: `prepare` parses, hashes or calls out with no transaction open, `apply` writes."""

    def prepare(self, message: M, /) -> Awaitable[Result[P, E]]: ...

    def apply(self, message: M, prepared: P, /) -> Awaitable[Result[T, E]]: ...


class Message[T, E]:
    """What a subject asks for. A subclass names the `permission` it needs."""

    __slots__ = ()
    permission: ClassVar[Permission]

    @classmethod
    def handled_by(cls, factory: Callable[..., Handler[Self, T, E]], /) -> "Route":
        """The route to a handler; the container fills the factory's parameters by their types."""
        return Route(cls, factory, prepares=False)

    @classmethod
    def prepared_by[P](cls, factory: Callable[..., PreparingHandler[Self, P, T, E]], /) -> "Route":
        """The route to a handler that prepares outside the transaction."""
        return Route(cls, factory, prepares=True)

    def __answer__(self, value: T, error: E, /) -> Result[T, E]:  # pragma: no cover - holds T and E in place
        raise NotImplementedError


class Command[T, E](Message[T, E]):
    """Changes state."""

    __slots__ = ()


class Query[T, E](Message[T, E]):
    """Reads, and leaves everything as it was."""

    __slots__ = ()


@attrs.frozen
class Route:
    """A message class with the factory of its one handler. Made by `handled_by` and `prepared_by`."""

    message: type[Message[Any, Any]]
    factory: Callable[..., Any]
    prepares: bool
