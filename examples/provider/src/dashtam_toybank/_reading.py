"""What Toybank says, in Dashtam's words."""

from datetime import date
from decimal import Decimal
from typing import Any, Final

from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    BalanceData,
    BalanceKind,
    ReadingWarning,
    SyncBatch,
    TransactionData,
    TransactionType,
)
from dashtam_core.kernel import Currency, Money

_ACCOUNTS: Final = {"card": "CREDITCARD", "current": "CHECKING", "savings": "SAVINGS"}
_ROWS: Final = {"card": "POS", "cash": "ATM", "fee": "FEE", "interest": "INT", "transfer": "XFER"}
_IS_BOOKED: Final = {"booked": True, "pending": False}
_ODD: Final = (ArithmeticError, LookupError, TypeError, ValueError)


def batch_of(accounts: Any, feed: Any) -> SyncBatch:
    """The batch of one page. An answer of another shape raises; an odd row in it is a warning."""
    known = {account.provider_account_id: (account, balance) for account, balance in map(_account, accounts)}
    rows: dict[str, list[TransactionData]] = {account_id: [] for account_id in known}
    warnings: list[ReadingWarning] = []
    for place, said in enumerate(feed["rows"]):
        try:
            account, _ = known[said["account"]]
            if _IS_BOOKED[said["state"]]:  # what is pending comes again, under the same id, once it is booked
                rows[account.provider_account_id].append(_row(said, account.currency))
        except _ODD:
            warnings.append(ReadingWarning("row_unreadable", f"row {place}", str(said)[:200]))
    batches = [
        AccountBatch(account=account, transactions=tuple(rows[account_id]), balances=(balance,))
        for account_id, (account, balance) in known.items()
    ]
    more = feed["more"] is True
    return SyncBatch(accounts=tuple(batches), warnings=tuple(warnings), next_cursor=_text(feed["next"]), more=more)


def _account(said: Any) -> tuple[AccountData, BalanceData]:
    """Of a card Toybank says what is owed: a balance below zero."""
    kind, currency = AccountType(_ACCOUNTS.get(said["kind"], "OTHER")), Currency(said["currency"])
    account = AccountData(
        provider_account_id=_needed(said["id"]),
        account_type=kind,
        currency=currency,
        number=_text(said.get("iban")),
        name=_text(said.get("name")),
        institution="Toybank",
    )
    amount = _money(said["balance"], currency)
    signed = -amount if kind is AccountType.CREDITCARD else amount
    return account, BalanceData(kind=BalanceKind.LEDGER, as_of=date.fromisoformat(said["as_of"]), amount=signed)


def _row(said: Any, currency: Currency) -> TransactionData:
    """Toybank counts what was spent; an amount here is what it does to the account's balance."""
    return TransactionData(
        provider_transaction_id=_needed(said["id"]),
        posted_date=date.fromisoformat(said["day"]),
        amount=-_money(said["spent"], currency),
        type=TransactionType(_ROWS.get(said.get("kind"), "OTHER")),
        description=_text(said.get("text")),
    )


def _money(said: Any, currency: Currency) -> Money:
    if type(said) not in {int, Decimal}:  # a text, or true
        raise TypeError(said)
    return Money(Decimal(said), currency)


def _needed(said: Any) -> str:
    text = _text(said)
    if text is None:
        raise ValueError("an id is missing")
    return text


def _text(said: Any) -> str | None:
    """Unknown is None, never an empty text."""
    if said is not None and not isinstance(said, str):
        raise TypeError(said)
    return said or None
