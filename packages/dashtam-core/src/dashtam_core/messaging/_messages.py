"""Commands change state, queries read. Each is a frozen attrs class with exactly one handler.

`T_co` is the value a message answers with and `E_co` the error; both checkers infer them from the class alone, so
a handler with another message, answer or error is refused where it is registered.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Generic, Protocol, Self, TypeVar

import attrs

from dashtam_core.kernel import Permission, Result, Success

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

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


@attrs.frozen
class PreparedAnswer[M, A, F]:
    """The second half of a handler that has its whole answer when it is prepared: it writes nothing of its own."""

    async def apply(self, _: M, prepared: A, /) -> Result[A, F]:
        return Success(prepared)


class Message(Generic[T_co, E_co]):  # noqa: UP046 - see above
    """What a subject asks for. A subclass names the `permission` it needs and the `resource_type` it is about."""

    __slots__ = ()
    permission: ClassVar[Permission]
    resource_type: ClassVar[str]
    resource_field: ClassVar[str] = ""
    """Its field that has the id of what it is about, if there is one."""
    action: ClassVar[str]
    """Its name in the log and in the audit trail: the class's, in lower case with underscores."""
    audited: ClassVar[bool]
    """Whether each attempt and its outcome are written to the audit trail. A refusal always is."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.action = _WORD.sub("_", cls.__name__).lower()

    @property
    def resource_id(self) -> str | None:
        """Which one of its `resource_type` it is about, where that is known before it runs."""
        known = getattr(self, self.resource_field) if self.resource_field else None
        return None if known is None else str(known)

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
    """Changes state, and leaves its attempt and its outcome in the audit trail."""

    __slots__ = ()
    audited: ClassVar[bool] = True
    replayable: ClassVar[bool] = True
    """Whether its answer may be kept and given again to a retry; not if the answer holds a secret."""
    changes_data: ClassVar[bool] = True
    """Whether it may change what a `cached` query answers."""


class Query(Message[T_co, E_co]):
    """Reads, and leaves everything as it was. One that reads what is sensitive says `audited = True`."""

    __slots__ = ()
    audited: ClassVar[bool] = False
    cached: ClassVar[bool] = False
    """Whether an edge may be given what was answered before, as long as the person's data has not changed."""


@attrs.frozen
class Route:
    """A message class with the factory of its one handler. Made by `handled_by` and `prepared_by`."""

    message: type[Message[Any, Any]]
    factory: Callable[..., Any]
    prepares: bool
