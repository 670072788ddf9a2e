"""The rows and positions of an investment account (OFX 2.3, sections 13.9.2 and 13.9.3)."""

from datetime import date
from decimal import Context, Decimal
from functools import reduce
from typing import Final

import attrs

from dashtam_core.accounts import (
    Counterparty,
    HoldingData,
    InvestmentAction,
    InvestmentDetail,
    TransactionData,
    TransactionPart,
    TransactionType,
)
from dashtam_core.kernel import Currency, Money
from dashtam_files._amounts import NO_CURRENCY
from dashtam_files.ofx._record import Record, record
from dashtam_files.ofx._rows import Rows
from dashtam_files.ofx._securities import SEEN_THROUGH, Securities

_KINDS: Final = {
    "BUY": (InvestmentAction.BUY, TransactionType.DEBIT),
    "SELL": (InvestmentAction.SELL, TransactionType.CREDIT),
    "REINVEST": (InvestmentAction.REINVEST, TransactionType.DEBIT),
    "INVEXPENSE": (InvestmentAction.FEE, TransactionType.FEE),
    "MARGININTEREST": (InvestmentAction.MARGIN_INTEREST, TransactionType.INT),
    "RETOFCAP": (InvestmentAction.RETURN_OF_CAPITAL, TransactionType.CREDIT),
    "SPLIT": (InvestmentAction.SPLIT, TransactionType.OTHER),
    "JRNLFUND": (InvestmentAction.OTHER, TransactionType.XFER),
    "JRNLSEC": (InvestmentAction.OTHER, TransactionType.XFER),
    # INCOMETYPE, TFERACTION and OPTACTION
    "DIV": (InvestmentAction.DIVIDEND, TransactionType.DIV),
    "INTEREST": (InvestmentAction.INTEREST, TransactionType.INT),
    "CGLONG": (InvestmentAction.CAPITAL_GAIN, TransactionType.CREDIT),
    "CGSHORT": (InvestmentAction.CAPITAL_GAIN, TransactionType.CREDIT),
    "MISC": (InvestmentAction.OTHER, TransactionType.CREDIT),
    "IN": (InvestmentAction.TRANSFER_IN, TransactionType.XFER),
    "OUT": (InvestmentAction.TRANSFER_OUT, TransactionType.XFER),
    "EXERCISE": (InvestmentAction.OPTION_EXERCISE, TransactionType.OTHER),
    "ASSIGN": (InvestmentAction.OPTION_EXERCISE, TransactionType.OTHER),
    "EXPIRE": (InvestmentAction.OPTION_EXPIRE, TransactionType.OTHER),
}
_TOLD_BY: Final = {"INCOME": "INCOMETYPE", "TRANSFER": "TFERACTION", "CLOSUREOPT": "OPTACTION"}
_UNITS_ONLY: Final = {"TRANSFER", "JRNLSEC", "CLOSUREOPT", "SPLIT"}
_EXACT: Final = Context(prec=200)


@attrs.define
class Investments:
    """Reads the rows and positions of one account. `as_of` is the statement's day."""

    rows: Rows
    securities: Securities
    as_of: date | None
    holdings: list[HoldingData] = attrs.Factory(list[HoldingData])
    _positions: int = 0

    def add(self, tag: str, body: str) -> None:
        """Reads one row of INVTRANLIST or one position of INVPOSLIST."""
        if tag.startswith("POS"):
            self._positions += 1
            self._add_position(tag, self._record(body, f"{self.rows.where}, position {self._positions}"))
        else:
            self._add_row(tag, self._record(body, self.rows.place()))

    def _record(self, body: str, where: str) -> Record:
        return record(body, where, self.rows.amounts, self.rows.warnings, own=frozenset(), through=SEEN_THROUGH)

    def _add_row(self, tag: str, row: Record) -> None:
        booked = row.booked("DTTRADE")
        if booked is None or (total := _total(tag, row)) is None:
            return
        unit, foreign, rate = row.conversion(self.rows.currency)
        within = tag == "JRNLFUND"
        amount = Money(Decimal(0) if within else total, unit)
        action, type_ = _kind(tag, row)
        memo, other = row.text("MEMO"), row.text("INVACCTFROM.ACCTID")
        self.rows.read.append(
            TransactionData(
                posted_date=booked[0],
                amount=amount,
                type=type_,
                description=memo,
                memo=memo,
                provider_transaction_id=row.text("FITID"),
                posted_at=booked[1],
                original_amount=row.original(amount, foreign, rate) if amount.amount else None,
                exchange_rate=rate,
                reference=row.text("REVERSALFITID", "RELFITID"),
                counterparty=Counterparty(account=other) if other else None,
                reversal=row.text("REVERSALFITID") is not None,
                details=_journal(row, Money(total, unit)) if within else (),
                investment=InvestmentDetail(
                    action=action,
                    security=self.securities.named_by(row, tag),
                    units=_units(tag, row, total),
                    unit_price=_price(row, unit),
                    commission=_paid(row, unit, "COMMISSION"),
                    fees=_paid(row, unit, "FEES", "LOAD"),
                    taxes=_paid(row, unit, "TAXES", "WITHHOLDING", "STATEWITHHOLDING"),
                    settle_date=row.day("DTSETTLE"),
                ),
            )
        )

    def _add_position(self, tag: str, position: Record) -> None:
        security, units = self.securities.named_by(position, tag), position.number("UNITS")
        priced = position.day("DTPRICEASOF")
        as_of = self.as_of or priced
        if security is None or units is None or as_of is None:
            position.warn("position_incomplete", position.text("UNIQUEID"))
            return
        if (position.text("POSTYPE") or "").upper() == "SHORT":
            units = -abs(units) if units else units
        unit, _, _ = position.conversion(self.rows.currency)
        value = position.number("MKTVAL")
        self.holdings.append(
            HoldingData(
                security=security,
                as_of=as_of,
                units=units,
                unit_price=_price(position, unit),
                price_as_of=priced,
                market_value=None if value is None else Money(value, unit),
            )
        )


