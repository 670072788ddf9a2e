"""One Stmt, Rpt or Ntfctn into an account with its rows and balances (ISO 20022 CashAccount, CashBalance)."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import attrs

from dashtam_core.accounts import AccountBatch, AccountData, BalanceData, TransactionData
from dashtam_core.accounts import AccountType as Type
from dashtam_core.accounts import BalanceKind as Kind
from dashtam_core.kernel import Currency, DateRange, Money
from dashtam_files._values import NO_CURRENCY, Amounts, iso_day
from dashtam_files.camt._entries import Entries, signed, unit_of
from dashtam_files.camt._fields import Element, Fields, Gatherer, outline

_STATEMENT: Final = outline(
    "CreDtTm StmtPgntn|RptPgntn/PgNb|LastPgInd FrToDt/FrDtTm|FrDt=From FrToDt/ToDtTm|ToDt=To "
    "Acct/Id/IBAN|BBAN|UPIC=Number Acct/Id/Othr|PrtryAcct/Id=Number Acct/Tp/|Cd=Tp Acct/Ccy Acct/Nm "
    "Acct/Svcr/FinInstnId/BICFI|BIC=BIC Acct/Svcr/FinInstnId/ClrSysMmbId/MmbId Acct/Svcr/FinInstnId/Nm=Bank "
    "Acct/Svcr/FinInstnId/NmAndAdr|CmbndId/Nm=Bank Acct/Svcr/FinInstnId/CmbndId/BIC Bal=Balances",
    Balances=outline("Amt CdtDbtInd Dt/|Dt|DtTm=Dt Tp/|Cd=Tp Tp/CdOrPrtry/Cd|Prtry=Tp Tp/SubTp/Cd=SubTp"),
)
_TYPES: Final = (
    dict.fromkeys(("CACC", "TRAN", "SLRY", "CASH"), Type.CHECKING)
    | dict.fromkeys(("SVGS", "LLSV", "ONDP"), Type.SAVINGS)
    | {"MOMA": Type.MONEYMRKT, "LOAN": Type.LOAN, "ODFT": Type.CREDITLINE, "CARD": Type.CREDITCARD}
)
_KINDS: Final = (
    {"OPBD": Kind.OPENING_BOOKED, "PRCD": Kind.OPENING_BOOKED, "CLBD": Kind.CLOSING_BOOKED}
    | {"ITBD": Kind.INTERIM_BOOKED, "ITAV": Kind.INTERIM_AVAILABLE, "CLAV": Kind.CLOSING_AVAILABLE}
    | {"OPAV": Kind.AVAILABLE, "FWAV": Kind.EXPECTED, "XPCD": Kind.EXPECTED}
)
_DAY: Final = timedelta(days=1)


@attrs.frozen
class Account:
    """A statement without its rows; `tag` is Stmt, Rpt or Ntfctn."""

    gatherer: Gatherer
    tag: str
    fields: Fields
    balances: list[Fields]

    @classmethod
    def of(cls, element: Element, gatherer: Gatherer) -> "Account":
        account = cls(gatherer, gatherer.names[element.tag], {}, [])
        gatherer.gather(element, _STATEMENT, account.fields, account.balances)
        return account

    def entries(self) -> Entries:
        """What reads its rows, from what stands before them."""
        return Entries(self.gatherer, self.fields.get("Number"), self._currency, self._only_day())

    @property
    def _currency(self) -> Currency:
        printed = (self.fields.get("Ccy"), *(each.get("Amt.Ccy") for each in self.balances))
        return next(filter(None, map(unit_of, printed)), NO_CURRENCY)

    def _only_day(self) -> date | None:
        """The day of a statement of one day, which FrToDt says, else the balances of its close and of the eve."""
        start, end = self._period()
        if end is not None:
            return end if start == end else None
        booked = {each.get("Tp"): iso_day(each.get("Dt"))[0] for each in self.balances}
        opened, closed = booked.get("OPBD") or booked.get("PRCD"), booked.get("CLBD")
        return closed if closed and timedelta() <= closed - (opened or closed) <= _DAY else None

    def _period(self) -> tuple[date | None, date | None]:
        return iso_day(self.fields.get("From"))[0], iso_day(self.fields.get("To"))[0]

    def batch(self, rows: Sequence[TransactionData]) -> AccountBatch:
        """The account with its rows. What cannot be read is reported."""
        get, unit = self.fields.get, self._currency
        account = AccountData(
            provider_account_id=get("Number", ""),
            account_type=_TYPES.get(get("Tp", ""), Type.OTHER),
            currency=unit,
            number=get("Number"),
            bank_id=get("BIC") or get("MmbId"),
            institution=get("Bank"),
            official_name=get("Nm"),
        )
        # The close of the period before (PRCD) is the opening balance where there is no other.
        opened = any(each.get("Tp") == "OPBD" for each in self.balances)
        told = [each for each in self.balances if not (opened and each.get("Tp") == "PRCD")]
        return AccountBatch(
            account=self.gatherer.warnings.checked(account, self.gatherer.where, get("Ccy")),
            transactions=tuple(rows),
            balances=tuple(filter(None, (self._balance(each, unit) for each in told))),
            covered_window=self._window(),
        )

    def _balance(self, fields: Fields, unit: Currency) -> BalanceData | None:
        """One balance. Those of a page (INTM) are of the time between: only a whole statement opens and closes."""
        kind, amount = _KINDS.get(fields.get("Tp", "")), Amounts().read(fields.get("Amt", ""))
        day, instant = iso_day(fields.get("Dt"))
        if kind is None:
            self.gatherer.warn("balance_type_unknown", fields.get("Tp"))
        elif amount is None:
            self.gatherer.warn("balance_amount_unreadable", fields.get("Amt"))
        elif day is None:
            self.gatherer.warn("balance_date_unreadable", fields.get("Dt"))
        else:
            if fields.get("SubTp") == "INTM" and kind in {Kind.OPENING_BOOKED, Kind.CLOSING_BOOKED}:
                kind = Kind.INTERIM_BOOKED
            if sign := fields.get("CdtDbtInd"):
                amount = signed(amount, debit=sign == "DBIT")
            money = Money(amount, unit_of(fields.get("Amt.Ccy")) or unit)
            return BalanceData(kind=kind, as_of=day, amount=money, reported_at=instant)
        return None

    def _window(self) -> DateRange | None:
        """The days held whole: not those to come, nor today's of a report; none by a notification or a page."""
        get, (start, end) = self.fields.get, self._period()
        if start is None or end is None or end < start:
            if get("From") or get("To"):
                self.gatherer.warn("covered_window_unreadable", f"{get('From')} to {get('To')}")
            return None
        made, _ = iso_day(get("CreDtTm"))
        if made is not None:
            end = min(end, made - _DAY if self.tag == "Rpt" else made)
        paged = get("PgNb", "1") != "1" or get("LastPgInd") in {"false", "0"}
        return None if self.tag == "Ntfctn" or paged or end < start else DateRange(start, end)
