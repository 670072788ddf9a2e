"""What a line shows of values: nothing secret by a field's name, a value's type or a text's looks."""

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import isfinite
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from dashtam_core.logs._patterns import HIDDEN, cleaned, is_account, is_secret, last_four

TRACEBACKS: Final = ("exception", "stack")
_MAX_TRACEBACK: Final = 16 * 1024
_MAX_TEXT: Final = 4 * 1024
_MAX_KEY: Final = 128
_MAX_DEPTH: Final = 8
_MAX_VALUES: Final = 1_000
_MIN_CARD: Final = 10**12

# Any, because narrowing to them would make what they hold unknown to the type checkers.
MAPPING: Final[Any] = Mapping
_TUPLE: Final[Any] = tuple
BINARY: Final[Any] = (bytes, bytearray, memoryview)
CONTAINERS: Final[Any] = (Mapping, list, tuple, set, frozenset)
_TEXTS: Final[tuple[tuple[Any, Callable[[Any], str]], ...]] = (
    (BINARY, lambda value: f"<{memoryview(value).nbytes} bytes>"),
    (BaseException, lambda error: f"{type(error).__name__}: {error}"),
    (Enum, lambda member: member.value if isinstance(member.value, str) else member.name),
    ((date, time), lambda when: when.isoformat()),
    ((Decimal, PurePath, UUID, timedelta), str),
    (object, repr),
)


def redact(_logger: Any, _method: str, line: Mapping[str, Any], /) -> dict[str, Any]:
    """The structlog processor that leaves no secret in a line, and only what JSON has. Last but the renderer."""
    return _Walk().fields(line, 0)


def shown(value: object, /) -> object:
    """One value as a line shows it."""
    return _Walk().value(value, 0)


class _Walk:
    """The way through the values of one line, of which a thousand are shown."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def value(self, value: object, depth: int, limit: int = _MAX_TEXT) -> object:
        """The value; of one that cannot be shown, its type."""
        self._left -= 1
        try:
            return self._value(value, depth, limit)
        except Exception as error:  # noqa: BLE001 - a foreign repr may raise anything, and a log must not
            return f"<{type(value).__name__} not shown: {type(error).__name__}>"

    def _value(self, value: object, depth: int, limit: int) -> object:
        if isinstance(value, str):
            return cleaned(str.__str__(value), limit)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return _number(float(value) if isinstance(value, float) else int(value))
        if isinstance(value, CONTAINERS):
            return self._contents(value, depth + 1)
        text = next(text for kinds, text in _TEXTS if isinstance(value, kinds))
        return cleaned(text(value), limit)

    def _contents(self, value: Any, depth: int) -> object:
        if depth > _MAX_DEPTH:
            return f"<{type(value).__name__}>"
        if isinstance(value, MAPPING):
            return self.fields(value, depth)
        if hasattr(value, "_asdict"):
            return self.fields(value._asdict(), depth)
        if isinstance(value, _TUPLE) and len(value) == len(("name", "value")) and is_secret(_name(value[0])):
            return [_name(value[0]), HIDDEN]
        some = [self.value(each, depth) for each in islice(value, max(self._left, 0))]
        return some if len(some) == len(value) else [*some, f"… {len(value) - len(some)} more"]

    def fields(self, fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Names with their values; depth 0 is the line itself."""
        some: dict[str, Any] = {}
        for key, value in islice(fields.items(), max(self._left, 0)):
            name = _name(key)
            some[cleaned(name, _MAX_KEY)] = self._field(name, value, depth)
        return some if self._left > 0 else some | {"…": "more"}

    def _field(self, name: str, value: object, depth: int) -> object:
        if is_secret(name):
            return value if value is None or isinstance(value, bool) else HIDDEN
        limit = _MAX_TRACEBACK if depth == 0 and name in TRACEBACKS else _MAX_TEXT
        shown = self.value(value, depth, limit)
        return last_four(str(shown)) if is_account(name) and isinstance(shown, str | int) else shown


def _name(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _number(value: float) -> object:
    """The number, unless it is one of a card or none."""
    if abs(value) < _MIN_CARD:
        return value
    masked = cleaned(text := str(value), _MAX_TEXT)
    return value if masked == text and isfinite(value) else masked
