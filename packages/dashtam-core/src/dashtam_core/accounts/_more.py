"""The fields that few rows have, as one JSON text: what a store keeps in one column instead of seven."""

import json
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import attrs

from dashtam_core.accounts._batch import Counterparty, InvestmentDetail, TransactionData, TransactionPart
from dashtam_core.kernel import Currency, Money

if TYPE_CHECKING:
    from cattrs import Converter


@attrs.frozen(slots=True)
class _More:
    category: str | None = None
    counterparty: Counterparty | None = None
    details: tuple[TransactionPart, ...] = ()
    investment: InvestmentDetail | None = None
    mandate_id: str | None = None
    replaces: str | None = None
    reversal: bool = False


MORE: Final = tuple(field.name for field in attrs.fields(_More))
"""Which fields of a transaction they are."""
_fields: Final = attrgetter(*MORE)


def more_of(row: TransactionData, /) -> str | None:
    """These fields of a row as JSON in ASCII; None where it has none of them."""
    rare = row.category or row.counterparty or row.details or row.investment or row.mandate_id or row.replaces
    return to_json(_More(*_fields(row))) if rare or row.reversal else None


def from_more(text: str | None, /) -> dict[str, Any]:
    """The fields that `more_of` made the text of, by name; none are left out but those it did not have."""
    if text is None:
        return {}
    return dict(zip(MORE, _fields(from_json(text, _More)), strict=True))


def to_json(value: Any, /) -> str:
    """A value of this room as JSON in ASCII, without what is not known: for stores that keep it in one column."""
    return json.dumps(_converter().unstructure(value), separators=(",", ":"))


def from_json[T](text: str, kind: type[T], /) -> T:
    """The value of this type that `to_json` made the text of."""
    return _converter().structure(json.loads(text), kind)


@cache
def _converter() -> "Converter":
    from cattrs import Converter

    from dashtam_core.messaging import register_json

    made = Converter(omit_if_default=True)
    register_json(made)
    made.register_unstructure_hook(Money, lambda money: f"{money.amount} {money.currency.code}")
    made.register_structure_hook(Money, lambda text, _: _money(text))
    made.register_unstructure_hook(Currency, lambda currency: currency.code)
    made.register_structure_hook(Currency, lambda code, _: Currency(code))
    return made


def _money(text: str) -> Money:
    amount, _, code = text.partition(" ")
    return Money(Decimal(amount), Currency(code))
