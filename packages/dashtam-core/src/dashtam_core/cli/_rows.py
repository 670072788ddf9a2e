"""Balances and transactions as rows of a table, alike whether read from a file or from the store."""

from typing import Final
from uuid import UUID

from dashtam_core.accounts import BalanceData, HoldingData, TransactionData, TransactionStatus
from dashtam_core.kernel import amount_text

BALANCE: Final = ("balance", "as of", "amount>", "currency")
HOLDING: Final = ("held", "as of", "units>", "price>", "value>", "currency")
TRANSACTION: Final = ("date", "amount>", "currency", "type", "description")


def balance_row(balance: BalanceData, /) -> tuple[object, ...]:
    return balance.kind, balance.as_of, balance.amount.text, balance.amount.currency


def holding_row(holding: HoldingData, /) -> tuple[object, ...]:
    security, value, price = holding.security, holding.market_value, holding.unit_price
    name = security.name or (security.ids[0].value if security.ids else None)
    texts = (holding.as_of, amount_text(holding.units), price and price.text, value and value.text)
    return name, *texts, value and value.currency


def short_id(id_: UUID, /) -> str:
    """The end of an id, which tells it from others: ids made together begin alike."""
    return str(id_)[-8:]


def transaction_row(row: TransactionData, /) -> tuple[object, ...]:
    """The status is told where it is not the usual one, and each of the texts once."""
    kind = row.type if row.status is TransactionStatus.POSTED else f"{row.type} {row.status}"
    said = dict.fromkeys(text for text in (row.description, row.payee, row.memo) if text)
    return row.posted_date, row.amount.text, row.amount.currency, kind, " · ".join(said)
