"""What SQLite keeps of Python's values, and back."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial, singledispatch
from sqlite3 import Row
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs

from dashtam_core.kernel import Currency, Money, amount_text

_currency: Final = lru_cache(maxsize=1024)(Currency)
_READERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    UUID: UUID,
    Currency: _currency,
    Decimal: Decimal,
    Mapping: json.loads,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


@singledispatch
def plain(value: Any, /) -> Any:
    """The value as SQLite keeps it: all that it says, as text that sorts. Half a surrogate pair becomes a `?`."""
    return value


plain.register(str, _text)
plain.register(UUID, str)
plain.register(Currency, str)
plain.register(Decimal, amount_text)
plain.register(date, date.isoformat)
plain.register(datetime, _instant)
for _kind in (Mapping, list, tuple):
    plain.register(_kind, partial(json.dumps, default=dict))


def read[T: attrs.AttrsInstance](row: Row, kind: type[T], /, **instead: Any) -> T:
    """An attrs value of the columns that are called as its fields, with `instead` for those that are not."""
    said = {name: reader(row[name]) for name, reader in _readers(kind) if name not in instead}
    return kind(**said, **instead)


def money(row: Row, which: str = "") -> Money | None:
    amount, unit = row[f"{which}amount"], row[f"{which}currency"]
    return None if amount is None else Money(Decimal(amount), _currency(unit))


def seconds_since(instant: str | None, /) -> float:
    """How long ago that was; 0 where there was nothing."""
    return 0.0 if instant is None else (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()


@lru_cache
def _readers(kind: type[attrs.AttrsInstance]) -> list[tuple[str, Callable[[Any], Any]]]:
    """How each field is read, by its type."""
    return [(name, _reader(hint)) for name, hint in get_type_hints(kind).items()]


def _reader(hint: Any) -> Callable[[Any], Any]:
    if NoneType in get_args(hint):
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    hint = getattr(hint, "__supertype__", hint)  # what a NewType is of
    hint = get_origin(hint) or hint
    reader = hint if isinstance(hint, type) and issubclass(hint, Enum) else _READERS.get(hint)
    return lambda value: value if value is None or reader is None else reader(value)
