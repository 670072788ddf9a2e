"""An investment account's rows, positions and securities (OFX 2.3, sections 13.8.5, 13.9.2 and 13.9.3)."""

from collections.abc import Iterable
from datetime import date
from decimal import Context, Decimal
from functools import reduce
from typing import Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import InvestmentAction as Does
from dashtam_core.accounts import SecurityScheme, SecurityType
from dashtam_core.accounts import TransactionType as Type
from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import Warnings
from dashtam_files._values import NO_CURRENCY, Amounts, currency, money
from dashtam_files.ofx._record import Record, record
from dashtam_files.ofx._rows import Rows

_KINDS: Final = {
    "BUY": (Does.BUY, Type.DEBIT),
    "SELL": (Does.SELL, Type.CREDIT),
    "REINVEST": (Does.REINVEST, Type.DEBIT),
    "INVEXPENSE": (Does.FEE, Type.FEE),
    "MARGININTEREST": (Does.MARGIN_INTEREST, Type.INT),
    "RETOFCAP": (Does.RETURN_OF_CAPITAL, Type.CREDIT),
    "SPLIT": (Does.SPLIT, Type.OTHER),
    **dict.fromkeys(("JRNLFUND", "JRNLSEC"), (Does.OTHER, Type.XFER)),
    # INCOMETYPE, TFERACTION and OPTACTION
    "DIV": (Does.DIVIDEND, Type.DIV),
    "INTEREST": (Does.INTEREST, Type.INT),
    **dict.fromkeys(("CGLONG", "CGSHORT"), (Does.CAPITAL_GAIN, Type.CREDIT)),
    "MISC": (Does.OTHER, Type.CREDIT),
    "IN": (Does.TRANSFER_IN, Type.XFER),
    "OUT": (Does.TRANSFER_OUT, Type.XFER),
    **dict.fromkeys(("EXERCISE", "ASSIGN"), (Does.OPTION_EXERCISE, Type.OTHER)),
    "EXPIRE": (Does.OPTION_EXPIRE, Type.OTHER),
}
_SCHEMES: Final = {member.value: member for member in SecurityScheme}
_MOST_TELLING: Final = list(SecurityScheme)
_SECURITIES: Final = {
    "MF": SecurityType.MUTUALFUND,
    "STOCK": SecurityType.STOCK,
    "DEBT": SecurityType.DEBT,
    "OPT": SecurityType.OPTION,
}
_TOLD_BY: Final = {"INCOME": "INCOMETYPE", "TRANSFER": "TFERACTION", "CLOSUREOPT": "OPTACTION"}
_UNITS_ONLY: Final = {"TRANSFER", "JRNLSEC", "CLOSUREOPT", "SPLIT"}
_EXACT: Final = Context(prec=200)


@attrs.frozen
class Securities:
    """The entries of a document's SECLIST, by UNIQUEID."""

    _listed: dict[str, model.SecurityData]

    @classmethod
    def read(cls, entries: Iterable[tuple[str, str]], amounts: Amounts, warnings: Warnings) -> "Securities":
        """Of several entries with one id the first counts."""
        listed: dict[str, model.SecurityData] = {}
        for number, (tag, body) in enumerate(entries, 1):
            entry = record(body, f"security {number}", amounts, warnings)
            if id_ := entry.text("UNIQUEID"):
                listed.setdefault(id_, _security(entry, id_, tag.removesuffix("INFO")))
        return cls(listed)

    def named_by(self, row: Record, tag: str) -> model.SecurityData | None:
        """The security of a row or a position: as it is listed, else as far as the row tells."""
        if not (id_ := row.text("UNIQUEID")):
            return None
        kind = tag.removeprefix("BUY").removeprefix("SELL").removeprefix("POS")
        return self._listed.get(id_) or _security(row, id_, "OPT" if tag == "CLOSUREOPT" else kind)


