"""One record into a transaction: of an investment its action (N) says what it does to cash and position."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import InvestmentAction as Does
from dashtam_core.accounts import TransactionType as Type
from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import Warnings, paced
from dashtam_files._values import Amounts, money
from dashtam_files.qif._days import DayOrder, day
from dashtam_files.qif._records import Record

_TRANSFER: Final = re.compile(r"\[.*\](?:/.*)?", re.DOTALL)
_TYPES: Final = {"atm": Type.ATM, "dep": Type.DEP, "deposit": Type.DEP, "pos": Type.POS, "txfr": Type.XFER}


@attrs.frozen
class Action:
    """`cash` is -1 where T leaves the account, 1 where T has its own sign, 0 where T is no cash; `units` alike."""

    does: Does
    type: Type
    cash: int
    units: int = 0


_CASH: Final = Action(Does.OTHER, Type.OTHER, 1)
_NAMED: Final = {
    "buy cvrshrt kauf": Action(Does.BUY, Type.DEBIT, -1, 1),
    "sell shtsell verkauf": Action(Does.SELL, Type.CREDIT, 1, -1),
    "div": Action(Does.DIVIDEND, Type.DIV, 1),
    "intinc zinsen": Action(Does.INTEREST, Type.INT, 1),
    "cglong cgmid cgshort kapgew": Action(Does.CAPITAL_GAIN, Type.CREDIT, 1),
    "reinvdiv reinvint reinvlg reinvmd reinvsh reinvsg": Action(Does.REINVEST, Type.OTHER, 0, 1),
    "rtrncap": Action(Does.RETURN_OF_CAPITAL, Type.CREDIT, 1),
    "miscexp": Action(Does.FEE, Type.FEE, -1),
    "margint": Action(Does.MARGIN_INTEREST, Type.INT, -1),
    "xin contrib": Action(Does.TRANSFER_IN, Type.XFER, 1),
    "xout withdrw": Action(Does.TRANSFER_OUT, Type.XFER, -1),
    "shrsin aktzu": Action(Does.TRANSFER_IN, Type.OTHER, 0, 1),
    "shrsout aktab": Action(Does.TRANSFER_OUT, Type.OTHER, 0, -1),
    "stksplit aktsplit": Action(Does.SPLIT, Type.OTHER, 0),
    "miscinc": Action(Does.OTHER, Type.OTHER, 1),
    "cash": _CASH,
}
_ACTIONS: Final = {name: each for names, each in _NAMED.items() for name in names.split()}


@attrs.frozen
class Rows:
    """Reads records as the document means them. One without a readable day or amount is reported and left out."""

    amounts: Amounts
    order: DayOrder
    currency: Currency
    securities: Mapping[str, model.SecurityData]
    warnings: Warnings

    def read(self, records: Sequence[Record], where: str) -> tuple[model.TransactionData, ...]:
        rows = (self._row(each, f"{where}, transaction {n}") for n, each in enumerate(paced(records), 1))
        return tuple(row for row in rows if row is not None)

    def money(self, text: str | None, where: str, rule: str, sign: int = 0) -> Money | None:
        """The amount as printed, save for a `sign` of 1 or -1; a warning and None where it cannot be read."""
        if not text:
            return None
        amount = self.warnings.unless_read(self.amounts.read(text), rule, where, text)
        return money(amount.copy_sign(sign) if amount and sign else amount, self.currency)

    def calendar_day(self, text: str | None, where: str, rule: str) -> date | None:
        return self.warnings.unless_read(day(text or "", self.order), rule, where, text)

    def _row(self, record: Record, where: str) -> model.TransactionData | None:
        get = record.fields.get
        action = get("action", "cash").lower()  # `BuyX` is a `Buy` paid from another account
        known = _ACTIONS.get(action) or _ACTIONS.get(action.removesuffix("x"))
        if known is None:
            self.warnings.add("transaction_action_unknown", where, get("action"))
            return None
        posted = self.calendar_day(get("D"), where, "transaction_date_unreadable")
        amount = self._amount(get("T"), known, where)
        if posted is None or amount is None:
            return None
        number = get("N", "")
        is_check = number.isascii() and number.isdecimal()
        return model.TransactionData(
            posted_date=posted,
            amount=amount,
            type=_type(record.fields, amount) if known.type is Type.OTHER else known.type,
            description=get("P") or get("M") or " ".join(filter(None, map(get, ("N", "action", "Y")))) or get("L"),
            payee=get("P"),
            memo=get("M"),
            check_number=number if is_check else None,
            reference=None if is_check else get("N"),
            bank_transaction_code=get("action"),
            category=get("L"),
            details=tuple(self._part(each, where) for each in record.parts),
            investment=None if known is _CASH else self._investment(record.fields, known, where),
        )

    def _amount(self, text: str | None, known: Action, where: str) -> Money | None:
        """The effect on the cash: of an investment the action gives the sign, as T is positive for a `Buy`."""
        if not known.cash:
            return Money(Decimal(0), self.currency)
        if text is None:
            self.warnings.add("transaction_amount_missing", where)
        return self.money(text, where, "transaction_amount_unreadable", min(known.cash, 0))

    def _part(self, part: Mapping[str, str], where: str) -> model.TransactionPart:
        return model.TransactionPart(
            amount=self.money(part.get("$"), where, "split_amount_unreadable"),
            description=part.get("E"),
            category=part.get("S"),
        )

    def _investment(self, fields: Mapping[str, str], known: Action, where: str) -> model.InvestmentDetail:
        get, name = fields.get, fields.get("Y")
        units = self.money(get("Q"), where, "units_unreadable", known.units)
        if units and not known.units:
            self.warnings.add("quantity_not_kept", where, get("Q"))
        return model.InvestmentDetail(
            action=known.does,
            security=self.securities.get(name, model.SecurityData(name=name)) if name else None,
            units=units.amount if units and known.units else None,
            unit_price=self.money(get("I"), where, "unit_price_unreadable"),
            commission=self.money(get("O"), where, "commission_unreadable", 1),
        )


def _type(fields: Mapping[str, str], amount: Money) -> Type:
    if named := _TYPES.get(fields.get("N", "").lower()):
        return named
    if not amount.amount:
        return Type.OTHER
    if _TRANSFER.fullmatch(fields.get("L", "")):
        return Type.XFER
    return Type.DEBIT if amount.amount < 0 else Type.CREDIT
