"""Values as JSON and back: what outlives a process is kept in this form, never pickled."""

import hashlib
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from types import NoneType
from typing import TYPE_CHECKING, Any, get_origin
from uuid import UUID

if TYPE_CHECKING:
    from cattrs import Converter


def dump(value: Any, /) -> str:
    """`value` as JSON, in ASCII: attrs classes by their fields, money and ids as text, bytes in hexadecimal.

    Raises:
        TypeError: something in it has no form in JSON.
    """
    return json.dumps(_converter().unstructure(value), sort_keys=True, separators=(",", ":"))


def load(text: str, kind: Any, /) -> Any:
    """The value of this type that `dump` made the text of.

    Raises:
        ValueError: the text is not of that type; its class has changed since.
    """
    from cattrs.errors import BaseValidationError

    try:
        return _converter().structure(json.loads(text), kind)
    except (ArithmeticError, AttributeError, BaseValidationError, KeyError, TypeError) as error:
        raise ValueError(f"not a {getattr(kind, '__name__', kind)} as it is now") from error


def fingerprint(value: Any, /) -> bytes:
    """32 bytes that two values share only if they are the same."""
    text = json.dumps(_converter(bytes_as=_digest).unstructure(value), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def _converter(bytes_as: Callable[[bytes], str] = bytes.hex) -> "Converter":
    from cattrs import Converter

    made = Converter()
    register_json(made, bytes_as)
    made.register_unstructure_hook_func(lambda kind: frozenset in {kind, get_origin(kind)}, sorted)
    return made


def register_json(made: "Converter", bytes_as: Callable[[bytes], str] = bytes.hex, /) -> None:
    """Teaches a converter the plain values: exact types, ids and numbers as text, days as in ISO 8601."""
    for plain in (str, int, bool, NoneType):
        made.register_structure_hook(plain, _exactly)
    for written in (UUID, Decimal):
        made.register_unstructure_hook(written, partial(_as_text, written))
        made.register_structure_hook(written, lambda text, kind: kind(_exactly(text, str)))
    for dated in (date, datetime):
        made.register_unstructure_hook(dated, dated.isoformat)
        made.register_structure_hook(dated, lambda text, kind: kind.fromisoformat(text))
    made.register_unstructure_hook(bytes, bytes_as)
    made.register_structure_hook(bytes, lambda text, _: bytes.fromhex(text))


def _as_text(kind: type, value: object) -> str:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} is what the field holds, not {type(value).__name__}")
    return str(value)


def _exactly(value: Any, kind: Any) -> Any:
    """The value if it is of that very type: a number is no text, and nothing is neither. Enums come by value."""
    if issubclass(kind, Enum):
        return kind(value)
    if type(value) is not kind:
        raise TypeError(f"not a {kind.__name__}")
    return value
