"""One STMTTRN or STMTTRNP into a transaction (OFX 2.3, sections 11.4.4.1 and 11.4.5)."""

import re
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final

import attrs

from dashtam_core.accounts import TransactionData, TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from dashtam_files._text import MAX_FIELD, plain
from dashtam_files._values import NO_CURRENCY, Amounts, currency, day_and_instant
from dashtam_files._warnings import Warnings

_ELEMENT: Final = re.compile(r"<([A-Z0-9._-]+)>([^<]*)")
_TOKEN: Final = re.compile(r"<(/?)([A-Z0-9._-]+)>([^<]*)")
_OWN: Final = frozenset(
    {"TRNTYPE", "DTPOSTED", "DTUSER", "DTAVAIL", "DTTRAN", "DTEXPIRE", "TRNAMT", "FITID", "SRVRTID", "CHECKNUM"}
    | {"REFNUM", "SIC", "PAYEEID", "NAME", "EXTDNAME", "MEMO", "MEMO2"}
)
_TYPES: Final = {member.value: member for member in TransactionType}
_MCC: Final = re.compile(r"(?!0000)\d{4}", re.ASCII)
_WIDE: Final = Context(prec=80)

type _Get = Callable[..., str | None]


@attrs.frozen
class Rows:
    """Reads the rows of one statement. `currency` is the account's, in which amounts are unless a row says so."""

    where: str
    currency: Currency
    amounts: Amounts
    warnings: Warnings

    def read(self, bodies: list[tuple[bool, str]]) -> tuple[TransactionData, ...]:
        """The transactions, in order. A row without a readable day or amount is reported and left out."""
        rows = (self._row(body, number, pending) for number, (pending, body) in enumerate(bodies, 1))
        return tuple(row for row in rows if row is not None)

    def _row(self, body: str, number: int, pending: bool) -> TransactionData | None:
        get = self._fields(body, number).get
        posted, posted_at = day_and_instant(printed := get("DTTRAN" if pending else "DTPOSTED", ""))
        if posted is None:
            self._warn("transaction_date_unreadable", number, printed)
            return None
        amount = self.amounts.read(get("TRNAMT", ""))
        if amount is None:
            self._warn("transaction_amount_unreadable", number, get("TRNAMT"))
            return None
        if (corrected := get("CORRECTFITID")) and self._is_deletion(corrected, get("CORRECTACTION", ""), number):
            return None
        money, original, rate = self._money(amount, get, number)
        payee = get("NAME") or get("PAYEE.NAME") or get("PAYEE") or get("EXTDNAME") or None
        memo = " ".join(filter(None, (get("MEMO"), get("MEMO2")))) or None
        return TransactionData(
            posted_date=posted,
            amount=money,
            type=_TYPES.get(get("TRNTYPE", "")) or self._type(get("TRNTYPE", ""), number),
            status=TransactionStatus.PENDING if pending else TransactionStatus.POSTED,
            description=payee or memo,
            payee=payee,
            memo=memo,
            provider_transaction_id=get("FITID") or None,
            value_date=self._day(get("DTAVAIL"), number),
            transaction_date=self._day(get("DTUSER"), number),
            posted_at=posted_at,
            original_amount=original,
            exchange_rate=rate,
            mcc=mcc if (mcc := get("SIC")) and _MCC.fullmatch(mcc) else None,
            check_number=get("CHECKNUM") or None,
            reference=get("REFNUM") or None,
        )

    def _warn(self, rule: str, number: int, raw: str | None = None) -> None:
        self.warnings.add(rule, f"{self.where}, transaction {number}", raw)

    def _fields(self, body: str, number: int) -> dict[str, str]:
        pairs = _ELEMENT.findall(body)
        fields = dict(pairs)
        if len(fields) != len(pairs) or not _OWN.issuperset(fields):
            fields = _own_fields(body)
        clean = plain if "&" in body else str.strip
        fields = {tag: clean(value) for tag, value in fields.items()}
        return fields if len(body) <= MAX_FIELD else {tag: self._cut(tag, fields[tag], number) for tag in fields}

    def _cut(self, tag: str, value: str, number: int) -> str:
        if len(value) > MAX_FIELD:
            self._warn("text_cut", number, tag)
        return value[:MAX_FIELD]

    def _day(self, text: str | None, number: int) -> date | None:
        if not text or not text.strip("0"):
            return None
        day, _ = day_and_instant(text)
        if day is None:
            self._warn("date_unreadable", number, text)
        return day

    def _type(self, text: str, number: int) -> TransactionType:
        if known := _TYPES.get(text.upper()):
            return known
        self._warn("transaction_type_unknown", number, text)
        return TransactionType.OTHER

    def _is_deletion(self, corrected: str, action: str, number: int) -> bool:
        """Whether the row only takes an earlier one back; that, as any correction, is reported and not applied."""
        self._warn("correction_not_applied", number, f"{action} {corrected}")
        return action.upper() == "DELETE"

    def _money(self, amount: Decimal, get: _Get, number: int) -> tuple[Money, Money | None, Decimal | None]:
        """The amount, the amount before conversion, and the rate (OFX 2.3, section 5.2).

        CURRENCY says that TRNAMT is in CURSYM and was not converted, ORIGCURRENCY that it was converted from
        CURSYM to CURDEF. CURRATE is the ratio of CURDEF to CURSYM in both.
        """
        if symbol := get("CURRENCY.CURSYM") or get("CURRENCY"):
            unit = currency(symbol)
            if unit is None:
                self._warn("currency_unreadable", number, symbol)
            return Money(amount, unit or NO_CURRENCY), None, _rate(get("CURRENCY.CURRATE"))
        if symbol := get("ORIGCURRENCY.CURSYM") or get("ORIGCURRENCY"):
            rate = _rate(get("ORIGCURRENCY.CURRATE"))
            return Money(amount, self.currency), self._original(amount, symbol, rate, number), rate
        return Money(amount, self.currency), None, None

    def _original(self, amount: Decimal, symbol: str, rate: Decimal | None, number: int) -> Money | None:
        """The amount before conversion, which OFX does not print: TRNAMT / CURRATE at the currency's exponent.

        A rate of exactly 1 between two currencies is a placeholder, and gives none.
        """
        unit = currency(symbol)
        if unit == self.currency:
            return None
        if unit and unit.exponent is not None and rate and rate != 1:
            try:
                quotient = _WIDE.divide(amount, rate)
                return Money(quotient.quantize(Decimal(1).scaleb(-unit.exponent), ROUND_HALF_EVEN, _WIDE), unit)
            except (InvalidOperation, ValueError):
                pass
        self._warn("original_amount_unknown", number, symbol)
        return None


def _rate(text: str | None) -> Decimal | None:
    rate = Amounts().read(text) if text else None
    return rate if rate and rate > 0 else None


def _own_fields(body: str) -> dict[str, str]:
    """A row's fields where it holds aggregates or repeats itself; those in an aggregate are named `PAYEE.NAME`.

    Of a repeated field the first that says anything counts, but every MEMO is kept.
    """
    tokens = _TOKEN.findall(body)
    closed_at = {tag: at for at, (slash, tag, _) in enumerate(tokens) if slash}
    fields: dict[str, str] = {}
    inside = ""
    for at, (slash, tag, value) in enumerate(tokens):
        if slash:
            inside = "" if tag == inside else inside
        elif not inside and tag not in _OWN and not value.strip() and closed_at.get(tag, -1) > at + 1:
            inside = tag
        elif value := value.strip():
            key = f"{inside}.{tag}" if inside else tag
            seen = fields.get(key)
            fields[key] = value if not seen else f"{seen} {value}" if key == "MEMO" else seen
    return fields
