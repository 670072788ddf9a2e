"""One statement response into an account with its rows and balances (OFX 2.3, sections 11.4 and 13.9)."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import attrs

from dashtam_core.accounts import AccountBatch, AccountData, AccountType, BalanceData, BalanceKind
from dashtam_core.kernel import Currency, DateRange, Money
from dashtam_files._amounts import NO_CURRENCY, Amounts, currency
from dashtam_files._warnings import Warnings
from dashtam_files.ofx._days import day_and_instant
from dashtam_files.ofx._investments import Investments
from dashtam_files.ofx._outline import Response
from dashtam_files.ofx._record import record
from dashtam_files.ofx._rows import Rows
from dashtam_files.ofx._securities import Securities

_TYPES: Final = {member.value: member for member in AccountType}
_RETIREMENT: Final = {"INV401K", "INV401KBAL"}
# The element with the amount, and the one with its day.
_BALANCES: Final = {
    BalanceKind.LEDGER: ("LEDGERBAL.BALAMT", "LEDGERBAL.DTASOF"),
    BalanceKind.AVAILABLE: ("AVAILBAL.BALAMT", "AVAILBAL.DTASOF"),
    BalanceKind.CASH: ("INVBAL.AVAILCASH", ".DTASOF"),
    BalanceKind.MARGIN: ("INVBAL.MARGINBALANCE", ".DTASOF"),
}
_CLOSING: Final = frozenset({"FITID", "DTOPEN", "DTCLOSE", "DTNEXT", "BALOPEN", "BALCLOSE", "BALMIN"})


@attrs.frozen
class Accounts:
    """Makes accounts of responses once the whole document is known."""

    amounts: Amounts
    warnings: Warnings
    securities: Securities

    def read(self, response: Response) -> AccountBatch:
        account = self._account(response)
        rows = response.rows or Rows(response.where, account.currency, self.amounts, self.warnings)
        investments = Investments(rows, self.securities, _as_of(response))
        closings = list[BalanceData]()
        for tag, body in response.records:
            if tag.startswith("STMTTRN"):
                rows.add(tag, body)
            elif tag.endswith("CLOSING"):
                closings += self._closing(response, body, account.currency)
            else:
                investments.add(tag, body)
        return AccountBatch(
            account=account,
            transactions=tuple(rows.read),
            balances=(*self._balances(response, account.currency), *closings),
            holdings=tuple(investments.holdings),
            covered_window=self._window(response),
        )

    def _account(self, response: Response) -> AccountData:
        get = response.fields.get
        number = get("ACCTID")
        if not number:
            self.warnings.add("account_id_missing", response.where)
        return AccountData(
            provider_account_id=number or "",
            account_type=self._type(response),
            currency=self._currency(response),
            number=number or None,
            bank_id="/".join(filter(None, (get("BANKID") or get("BROKERID"), get("BRANCHID")))) or None,
            institution=response.institution,
            institution_id=response.institution_id,
        )

    def _type(self, response: Response) -> AccountType:
        fields = response.fields
        if response.tag.startswith("CC") or "CCACCTFROM.ACCTID" in fields:
            return AccountType.CREDITCARD
        if response.tag == "INVSTMTRS" or "INVACCTFROM.ACCTID" in fields:
            return AccountType.INVESTMENT if _RETIREMENT.isdisjoint(fields) else AccountType.RETIREMENT
        printed = fields.get("ACCTTYPE", "")
        known = _TYPES.get(printed.upper())
        if known is None:
            self.warnings.add("account_type_unknown", response.where, printed)
        return known or AccountType.OTHER

    def _currency(self, response: Response) -> Currency:
        printed = response.fields.get("CURDEF", "")
        known = currency(printed)
        if known is None:
            self.warnings.add("currency_unreadable" if printed else "currency_missing", response.where, printed)
        return known or NO_CURRENCY

    def _balances(self, response: Response, unit: Currency) -> Iterator[BalanceData]:
        get = response.fields.get
        for kind, (amount, day) in _BALANCES.items():
            if (printed := get(amount)) is not None:
                place = f"{response.where}, {amount.partition('.')[0]}"
                yield from self._balance(kind, printed, unit, get(day, get("DTEND", "")), place)

    def _closing(self, response: Response, body: str, unit: Currency) -> Iterator[BalanceData]:
        """The balance that a closing statement ends with (OFX 2.3, section 11.5.2).

        What it opened with is left out: the rows in between are not in it, so the two prove nothing.
        """
        closing = record(body, f"{response.where}, CLOSING", self.amounts, self.warnings, own=_CLOSING)
        printed, dated = closing.fields.get("BALCLOSE", ""), closing.fields.get("DTCLOSE", "")
        yield from self._balance(
            BalanceKind.CLOSING_BOOKED, printed, closing.conversion(unit)[0], dated, closing.where
        )

    def _balance(
        self, kind: BalanceKind, printed: str, unit: Currency, dated: str, place: str
    ) -> Iterator[BalanceData]:
        amount = self.amounts.read(printed)
        as_of, reported_at = day_and_instant(dated)
        if amount is None:
            self.warnings.add("balance_amount_unreadable", place, printed)
        elif as_of is None:
            self.warnings.add("balance_date_unreadable", place, dated)
        else:
            yield BalanceData(kind=kind, as_of=as_of, amount=Money(amount, unit), reported_at=reported_at)

    def _window(self, response: Response) -> DateRange | None:
        first, last = response.fields.get("DTSTART"), response.fields.get("DTEND")
        if not first and not last:
            return None
        start, end = day_and_instant(first or "")[0], day_and_instant(last or "")[0]
        if start is None or end is None or end < start:
            self.warnings.add("covered_window_unreadable", response.where, f"{first} to {last}")
            return None
        return DateRange(start, end)


def _as_of(response: Response) -> date | None:
    """The day that an investment statement is of: the aggregate's own DTASOF."""
    return day_and_instant(response.fields.get(".DTASOF") or response.fields.get("DTEND", ""))[0]