def _total(tag: str, row: Record) -> Decimal | None:
    """The effect on cash: none where only units move, but for the cash that a split pays for fractions."""
    if tag not in _UNITS_ONLY:
        return row.amount("TOTAL")
    return (row.number("FRACCASH") if tag == "SPLIT" else None) or Decimal(0)


def _kind(tag: str, row: Record) -> tuple[InvestmentAction, TransactionType]:
    told = row.text(_TOLD_BY[tag]) if tag in _TOLD_BY else tag
    word = (told or "").upper()
    word = next((each for each in ("BUY", "SELL") if word.startswith(each)), word)
    if known := _KINDS.get(word):
        return known
    row.warn("investment_action_unknown", f"{tag} {told or ''}".strip())
    return InvestmentAction.OTHER, TransactionType.OTHER


def _units(tag: str, row: Record, total: Decimal) -> Decimal | None:
    """The effect on the position, whatever sign is printed: the standard's is by the kind of row."""
    if tag == "SPLIT":
        old, new = row.number("OLDUNITS"), row.number("NEWUNITS")
        return None if old is None or new is None else _sum(row, new, old.copy_negate())
    if not (units := row.number("UNITS")):
        return units
    if tag == "JRNLSEC":  # from one part of the account to another
        return Decimal(0)
    if tag == "TRANSFER" and (row.text("POSTYPE") or "").upper() != "SHORT":
        return _signed(units, {"IN": 1, "OUT": -1}.get((row.text("TFERACTION") or "").upper(), 0))
    if tag.startswith(("BUY", "SELL")) and not (total and (total > 0) is not (units > 0)):
        buys = tag.startswith("BUY")
        if total and (total > 0) is buys:
            row.warn("total_sign_unusual", row.text("TOTAL"))
        return _signed(units, 1 if buys else -1)
    return units


def _signed(units: Decimal, sign: int) -> Decimal:
    return units.copy_sign(Decimal(sign)) if sign else units


def _price(row: Record, unit: Currency) -> Money | None:
    price = row.number("UNITPRICE")
    return None if price is None else Money(price, unit)


def _paid(row: Record, unit: Currency, *tags: str) -> Money | None:
    """What was paid under these names together, as a positive amount."""
    printed = [number for number in map(row.number, tags) if number is not None]
    total = _sum(row, *(number.copy_abs() for number in printed)) if printed else None
    return None if total is None else Money(total, unit)


def _sum(row: Record, first: Decimal, *others: Decimal) -> Decimal | None:
    """The exact sum, unless it has more digits than any amount."""
    total = reduce(_EXACT.add, others, first)
    try:
        return Money(total, NO_CURRENCY).amount
    except ValueError:
        row.warn("number_unreadable", str(total))
        return None


def _journal(row: Record, moved: Money) -> tuple[TransactionPart, ...]:
    """Cash between two parts of the account: its balance is as before."""
    out = Money(moved.amount.copy_abs(), moved.currency)
    return (
        TransactionPart(amount=-out, description=row.text("SUBACCTFROM")),
        TransactionPart(amount=out, description=row.text("SUBACCTTO")),
    )
