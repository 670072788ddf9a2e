"""What SQLite keeps of Python's values, and back."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial, singledispatch
from sqlite3 import Row
from typing import Any, Final
from uuid import UUID

from cattrs import Converter

from dashtam_core.kernel import amount_text
from dashtam_core.messaging import register_json

_MADE: Final = Converter()
register_json(_MADE)
_MADE.register_structure_hook(bytes, lambda value, _: value)
_MADE.register_structure_hook_func(lambda t: getattr(t, "__name__", 0) == "Mapping", lambda v, _: json.loads(v))


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
plain.register(Decimal, amount_text)
plain.register(date, date.isoformat)
plain.register(datetime, _instant)
for _kind in (Mapping, list, tuple):
    plain.register(_kind, partial(json.dumps, default=dict))


def read[T](row: Row, kind: type[T], /, **instead: Any) -> T:
    """A value of the columns that are called as its fields, with `instead` for those that are kept otherwise."""
    return _MADE.structure({**dict(row), **instead}, kind)


def seconds_since(instant: str | None, /) -> float:
    """How long ago that was; 0 where there was nothing."""
    return 0.0 if instant is None else (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds()
