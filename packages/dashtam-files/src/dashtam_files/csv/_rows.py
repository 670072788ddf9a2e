"""Rows into accounts: what a profile says of each cell. A row's content comes from its own line alone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain as chain_of
from itertools import combinations
from typing import Final

import attrs

from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    BalanceData,
    BalanceKind,
    Counterparty,
    TransactionData,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import ISO_4217, Currency, Money
from dashtam_files._amounts import NO_CURRENCY
from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, too_many
from dashtam_files._warnings import Warnings
from dashtam_files.csv._content import EXACT, amount, chain, named_currency
from dashtam_files.csv._days import day_and_instant
from dashtam_files.csv._layout import Layout
from dashtam_files.csv._profile import plain
from dashtam_files.csv._sheet import Row, UnreadableError

_IBAN: Final = re.compile(r"[A-Z]{2}\d\d[A-Z0-9]{11,30}", re.ASCII)
_NUMBER: Final = re.compile(
    r"(?:account|konto|compte|cuenta|conto|rekening)\D{0,40}(\d[\d -]{5,30}\d)", re.IGNORECASE
)
_NUMBER_DIGITS: Final = 5
_CODE: Final = 3
_UNIT: Final = re.compile(r"[A-Z]{3,5}")
_DIGIT: Final = re.compile(r"\d")
_MAX_WORDS: Final = 30
_MONEY: Final = ("amount", "debit", "credit", "balance")
_MAX_SCANNED: Final = 1_000

type _Key = tuple[str | None, Currency]


def own_number(preamble: Iterable[Row]) -> str | None:
    """The account's IBAN or number, where the lines before the table print it."""
    lines = [" ".join(row)[:_MAX_SCANNED].replace('"', " ").replace("=", " ") for row in preamble]
    return next(chain_of.from_iterable(map(_ibans, lines)), None) or next(
        chain_of.from_iterable(map(_NUMBER.findall, lines)), None
    )


def _ibans(line: str) -> Iterator[str]:
    """The IBANs in the line, with or without spaces, whose check digits are right (ISO 7064, MOD 97-10)."""
    words = line.split()
    for at, end in combinations(range(len(words) + 1), 2) if len(words) < _MAX_WORDS else ():
        iban = "".join(words[at:end])
        if _IBAN.fullmatch(iban) and int("".join(str(int(each, 36)) for each in iban[4:] + iban[:4])) % 97 == 1:
            yield iban