def _security(named: Record, id_: str, kind: str) -> model.SecurityData:
    scheme = _SCHEMES.get((named.text("UNIQUEIDTYPE") or "").upper(), SecurityScheme.OTHER)
    ids = {model.SecurityId(scheme, id_)}
    if ticker := named.text("TICKER"):
        ids.add(model.SecurityId(SecurityScheme.TICKER, ticker))
    symbol = named.text("CURRENCY.CURSYM") if named.text("SECNAME") else None
    return model.SecurityData(
        ids=tuple(sorted(ids, key=lambda each: _MOST_TELLING.index(each.scheme))),
        name=named.text("SECNAME"),
        type=_SECURITIES.get(kind, SecurityType.OTHER),
        currency=currency(symbol) if symbol else None,
    )


@attrs.define
class Investments:
    """Reads the rows and positions of one account. `as_of` is the statement's day."""

    rows: Rows
    securities: Securities
    as_of: date | None
    holdings: list[model.HoldingData] = attrs.Factory(list[model.HoldingData])
    _positions: int = 0

    def add(self, tag: str, body: str) -> None:
        """Reads one row of INVTRANLIST or one position of INVPOSLIST."""
        if tag.startswith("POS"):
            self._positions += 1
            self._add_position(tag, self._record(body, f"{self.rows.where}, position {self._positions}"))
        else:
            self._add_row(tag, self._record(body, self.rows.place()))

    def _record(self, body: str, where: str) -> Record:
        return record(body, where, self.rows.amounts, self.rows.warnings)

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
            model.TransactionData(
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
                counterparty=model.Counterparty(account=other) if other else None,
                reversal=row.text("REVERSALFITID") is not None,
                details=_journal(row, Money(total, unit)) if within else (),
                investment=model.InvestmentDetail(
                    action=action,
                    security=self.securities.named_by(row, tag),
                    units=_units(tag, row, total),
                    unit_price=money(row.number("UNITPRICE"), unit),
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
        self.holdings.append(
            model.HoldingData(
                security=security,
                as_of=as_of,
                units=units,
                unit_price=money(position.number("UNITPRICE"), unit),
                price_as_of=priced,
                market_value=money(position.number("MKTVAL"), unit),
            )
        )


def _total(tag: str, row: Record) -> Decimal | None:
    """The effect on cash: none where only units move, but for the cash that a split pays for fractions."""
    if tag not in _UNITS_ONLY:
        return row.amount("TOTAL")
    return (row.number("FRACCASH") if tag == "SPLIT" else None) or Decimal(0)


def _kind(tag: str, row: Record) -> tuple[Does, Type]:
    told = row.text(_TOLD_BY[tag]) if tag in _TOLD_BY else tag
    word = (told or "").upper()
    word = next((each for each in ("BUY", "SELL") if word.startswith(each)), word)
    known = row.unless_read(_KINDS.get(word), "investment_action_unknown", f"{tag} {told or ''}".strip())
    return known or (Does.OTHER, Type.OTHER)


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
        sign = {"IN": 1, "OUT": -1}.get((row.text("TFERACTION") or "").upper(), 0)
        return units.copy_sign(sign) if sign else units
    if tag.startswith(("BUY", "SELL")) and not (total and (total > 0) is not (units > 0)):
        buys = tag.startswith("BUY")
        if total and (total > 0) is buys:
            row.warn("total_sign_unusual", row.text("TOTAL"))
        return units.copy_sign(1 if buys else -1)
    return units


def _paid(row: Record, unit: Currency, *tags: str) -> Money | None:
    """What was paid under these names together, as a positive amount."""
    printed = [number for number in map(row.number, tags) if number is not None]
    return money(_sum(row, *(number.copy_abs() for number in printed)), unit) if printed else None


def _sum(row: Record, first: Decimal, *others: Decimal) -> Decimal | None:
    """The exact sum, unless it has more digits than any amount."""
    total = reduce(_EXACT.add, others, first)
    try:
        return Money(total, NO_CURRENCY).amount
    except ValueError:
        row.warn("number_unreadable", str(total))
        return None


def _journal(row: Record, moved: Money) -> tuple[model.TransactionPart, ...]:
    """Cash between two parts of the account: its balance is as before."""
    out = Money(moved.amount.copy_abs(), moved.currency)
    return (
        model.TransactionPart(amount=-out, description=row.text("SUBACCTFROM")),
        model.TransactionPart(amount=out, description=row.text("SUBACCTTO")),
    )
