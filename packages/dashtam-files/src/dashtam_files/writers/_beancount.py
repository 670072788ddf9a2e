"""Beancount, for plain-text accounting: a ledger that its own checker finds no fault with."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Context, Decimal, Inexact
from typing import Final

import attrs

from dashtam_core.accounts import Account, Balance, BalanceKind, ExportedAccount, Transaction
from dashtam_core.accounts import TransactionStatus as Status
from dashtam_core.kernel import Currency, Money
from dashtam_files.writers._shared import BOOKED, days_of, distinct, one_line, rows_of, told

_OPENING: Final = "Equity:Opening-Balances"
_OTHERS: Final = ("Expenses:Unknown", "Income:Unknown", _OPENING)
# How Beancount adds; what it would round is not asserted, or left as a comment.
_THEIRS: Final = Context(prec=28, traps=[Inexact])


@attrs.frozen
class BeancountWriter:
    """Writes a ledger for Beancount 3: accounts, one transaction for each row, and balances that hold.

    The other side of a row is `Expenses:Unknown` or `Income:Unknown`, for its owner to sort; a pending row is
    flagged `!`, a void one left out. A booked balance is asserted, on the morning after its day, only where the
    rows come to it, from nothing or from an opening balance before the first of them, which is then written too:
    one failing assertion would spoil the ledger. A row that Beancount would round, to 28 digits, is a comment.
    """

    name: str = attrs.field(default="beancount", init=False)
    media_type: str = attrs.field(default="text/plain; charset=utf-8", init=False)
    suffix: str = attrs.field(default=".beancount", init=False)

    def write(self, accounts: Iterable[ExportedAccount], /) -> Iterator[str]:
        every = tuple(accounts)
        names = distinct((each.account.account_id, _name(each.account)) for each in every)
        used = {row.amount.currency for each in every for row in each.transactions}
        units = _commodities(used | {each.account.currency for each in every})
        first = min(map(_first_day, every), default=date(1970, 1, 1))
        yield ";; -*- mode: beancount -*-\n\n"
        yield from (f"{first} open {name}\n" for name in _OTHERS)
        for unit, commodity in units.items():
            if unit.code != commodity:
                yield f"{first} commodity {commodity}\n  unit: {_quoted(unit.code)}\n"
        for each in every:
            yield from _Ledger(names[each.account.account_id], units).write(each)


@attrs.frozen
class _Ledger:
    """What is written of one account."""

    name: str
    units: Mapping[Currency, str]

    def write(self, each: ExportedAccount) -> Iterator[str]:
        yield f"\n{_first_day(each)} open {self.name}\n  account_id: {_quoted(str(each.account.account_id))}\n"
        opening, closing = _holding(each)
        if opening:
            yield f'\n{opening.as_of} * "Opening balance"\n{self._postings(opening.amount, _OPENING)}'
        for row in rows_of(each, Status.POSTED, Status.PENDING):
            written = self._transaction(row)
            yield written.replace("\n", "\n; ").removesuffix("; ") if _sum([row]) is None else written
        for balance in closing:
            yield f"\n{balance.as_of + timedelta(days=1)} balance {self.name}  {self._amount(balance.amount)}\n"

    def _transaction(self, row: Transaction) -> str:
        flag = "!" if row.status is Status.PENDING else "*"
        facts = "".join(f"  {name}: {_quoted(text)}\n" for name, text in _metadata(row) if text)
        spent, earned, _ = _OTHERS
        other = spent if row.amount.amount < 0 else earned
        return f"\n{row.posted_date} {flag} {_words(row)}\n{facts}{self._postings(row.amount, other)}"

    def _postings(self, money: Money, other: str) -> str:
        return f"  {self.name}  {self._amount(money)}\n  {other}  {self._amount(-money)}\n"

    def _amount(self, money: Money) -> str:
        return f"{money.text} {self.units[money.currency]}"


def _words(row: Transaction) -> str:
    """Payee and narration, or the narration alone."""
    payee, description, memo = one_line(row.payee), one_line(row.description), one_line(row.memo)
    narration = description if description != payee else memo
    return f"{_quoted(payee)} {_quoted(narration)}" if payee else _quoted(narration or memo)


def _metadata(row: Transaction) -> Iterable[tuple[str, str]]:
    yield "transaction_id", str(row.transaction_id)
    for name in ("provider_transaction_id", "reference", "end_to_end_id", "check_number"):
        yield name, one_line(getattr(row, name))
    yield "value_date", row.value_date.isoformat() if row.value_date else ""


def _holding(each: ExportedAccount) -> tuple[Balance | None, Sequence[Balance]]:
    """The opening balance to begin with, if one is needed, and the closing ones that the rows then come to."""
    rows = rows_of(each, Status.POSTED, Status.PENDING)
    latest = [last for kind in BOOKED if (last := told(each, kind))]
    days = {last.as_of: last for last in latest if last.as_of < date.max}
    opening = told(each, BalanceKind.OPENING_BOOKED)
    for start in (opening, None):
        begins = start.as_of if start else date.min
        if rows and rows[0].posted_date < begins:
            continue
        known = [balance for day, balance in days.items() if day >= begins]
        if held := [balance for balance in known if _sum(rows, balance, start) == balance.amount.amount]:
            return start, held
    return None, ()


def _sum(rows: Iterable[Transaction], end: Balance | None = None, start: Balance | None = None) -> Decimal | None:
    """What rows come to by the end of a balance's day, in its currency; None where Beancount would round."""
    try:
        total = _THEIRS.plus(start.amount.amount if start else Decimal())
        for row in rows:
            if end is None or (row.posted_date <= end.as_of and row.amount.currency == end.amount.currency):
                total = _THEIRS.add(total, row.amount.amount)
    except Inexact:
        return None
    return total


def _name(account: Account) -> str:
    """`Assets:Checking:Everyday`: letters and digits of any script with dashes between, a capital first."""
    root = "Liabilities" if account.balance_type == "LIABILITY" else "Assets"
    text = unicodedata.normalize("NFC", account.name)
    plain = "".join(each if each.isalpha() or each.isdecimal() else "-" for each in text)
    plain = re.sub("-+", "-", plain).strip("-") or "Account"
    plain = plain[0].upper() + plain[1:]
    begins = unicodedata.category(plain[0]) in {"Lu", "Nd"}
    return f"{root}:{account.account_type.value.capitalize()}:{plain if begins else f'X-{plain}'}"


def _commodities(units: Iterable[Currency]) -> Mapping[Currency, str]:
    """What each unit is called; one that can keep its own code does."""
    wanted = sorted((_commodity(unit.code) != unit.code, unit.code, unit) for unit in units)
    return distinct((unit, _commodity(code)) for _, code, unit in wanted)


def _commodity(code: str) -> str:
    """Two or more capitals, digits and `'._-`, the first of them a capital."""
    plain = re.sub(r"[^A-Z0-9'._-]", "-", code.upper()[:20]).strip("'._-")
    good = len(plain) > 1 and plain[0].isalpha() and plain not in {"TRUE", "FALSE", "NULL"}
    return plain if good else f"X-{plain or 'UNIT'}"


def _first_day(each: ExportedAccount) -> date:
    return min(days_of(each), default=each.account.created_at.date())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