@attrs.define
class Rows:
    """Reads the rows below a layout's header."""

    layout: Layout
    warnings: Warnings
    decimal: str | None
    dates: str
    _number: str | None = attrs.field(init=False)
    _currency: Currency | None = attrs.field(init=False)
    _sides: dict[str, str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        profile, names, preamble = self.layout.profile, self.layout.names, self.layout.preamble
        self._number = profile.account or own_number(preamble)
        money = (at for key in _MONEY for at in self.layout.places.get(key, ()))
        headed = named_currency([profile.currency or ""]) or named_currency(
            names[at] for at in money if at < len(names)
        )
        printed = (cell for row in preamble for cell in row if len(cell) == _CODE or _DIGIT.search(cell))
        self._currency = headed or named_currency(printed)
        debit, credit = map(plain, profile.debit_words), map(plain, profile.credit_words)
        self._sides = dict.fromkeys(debit, "debit") | dict.fromkeys(credit, "credit")
        if len(marked := set(self._sides.values())) == 1:
            self._sides[""] = "credit" if marked == {"debit"} else "debit"

    def read(self, lines: Iterable[tuple[int, Row]]) -> tuple[AccountBatch, ...]:
        """The file's accounts in its order, each with its rows and, if its running balance adds up, balances."""
        groups: dict[_Key, list[TransactionData]] = {}
        for count, (key, row) in enumerate(self.transactions(lines), 1):
            groups.setdefault(key, []).append(row)
            if failure := too_many(count, MAX_ROWS, "rows") or too_many(len(groups), MAX_ACCOUNTS, "accounts"):
                raise UnreadableError(failure.failure().code, failure.failure().message)
        if not groups:
            groups[None, self._currency or NO_CURRENCY] = []
        named = [account for account, _ in groups]
        return tuple(
            self._batch(account, unit, rows, several=named.count(account) > 1)
            for (account, unit), rows in groups.items()
        )

    def transactions(self, lines: Iterable[tuple[int, Row]]) -> Iterator[tuple[_Key, TransactionData]]:
        """Each row with the account it belongs to. What is no booking, or cannot be read as one, is left out."""
        held: tuple[_Key, TransactionData] | None = None
        for line, row in self._below(lines):
            if held and self.layout.profile.continued and self._goes_on(row):
                held = (held[0], _longer(held[1], self._description(row)))
                continue
            if held:
                yield held
            held = self._transaction(row, f"line {line}")
        if held:
            yield held

    def _below(self, lines: Iterable[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
        header, skip = self.layout.header, tuple(plain(each) for each in self.layout.profile.skip)
        for at, (line, row) in enumerate(lines):
            if (header is not None and at <= header) or not any(row) or row == self.layout.names:
                continue
            if not skip or not any(plain(cell[:200]).startswith(skip) for cell in row if cell):
                yield line, row

    def _goes_on(self, row: Row) -> bool:
        text = self.layout.text
        return not any(text(row, key) for key in ("date", *_MONEY))

    def _description(self, row: Row) -> str | None:
        text = self.layout.text
        return text(row, "description") or " ".join(filter(None, (text(row, "payee"), text(row, "memo")))) or None

    def _transaction(self, row: Row, where: str) -> tuple[_Key, TransactionData] | None:
        status = self._status(row, where)
        if status is None:
            return None
        printed = self.layout.text(row, "date") or ""
        if not printed and status is TransactionStatus.PENDING:
            printed = self.layout.text(row, "transaction_date") or ""
        posted, posted_at = day_and_instant(printed, self.dates)
        if posted is None:
            self.warnings.add("transaction_date_unreadable", where, printed or " ".join(row))
            return None
        number = self._amount(row)
        unit = self._unit(row)
        if number is None or (money := _money(number, unit)) is None:
            self.warnings.add("transaction_amount_unreadable", where, self._printed_amount(row) or " ".join(row))
            return None
        text = self.layout.text
        account = text(row, "account")
        return (account.strip("\"'= ") if account else None, unit), TransactionData(
            posted_date=posted,
            amount=money,
            type=TransactionType.DEBIT if number < 0 else TransactionType.CREDIT,
            status=status,
            description=self._description(row),
            payee=text(row, "payee"),
            memo=text(row, "memo"),
            provider_transaction_id=text(row, "id"),
            value_date=self._day(row, "value_date", where),
            transaction_date=self._day(row, "transaction_date", where),
            posted_at=posted_at,
            original_amount=self._original(row, number),
            check_number=text(row, "check_number"),
            reference=text(row, "reference"),
            bank_transaction_code=text(row, "type"),
            category=text(row, "category"),
            counterparty=self._counterparty(row),
            running_balance=self._balance(row, unit, where),
        )

    def _status(self, row: Row, where: str) -> TransactionStatus | None:
        """Whether the row is booked; None if it never happened."""
        printed = self.layout.text(row, "status")
        if not printed:
            return TransactionStatus.POSTED
        if plain(printed) in {plain(each) for each in self.layout.profile.dropped}:
            self.warnings.add("row_not_booked", where, printed)
            return None
        pending = plain(printed) in {plain(each) for each in self.layout.profile.pending}
        return TransactionStatus.PENDING if pending else TransactionStatus.POSTED

    def _amount_of(self, row: Row, meaning: str) -> Decimal | None:
        printed = self.layout.text(row, meaning)
        return amount(printed, self.decimal) if printed else None

    def _printed_amount(self, row: Row) -> str:
        return " ".join(filter(None, (self.layout.text(row, key) for key in _MONEY[:3])))

    def _amount(self, row: Row) -> Decimal | None:
        """The effect on the balance; None where nothing, or more than one thing, is printed."""
        if "amount" not in self.layout.places:
            return self._of_two_columns(row)
        number = self._amount_of(row, "amount")
        if number is None:
            return None
        if "indicator" in self.layout.places:
            side = self._sides.get(plain(self.layout.text(row, "indicator") or ""))
            return None if side is None else _signed(number, out=side == "debit")
        if self.layout.profile.flip:
            number = number.copy_negate() if number else number
        fee = self._amount_of(row, "fee")
        return EXACT.subtract(number, fee) if fee else number

    def _of_two_columns(self, row: Row) -> Decimal | None:
        out, income = self._amount_of(row, "debit"), self._amount_of(row, "credit")
        if (out and income) or (out is None and income is None):
            return None
        return _signed(out, out=True) if out else _signed(income or Decimal(), out=False)

    def _unit(self, row: Row) -> Currency:
        printed = self.layout.text(row, "currency")
        if printed and (printed.upper() in ISO_4217 or _UNIT.fullmatch(printed)):
            return Currency(printed.upper())
        if printed and (unit := named_currency([printed])):
            return unit
        return self._currency or named_currency([self._printed_amount(row)]) or NO_CURRENCY

    def _original(self, row: Row, number: Decimal) -> Money | None:
        """The amount before conversion, with the sign of the amount."""
        printed = self.layout.text(row, "original_amount")
        unit = named_currency(filter(None, (self.layout.text(row, "original_currency"), printed)))
        original = self._amount_of(row, "original_amount")
        if not original or not unit or unit == self._unit(row):
            return None
        return _money(abs(original).copy_sign(number), unit)

    def _counterparty(self, row: Row) -> Counterparty | None:
        text = self.layout.text
        account, bic = text(row, "counterparty_account"), text(row, "bic")
        return Counterparty(name=text(row, "payee"), account=account, bic=bic) if account or bic else None

    def _day(self, row: Row, meaning: str, where: str) -> date | None:
        printed = self.layout.text(row, meaning)
        day, _ = day_and_instant(printed or "", self.dates)
        if printed and day is None:
            self.warnings.add("date_unreadable", where, printed)
        return day

    def _balance(self, row: Row, unit: Currency, where: str) -> Money | None:
        balance = self._amount_of(row, "balance")
        if balance is None and (printed := self.layout.text(row, "balance")):
            self.warnings.add("balance_unreadable", where, printed)
        return None if balance is None else Money(balance, unit)

    def _batch(
        self, printed: str | None, unit: Currency, rows: Sequence[TransactionData], *, several: bool
    ) -> AccountBatch:
        profile = self.layout.profile
        name = printed or self._number
        number = name if name and sum(map(str.isdigit, name)) >= _NUMBER_DIGITS else None
        account = number or " ".join(filter(None, ("csv", profile.name, name)))
        if not number:
            self.warnings.add("account_id_missing", "document", account)
        if unit == NO_CURRENCY:
            self.warnings.add("currency_missing", "document")
        by_currency = several or (not name and "currency" in self.layout.places)
        return AccountBatch(
            account=AccountData(
                provider_account_id=f"{account} {unit}" if by_currency else account,
                account_type=AccountType(profile.account_type or AccountType.OTHER),
                currency=unit,
                number=number,
                institution=profile.institution,
                name=None if number else name,
            ),
            transactions=tuple(rows),
            balances=self._balances(rows),
        )

    def _balances(self, rows: Sequence[TransactionData]) -> tuple[BalanceData, ...]:
        """The opening and the closing balance, where every running balance follows from the one before."""
        booked = [row for row in rows if row.status is TransactionStatus.POSTED]
        steps = [(row.posted_date, row.amount.amount, _printed(row)) for row in booked]
        if not steps or not (links := chain(steps)).links:
            return ()
        if links.agreeing < links.links:
            self.warnings.add("running_balance_disagrees", "document", f"{links.agreeing} of {links.links}")
            return ()
        if links.newest_first:
            steps.reverse()
        first = next(at for at, step in enumerate(steps) if step[2] is not None)
        opening = steps[first][2]
        for _, change, _ in steps[: first + 1]:
            opening = EXACT.subtract(opening or 0, change)
        ends = (
            (BalanceKind.OPENING_BOOKED, steps[0][0], opening),
            (BalanceKind.CLOSING_BOOKED, steps[-1][0], steps[-1][2]),
        )
        unit = booked[0].amount.currency
        return tuple(
            BalanceData(kind=kind, as_of=day, amount=money)
            for kind, day, value in ends
            if value is not None and (money := _money(value, unit))
        )


def _signed(number: Decimal, *, out: bool) -> Decimal:
    return number.copy_abs().copy_negate() if out and number else number.copy_abs()


def _money(value: Decimal, unit: Currency) -> Money | None:
    try:
        return Money(value, unit)
    except ValueError:
        return None


def _printed(row: TransactionData) -> Decimal | None:
    return row.running_balance.amount if row.running_balance else None


def _longer(row: TransactionData, more: str | None) -> TransactionData:
    return attrs.evolve(row, description=" ".join(filter(None, (row.description, more))) or None)
