"""Balances and transactions as rows of a table, alike whether read from a file or from the store."""

from typing import Final

from dashtam_core.accounts import BalanceData, TransactionData, TransactionStatus

BALANCE: Final = ("balance", "as of", "amount>", "currency")
TRANSACTION: Final = ("date", "amount>", "currency", "type", "description")


def balance_row(balance: BalanceData, /) -> tuple[object, ...]:
    return balance.kind, balance.as_of, balance.amount.text, balance.amount.currency


def transaction_row(row: TransactionData, /) -> tuple[object, ...]:
    """The status is told where it is not the usual one, and each of the texts once."""
    kind = row.type if row.status is TransactionStatus.POSTED else f"{row.type} {row.status}"
    said = dict.fromkeys(text for text in (row.description, row.payee, row.memo) if text)
    return row.posted_date, row.amount.text, row.amount.currency, kind, " · ".join(said)
