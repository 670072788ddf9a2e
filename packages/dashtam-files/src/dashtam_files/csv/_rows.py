"""Rows into accounts: what a profile says of each cell. A row's content comes from its own line alone."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import attrs

from dashtam_core import accounts
from dashtam_core.accounts import AccountBatch, AccountData, TransactionData, TransactionStatus
from dashtam_core.kernel import ISO_4217, Currency, Money
from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, Warnings, too_many
from dashtam_files._values import NO_CURRENCY
from dashtam_files.csv._cells import EXACT, amount, chain, day_of, instant_of, named_currency, turned
from dashtam_files.csv._profile import CsvProfile, plain
from dashtam_files.csv._table import Row, Table, UnreadableError

MONEY: Final = ("amount", "debit", "credit", "balance")
# The columns that are a transaction's field as they stand.
_TEXTS: Final = (
    *("payee", "memo", "check_number", "reference", "end_to_end_id", "mandate_id", "mcc", "category"),
    *("provider_transaction_id", "bank_transaction_code"),
)
_IBAN: Final = re.compile(r"[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_NUMBER: Final = re.compile(r"(?i:account|konto|compte|cuenta|conto|rekening)\D{0,40}(\d[\d -]{5,30}\d)")
_NUMBER_DIGITS: Final = 5
_PENDING: Final = TransactionStatus.PENDING
_OPENING, _CLOSING = accounts.BalanceKind.OPENING_BOOKED, accounts.BalanceKind.CLOSING_BOOKED
_UNIT: Final = re.compile(r"[A-Za-z0-9]{3,10}", re.ASCII)
_APOSTROPHE: Final = re.compile(r"^'(?='*[=+@\t\r-])")


type Said = Mapping[str, str]  # what a row says by what it means


def own_number(line: str) -> str | None:
    for printed in _IBAN.finditer(line):
        iban = printed[0].replace(" ", "")
        if int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97 == 1:  # ISO 13616-1
            return iban
    return found[1] if (found := _NUMBER.search(line)) else None


@attrs.frozen
class Rows:
    """Reads the rows of a table as its profile says."""

    table: Table
    profile: CsvProfile
    warnings: Warnings = attrs.field(factory=Warnings)

    @cached_property
    def _places(self) -> Mapping[str, Sequence[int]]:
        named = self.profile.columns.items()
        return {key: places for key, columns in named if (places := self.table.places(columns))}

    @cached_property
    def _number(self) -> str | None:
        lines = (" | ".join(row) for row in self.table.above)
        return self.profile.account or next(filter(None, map(own_number, lines)), None)

    @cached_property
    def _currency(self) -> Currency | None:
        names = self.table.names
        headed = [names[at] for key in MONEY for at in self._places.get(key, ()) if at < len(names)]
        above = [cell for row in self.table.above for cell in row if cell in ISO_4217 or re.search(r"\d", cell)]
        return next(filter(None, map(named_currency, ([self.profile.currency or ""], headed, above))), None)

    @cached_property
    def _sides(self) -> Mapping[str, str]:
        # Where only one side has words, nothing says the other.
        debit, credit = self.profile.debit_words, self.profile.credit_words
        sides = dict.fromkeys(map(plain, debit), "debit") | dict.fromkeys(map(plain, credit), "credit")
        return sides if debit and credit else {**sides, "": "credit" if debit else "debit"}

    def said(self, row: Row) -> Said:
        if self.profile.apostrophe:
            row = [_APOSTROPHE.sub("", cell) for cell in row]
        cells = {key: [row[at] for at in places if at < len(row)] for key, places in self._places.items()}
        return {key: text for key, found in cells.items() if (text := " ".join(filter(None, found)))}

    def read(self) -> tuple[AccountBatch, ...]:
        """The file's accounts in its order, each with its rows and, if its running balance adds up, balances."""
        found: dict[str, tuple[AccountData, list[TransactionData]]] = {}
        for count, (said, row) in enumerate(self.transactions(), 1):
            account = self._account(said, row.amount.currency)
            found.setdefault(account.provider_account_id, (account, []))[1].append(row)
            if refusal := too_many(count, MAX_ROWS, "rows") or too_many(len(found), MAX_ACCOUNTS, "accounts"):
                raise UnreadableError(refusal.failure())
        empty = self._account({}, self._currency or NO_CURRENCY), list[TransactionData]()
        return tuple(self._batch(account, rows) for account, rows in found.values() or [empty])

    def transactions(self) -> Iterator[tuple[Said, TransactionData]]:
        """Each row that is a booking; what is none, or cannot be read as one, is left out."""
        skip = tuple(map(plain, self.profile.skip))
        for line, row in self.table.rows(self.warnings):
            said: Said = self.said(row) if row != self.table.names else {}
            totals = skip and any(plain(cell[:200]).startswith(skip) for cell in row)
            if said and not totals and (found := self._transaction(said, f"line {line}")):
                yield said, found

    def _transaction(self, said: Said, where: str) -> TransactionData | None:
        state = plain(said.get("status", ""))
        if state in map(plain, self.profile.dropped):
            self.warnings.add("row_not_booked", where, said.get("status"))
            return None
        status = _PENDING if state in map(plain, self.profile.pending) else TransactionStatus.POSTED
        printed = said.get("date") or (said.get("transaction_date", "") if status is _PENDING else "")
        posted, number, unit = self._day(printed), self.amount(said), self._unit(said)
        money = _money(number, unit)
        if posted is None or money is None:
            what = "date" if posted is None else "amount"
            self.warnings.add(f"transaction_{what}_unreadable", where, " | ".join(said.values()))
            return None
        usual = accounts.TransactionType.DEBIT if money.amount < 0 else accounts.TransactionType.CREDIT
        texts: dict[str, Any] = {key: said[key] for key in _TEXTS if key in said}
        parts = [said[key] for key in ("payee", "memo") if key in said]
        return TransactionData(
            posted_date=posted,
            amount=money,
            type=accounts.TransactionType.__members__.get(said.get("type", ""), usual),
            status=status,
            description=said.get("description") or " ".join(parts) or None,
            value_date=self._read(said, "value_date", self._day, where),
            transaction_date=self._read(said, "transaction_date", self._day, where),
            posted_at=instant_of(said.get("posted_at", printed)),
            original_amount=self._original(said, money),
            exchange_rate=self._read(said, "exchange_rate", self._amount, where),
            counterparty=_counterparty(said),
            running_balance=_money(self._read(said, "balance", self._amount, where), unit),
            reversal=said.get("reversal") == "true",
            **texts,
        )

    def _day(self, text: str) -> date | None:
        return day_of(text, self.profile.dates or "YMD")

    def _amount(self, text: str) -> Decimal | None:
        return amount(text, self.profile.decimal)

    def _read[T](self, said: Said, meaning: str, read: Callable[[str], T | None], where: str) -> T | None:
        if (printed := said.get(meaning)) is None:
            return None
        if (found := read(printed)) is None:
            self.warnings.add(f"{meaning}_unreadable", where, printed)
        return found

    def amount(self, said: Said) -> Decimal | None:
        """The effect on the balance; None where nothing, or more than one thing, is printed."""
        number, out, income = (self._amount(said.get(key, "")) for key in MONEY[:3])
        if "indicator" in self.profile.columns:
            side = self._sides.get(plain(said.get("indicator", "")))
            out, income = (number if side == each else None for each in ("debit", "credit"))
        elif "amount" in self._places:
            fee = self._amount(said.get("fee", ""))
            number = turned(number) if number and self.profile.flip else number
            return EXACT.subtract(number, fee) if number is not None and fee else number
        if out:
            return None if income else turned(out.copy_abs())
        return out if income is None else income.copy_abs()

    def _unit(self, said: Said) -> Currency:
        printed = said.get("currency", "")
        unit = Currency(printed.upper()) if _UNIT.fullmatch(printed) else named_currency([printed])
        return unit or self._currency or named_currency(said.get(key, "") for key in MONEY[:3]) or NO_CURRENCY

    def _original(self, said: Said, money: Money) -> Money | None:
        original = self._amount(said.get("original_amount", ""))
        unit = named_currency(said.get(key, "") for key in ("original_currency", "original_amount"))
        if not original or not unit or unit == money.currency:
            return None
        return _money(original.copy_abs().copy_sign(money.amount), unit)

    def _account(self, said: Said, unit: Currency) -> AccountData:
        name = said.get("account", "").strip("\"'= ") or self._number
        is_number = name and "account_id" not in said and sum(map(str.isdigit, name)) >= _NUMBER_DIGITS
        parts = "csv", self.profile.name, name, unit.code if "currency" in self._places else None
        own = name if is_number else " ".join(filter(None, parts))
        usual = accounts.AccountType(self.profile.account_type or accounts.AccountType.OTHER)
        return AccountData(
            provider_account_id=said.get("account_id") or own or "",
            account_type=accounts.AccountType.__members__.get(said.get("account_type", ""), usual),
            currency=named_currency([said.get("account_currency", "")]) or unit,
            number=name if is_number else None,
            institution=said.get("institution", self.profile.institution),
            name=None if is_number else name,
        )

    def _batch(self, account: AccountData, rows: Sequence[TransactionData]) -> AccountBatch:
        if account.number is None and "account_id" not in self._places:
            self.warnings.add("account_id_missing", "document", account.provider_account_id)
        if account.currency == NO_CURRENCY:
            self.warnings.add("currency_missing", "document")
        return AccountBatch(account=account, transactions=tuple(rows), balances=tuple(self._balances(rows)))

    def _balances(self, rows: Sequence[TransactionData]) -> Iterator[accounts.BalanceData]:
        """The opening and the closing balance, where every running balance follows from the one before."""
        booked = [row for row in rows if row.status is TransactionStatus.POSTED]
        left = [row.running_balance.amount if row.running_balance else None for row in booked]
        found = chain([(row.posted_date, row.amount.amount, each) for row, each in zip(booked, left, strict=True)])
        units = {row.amount.currency for row in booked}
        if found.agreeing < found.links:
            self.warnings.add("running_balance_disagrees", "document", f"{found.agreeing} of {found.links}")
        elif found.links and len(units) == 1:
            (first, _, _), (last, _, closing) = found.steps[0], found.steps[-1]
            for kind, day, value in (_OPENING, first, found.opening), (_CLOSING, last, closing):
                if money := _money(value, *units):
                    yield accounts.BalanceData(kind=kind, as_of=day, amount=money)


def _counterparty(said: Said) -> accounts.Counterparty | None:
    name, account, bic = map(said.get, ("counterparty_name", "counterparty_account", "bic"))
    if not (name or account or bic):
        return None
    return accounts.Counterparty(name=name or said.get("payee"), account=account, bic=bic)


def _money(value: Decimal | None, unit: Currency) -> Money | None:
    try:
        return None if value is None else Money(value, unit)
    except ValueError:
        return None
