"""Fields that everything logged meanwhile has: whose request it is, which command, which attempt."""

from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import Any, Final

_bound: Final[ContextVar[Mapping[str, object]]] = ContextVar("dashtam_core.logs.bound", default={})  # noqa: B039 - read only


class bound:  # noqa: N801 - used like a function, as contextlib's are
    """Gives `fields` to every line logged inside the block, beneath the line's own and above an outer block's.

    They belong to the task: others that run at the same time have theirs, and one started inside inherits these.
    One block, one use.
    """

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token: Token[Mapping[str, object]] = _bound.set({**_bound.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def merge_bound(_logger: Any, _method: str, line: Mapping[str, Any], /) -> dict[str, Any]:
    """The structlog processor for an application with a chain of its own: adds what is bound here."""
    return {**_bound.get(), **line}
