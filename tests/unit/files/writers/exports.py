"""Accounts to be written, one by one and drawn, as the store gives them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from dashtam_core.accounts import (
    Account,
    AccountId,
    Balance,
    ExportedAccount,
    StatementWriter,
    Transaction,
    TransactionData,
    TransactionId,
)
from dashtam_core.kernel import Currency, DateRange, Money, new_id
from dashtam_core.testing import samples, strategies

READABLE = DateRange(date(1900, 1, 1), date(2199, 12, 31))
"""The years that statements have."""


def row(
    text: str = "Coffee", day: int = 1, amount: str = "-4.50", unit: Currency = samples.EUR, **changes: Any
) -> TransactionData:
    """A row of March 2026 with this description."""
    return attrs.evolve(samples.row(text, day).data, amount=Money(Decimal(amount), unit), **changes)


def stored(data: TransactionData, of: Account) -> Transaction:
    fields = {each.name: getattr(data, each.name) for each in attrs.fields(TransactionData)}
    return Transaction(
        transaction_id=TransactionId(new_id()),
        account_id=AccountId(of.account_id),
        index=0,
        dedupe_key=bytes(16),
        occurrence=1,
        **fields,
    )


def exported(
    *rows: TransactionData, account: Account | None = None, balances: Sequence[Balance] = ()
) -> ExportedAccount:
    """An account with these rows, by default a checking account in euros."""
    of = account or samples.account("one")
    return ExportedAccount(of, balances, [stored(each, of) for each in rows])


def written(writer: StatementWriter, *accounts: ExportedAccount) -> str:
    """The whole file; a second writing of it is the same."""
    text = "".join(writer.write(accounts))
    assert "".join(writer.write(iter(accounts))) == text
    text.encode()
    return text


@st.composite
def accounts(draw: st.DrawFn, *, iso: bool | None = None) -> ExportedAccount:
    """Any account with up to six rows in order, some in other units, and up to three balances.

    With `iso` it is as banks have them: in currencies of ISO 4217, with amounts of ten digits or so.
    """
    kinds = strategies.currencies(iso=iso)
    overview = draw(strategies.account_overviews(account=strategies.accounts(currency=kinds)))
    units = st.sampled_from([overview.account.currency, Currency("USD")]) | kinds
    most = 10**9 if iso else None
    amounts = strategies.money(currency=units, max_value=most, min_value=most and -most)
    days = st.none() | st.dates(READABLE.start, READABLE.end)
    data = strategies.transaction_data(amount=amounts, window=READABLE, value_date=days, transaction_date=days)
    rows = draw(st.lists(data, max_size=6))
    rows.sort(key=lambda each: each.posted_date)
    return exported(*rows, account=overview.account, balances=overview.balances)
