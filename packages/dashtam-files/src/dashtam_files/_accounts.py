"""One statement response into an account with its rows and balances (OFX 2.3, sections 11.4.2 and 11.4.3)."""

from typing import Final

import attrs

from dashtam_core.accounts import AccountBatch, AccountData, AccountType, BalanceData, BalanceKind
from dashtam_core.kernel import Currency, DateRange, Money
from dashtam_files._outline import Response
from dashtam_files._rows import Rows
from dashtam_files._values import NO_CURRENCY, Amounts, currency, day_and_instant
from dashtam_files._warnings import Warnings

_TYPES: Final = {member.value: member for member in AccountType}
_BALANCES: Final = {"LEDGERBAL": BalanceKind.LEDGER, "AVAILBAL": BalanceKind.AVAILABLE}


@attrs.frozen
class Accounts:
    amounts: Amounts
    warnings: Warnings

    def read(self, response: Response) -> AccountBatch:
        account = self._account(response)
        rows = Rows(response.where, account.currency, self.amounts, self.warnings)
        balances = (self._balance(response, name, account.currency) for name in _BALANCES)
        return AccountBatch(
            account=account,
            transactions=rows.read(response.rows),
            balances=tuple(balance for balance in balances if balance is not None),
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
            bank_id="/".join(filter(None, (get("BANKID"), get("BRANCHID")))) or None,
            institution=response.institution,
            institution_id=response.institution_id,
        )

    def _type(self, response: Response) -> AccountType:
        if response.tag == "CCSTMTRS" or "CCACCTFROM.ACCTID" in response.fields:
            return AccountType.CREDITCARD
        printed = response.fields.get("ACCTTYPE", "")
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

    def _balance(self, response: Response, name: str, unit: Currency) -> BalanceData | None:
        get = response.fields.get
        printed = get(f"{name}.BALAMT")
        if printed is None:
            return None
        amount = self.amounts.read(printed)
        if amount is None:
            self.warnings.add("balance_amount_unreadable", f"{response.where}, {name}", printed)
            return None
        dated = get(f"{name}.DTASOF", get("DTEND", ""))
        as_of, reported_at = day_and_instant(dated)
        if as_of is None:
            self.warnings.add("balance_date_unreadable", f"{response.where}, {name}", dated)
            return None
        return BalanceData(kind=_BALANCES[name], as_of=as_of, amount=Money(amount, unit), reported_at=reported_at)

    def _window(self, response: Response) -> DateRange | None:
        first, last = response.fields.get("DTSTART"), response.fields.get("DTEND")
        if not first and not last:
            return None
        start, end = day_and_instant(first or "")[0], day_and_instant(last or "")[0]
        if start is None or end is None or end < start:
            self.warnings.add("covered_window_unreadable", response.where, f"{first} to {last}")
            return None
        return DateRange(start, end)
