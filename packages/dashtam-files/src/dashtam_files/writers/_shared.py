"""What the writers agree on: text on one line, the balances that are told, and which rows have an effect."""

import re
from collections.abc import Hashable, Iterable, Sequence
from datetime import date
from itertools import count
from typing import Final

from dashtam_core.accounts import Balance, BalanceKind, ExportedAccount, Transaction, TransactionStatus

# Balances after everything that was booked by the end of their day.
BOOKED: Final = (BalanceKind.LEDGER, BalanceKind.CLOSING_BOOKED, BalanceKind.INTERIM_BOOKED)

_UNWRITABLE: Final = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def one_line(text: str | None) -> str:
    """The text with one space for any run of them, and of what XML and terminals cannot take."""
    return " ".join(_UNWRITABLE.sub(" ", text).split()) if text else ""


def rows_of(account: ExportedAccount, *states: TransactionStatus) -> Sequence[Transaction]:
    return [row for row in account.transactions if row.status in states]


def days_of(account: ExportedAccount) -> Sequence[date]:
    """The days between which everything lies that is told of it."""
    return [*(row.posted_date for row in account.transactions), *(each.as_of for each in account.balances)]


def told(account: ExportedAccount, *kinds: BalanceKind) -> Balance | None:
    """The latest balance of these kinds in the account's currency; of one day's, that of the first kind."""
    unit = account.account.currency
    known = [each for each in account.balances if each.kind in kinds and each.amount.currency == unit]
    return max(known, key=lambda each: (each.as_of, -kinds.index(each.kind)), default=None)


def distinct[K: Hashable](wanted: Iterable[tuple[K, str]]) -> dict[K, str]:
    """A name of its own for each key: the first to want a name has it, later ones a number after it."""
    names: dict[K, str] = {}
    taken: set[str] = set()
    for key, name in wanted:
        free = (f"{name}-{number}" for number in count(2))
        names[key] = name if name not in taken else next(each for each in free if each not in taken)
        taken.add(names[key])
    return names
