"""The elements of one record, a row or an entry of a list, and how each is understood or reported."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

import attrs

from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import Warnings
from dashtam_files._text import MAX_FIELD
from dashtam_files._values import NO_CURRENCY, Amounts, currency, ofx_day
from dashtam_files.ofx._markup import plain

_ELEMENT: Final = re.compile(r"<([A-Z0-9._-]+)>([^<]*)")
_TOKEN: Final = re.compile(r"<(/?)([A-Z0-9._-]+)>([^<]*)")
# Aggregates that records of investments share.
_COMMON: Final = frozenset({"INVBUY", "INVSELL", "INVTRAN", "INVPOS", "SECINFO", "SECID"})
_WIDE: Final = Context(prec=80)

type Names = frozenset[str]


@attrs.frozen
class Record:
    """Reads the elements of one record. `where` is its place; what cannot be read is reported there, and None."""

    fields: Mapping[str, str]  # The elements that say anything.
    where: str
    amounts: Amounts
    warnings: Warnings

    def text(self, *tags: str) -> str | None:
        """The first of these elements that there is."""
        return next((self.fields[tag] for tag in tags if tag in self.fields), None)

    def warn(self, rule: str, raw: str | None = None) -> None:
        self.warnings.add(rule, self.where, raw)

    def unless_read[T](self, read: T | None, rule: str, raw: str | None) -> T | None:
        return self.warnings.unless_read(read, rule, self.where, raw)

    def booked(self, tag: str) -> tuple[date, datetime | None] | None:
        """The day and the instant that date the row, without which it is left out."""
        day, instant = ofx_day(printed := self.fields.get(tag, ""))
        if day is None:
            self.warn("transaction_date_unreadable", printed)
            return None
        return day, instant

    def amount(self, tag: str) -> Decimal | None:
        """The amount of the row, without which it is left out."""
        if (amount := self.amounts.read(self.fields.get(tag, ""))) is None:
            self.warn("transaction_amount_unreadable", self.fields.get(tag))
        return amount

    def number(self, tag: str) -> Decimal | None:
        """Any other number; one that is not printed is no fault."""
        if not (printed := self.fields.get(tag)):
            return None
        return self.unless_read(self.amounts.read(printed), "number_unreadable", f"{tag} {printed}")

    def day(self, tag: str) -> date | None:
        """Any other day; one that is not printed, or of zeros, is no fault."""
        if not (printed := self.fields.get(tag, "")).strip("0"):
            return None
        return self.unless_read(ofx_day(printed)[0], "date_unreadable", printed)

    def conversion(self, own: Currency) -> tuple[Currency, str | None, Decimal | None]:
        """The amount's currency, the one it was converted from, and the rate (OFX 2.3, section 5.2).

        CURRENCY says that amounts are in CURSYM and were not converted, ORIGCURRENCY that they were converted
        from CURSYM to CURDEF, which is `own`. CURRATE is the ratio of CURDEF to CURSYM in both.
        """
        get = self.fields.get
        if symbol := get("CURRENCY.CURSYM") or get("CURRENCY"):
            unit = self.unless_read(currency(symbol), "currency_unreadable", symbol)
            return unit or NO_CURRENCY, None, _rate(get("CURRENCY.CURRATE"))
        symbol = get("ORIGCURRENCY.CURSYM") or get("ORIGCURRENCY")
        return own, symbol, _rate(get("ORIGCURRENCY.CURRATE")) if symbol else None

    def original(self, amount: Money, symbol: str | None, rate: Decimal | None) -> Money | None:
        """The amount before conversion, which OFX does not print: amount / CURRATE at the currency's exponent.

        A rate of exactly 1 between two currencies is a placeholder, and gives none.
        """
        if symbol is None or (unit := currency(symbol)) == amount.currency:
            return None
        if unit and unit.exponent is not None and rate and rate != 1:
            try:
                quotient = _WIDE.divide(amount.amount, rate)
                return Money(quotient.quantize(Decimal(1).scaleb(-unit.exponent), ROUND_HALF_EVEN, _WIDE), unit)
            except (InvalidOperation, ValueError):
                pass
        self.warn("original_amount_unknown", symbol)
        return None


def _rate(text: str | None) -> Decimal | None:
    rate = Amounts().read(text) if text else None
    return rate if rate and rate > 0 else None


def record(body: str, where: str, amounts: Amounts, warnings: Warnings, own: Names = frozenset()) -> Record:
    """The elements between a record's tags. `own` are the known ones; with none, `_COMMON` is seen through."""
    pairs = _ELEMENT.findall(body)
    fields = dict(pairs)
    if len(fields) != len(pairs) or not own.issuperset(fields):
        fields = _own_fields(body, own)
    clean = plain if "&" in body else str.strip
    fields = {tag: text for tag, value in fields.items() if (text := clean(value))}
    if len(body) > MAX_FIELD:
        fields |= {tag: warnings.whole(text, where, tag) for tag, text in fields.items()}
    return Record(fields, where, amounts, warnings)


def _own_fields(body: str, own: Names) -> dict[str, str]:
    """A record's fields where it holds aggregates or repeats itself; those in an aggregate are named `PAYEE.NAME`.

    Of a repeated field the first that says anything counts, but every MEMO is kept.
    """
    tokens = _TOKEN.findall(body)
    closed_at = {tag: at for at, (slash, tag, _) in enumerate(tokens) if slash}
    fields: dict[str, str] = {}
    inside = ""
    for at, (slash, tag, value) in enumerate(tokens):
        if slash:
            inside = "" if tag == inside else inside
        elif tag in _COMMON and not own and not inside:
            continue
        elif not inside and tag not in own and not value.strip() and closed_at.get(tag, -1) > at + 1:
            inside = tag
        elif value := value.strip():
            key = f"{inside}.{tag}" if inside else tag
            seen = fields.get(key)
            fields[key] = value if not seen else f"{seen} {value}" if key == "MEMO" else seen
    return fields
