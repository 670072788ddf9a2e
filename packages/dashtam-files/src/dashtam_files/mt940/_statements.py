"""One message into an account with its rows and balances, and whether they add up."""

import re
from decimal import Decimal, localcontext
from typing import Final

import attrs

from dashtam_core.accounts import AccountBatch, AccountData, AccountType, BalanceData, BalanceKind
from dashtam_core.kernel import Currency, Money
from dashtam_files._amounts import NO_CURRENCY
from dashtam_files._text import MAX_FIELD
from dashtam_files._warnings import Warnings
from dashtam_files.mt940._details import ACCOUNT
from dashtam_files.mt940._messages import Message
from dashtam_files.mt940._rows import day_of, money, transactions

# SWIFT's 1!a6!n3!a15d. Its decimal mark is never left out: without it the line was cut.
_BALANCE: Final = re.compile(r"\s*([CD])(\d{6})([A-Z]{3})?\s*(\d{1,30}[.,]\d{0,8})\s*", re.ASCII)
_UNIT: Final = re.compile(r"\s*(?:[CD]\d{6}|\d{1,9})?(?P<unit>[A-Z]{3})[CD]?\d", re.ASCII)
_NUMBER: Final = re.compile(r"(.*\d)[\s/]*(?P<unit>[A-Z]{3})", re.ASCII)
_KINDS: Final = {
    ":60": BalanceKind.OPENING_BOOKED,
    ":62": BalanceKind.CLOSING_BOOKED,
    ":64": BalanceKind.CLOSING_AVAILABLE,
    ":65": BalanceKind.EXPECTED,
}


@attrs.define
class Statements:
    """Reads messages in their order, as a page of a statement begins where the one before it ended."""

    warnings: Warnings
    _where: str = ""
    _page: Money | None = None

    def read(self, message: Message, number: int) -> AccountBatch:
        self._where = f"statement {number}"
        account = self._account(message)
        balances = self._balances(message, account.currency)
        rows = tuple(transactions(message.entries, account.currency, self._where, self.warnings))
        with localcontext(prec=80):
            self._check(message, balances, sum(row.amount.amount for row in rows))
        return AccountBatch(account=account, transactions=rows, balances=tuple(balances.values()))

    def _account(self, message: Message) -> AccountData:
        """`BLZ/number`, `BIC/number` or an IBAN, each without the currency that some banks add to it."""
        printed = message.fields.get(":25", "").strip().partition("\n")[0][:MAX_FIELD].rstrip()
        alone = _NUMBER.fullmatch(printed)
        texts = [*(text for _, text in message.balances), *(message.fields.get(tag, "") for tag in (":90", ":34"))]
        named = next(filter(None, map(_UNIT.match, texts)), alone)
        unit = named["unit"] if named else None
        if not unit:
            self.warnings.add("currency_missing", self._where)
        if not printed:
            self.warnings.add("account_id_missing", self._where)
        bank, _, number = (alone[1] if alone and alone["unit"] == unit else printed).rpartition("/")
        return AccountData(
            provider_account_id=printed,
            account_type=AccountType.CHECKING,
            currency=Currency(unit) if unit else NO_CURRENCY,
            number=(number.replace(" ", "") if ACCOUNT.fullmatch(number) else number) or None,
            bank_id=bank or None,
        )

    def _balances(self, message: Message, unit: Currency) -> dict[str, BalanceData]:
        """By the beginning of the tag, but by the day for :65:. Of two alike the last counts."""
        balances: dict[str, BalanceData] = {}
        for tag, text in message.balances:
            found, kind = _BALANCE.fullmatch(text), tag[:3]
            as_of = day_of(found[2]) if found else None
            own = Currency(found[3]) if found and found[3] else unit
            if found and as_of and (amount := money(found[4], own, debit=found[1] == "D")):
                key = found[2] if kind == ":65" else kind
                balances[key] = BalanceData(kind=_KINDS[kind], as_of=as_of, amount=amount)
            else:
                self.warnings.add("balance_unreadable", f"{self._where}, {tag}", text)
        return balances

    def _check(self, message: Message, balances: dict[str, BalanceData], total: Decimal | int) -> None:
        """Opening balance and rows make the closing balance; a page opens with what the one before closed with."""
        opening, closing = balances.get(":60"), balances.get(":62")
        if opening and closing and opening.amount.currency == closing.amount.currency:
            if difference := closing.amount.amount - opening.amount.amount - total:
                self.warnings.add("balance_mismatch", self._where, format(difference, "f"))
        elif not closing and message.type not in {"941", "942"}:
            self.warnings.add("closing_balance_missing", self._where)
        tags = dict(message.balances)
        if ":60M:" in tags and opening and self._page not in {None, opening.amount}:
            self.warnings.add("page_missing", self._where, str(opening.amount))
        self._page = closing.amount if ":62M:" in tags and closing else None
