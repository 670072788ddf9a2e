"""Accounts and rows as a store has them, made by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

import attrs

from dashtam_core.accounts import Account, KeyedTransaction, Transaction
from dashtam_core.kernel import Currency, Money
from dashtam_core.portfolio import MatchKind
from dashtam_core.portfolio import duplicates as _duplicates
from dashtam_core.portfolio import transfers as _transfers
from dashtam_core.testing.samples import account, row

CHECKING = account("checking", number_hash=b"checking", mask="1111")
SAVINGS = account("savings", number_hash=b"savings", mask="2222")
BROKER = account("broker", mask="3333")
EVERY = (CHECKING, SAVINGS, BROKER)


def moved(of: Account, text: str, day: int, amount: str, **changes: Any) -> Transaction:
    """A row of March 2026 in euros, or as in `50 USD`, known by its text."""
    number, _, code = amount.partition(" ")
    money = Money(Decimal(number), Currency(code or "EUR"))
    made: KeyedTransaction = row(text, day=day, amount=number)
    plain = Transaction(
        **attrs.asdict(made.data, recurse=False),
        transaction_id=made.transaction_id,
        account_id=of.account_id,
        index=0,
        dedupe_key=made.dedupe_key,
        occurrence=1,
    )
    return attrs.evolve(plain, amount=money, **changes)


def suggested(
    kind: MatchKind, *rows: Transaction, accounts: tuple[Account, ...] = EVERY, **more: Any
) -> list[str]:
    """What is suggested as `first > second`, by their texts, in alphabetical order."""
    suggest = _transfers if kind is MatchKind.TRANSFER else _duplicates
    pairs = suggest(rows, {each.account_id: each for each in accounts}, **more)
    return sorted(f"{one.description} > {two.description}" for one, two in pairs)


def day(number: int) -> date:
    return date(2026, 3, number)
