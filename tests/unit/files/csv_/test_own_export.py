"""Dashtam's own export, read back."""

from datetime import UTC, date, datetime
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import (
    Counterparty,
    ExportedAccount,
    TransactionData,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Currency, Money
from dashtam_core.testing import samples
from dashtam_files.csv import CsvReader
from dashtam_files.writers import CsvWriter
from unit.files.writers.exports import exported, row, written


def read_back(some: ExportedAccount) -> list[TransactionData]:
    statement = CsvReader().read(written(CsvWriter(), some).encode()).unwrap()
    assert statement.format == "CSV dashtam"
    (batch,) = statement.batch.accounts
    own = samples.account("one")
    assert batch.account.provider_account_id == str(some.account.account_id)
    assert (batch.account.number, batch.account.name) == (None, some.account.name)
    assert (batch.account.account_type, batch.account.currency) == (own.account_type, own.currency)
    return list(batch.transactions)


def as_exported(some: ExportedAccount) -> list[TransactionData]:
    """The rows as Dashtam provides them: each under the id that it has here."""
    names = [each.name for each in attrs.fields(TransactionData)]
    rows = [TransactionData(**{name: getattr(row, name) for name in names}) for row in some.transactions]
    ids = [str(each.transaction_id) for each in some.transactions]
    return [attrs.evolve(one, provider_transaction_id=own) for one, own in zip(rows, ids, strict=True)]


FULL = row(
    "=Coffee",
    type=TransactionType.POS,
    status=TransactionStatus.PENDING,
    payee="+Ann",
    memo="''-x",
    value_date=date(2026, 3, 4),
    transaction_date=date(2026, 3, 5),
    posted_at=datetime(2026, 3, 1, 23, 30, 5, tzinfo=UTC),
    original_amount=Money(Decimal("-5.12"), Currency("USD")),
    exchange_rate=Decimal("0.87"),
    mcc="5814",
    check_number="12",
    reference="@r",
    end_to_end_id="e",
    mandate_id="m",
    bank_transaction_code="PMNT",
    category="'quoted'",
    counterparty=Counterparty(name="Ben", account="DE00 1234", bic="BANKDEFF"),
    running_balance=Money(Decimal("-1.00"), samples.EUR),
    reversal=True,
)


def test_every_field_of_a_row_comes_back() -> None:
    """Days, amounts, words, the other side and what kind of booking it is."""
    account = attrs.evolve(samples.account("one"), name="Giro 12345678")
    some = exported(FULL, row("Tea", amount="1000.00"), account=account)
    assert read_back(some) == as_exported(some)


TEXT = st.text(st.sampled_from("=+-@'a,;\"é |"), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.lists(st.tuples(TEXT, TEXT, st.decimals(-(10**9), 10**9, places=2)), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_texts_and_amounts_come_back_whatever_they_begin_with(found: list[tuple[str, str, Decimal]]) -> None:
    """The apostrophe that the export puts before a formula is taken off, and no other."""
    rows = [row(text, amount=str(amount), payee=payee) for text, payee, amount in found]
    some = exported(*rows)
    assert [(each.description, each.payee, each.amount) for each in read_back(some)] == [
        (each.description, each.payee, each.amount) for each in rows
    ]


@pytest.mark.parametrize("unit", ["BTC", "USDT", "JPY"])
def test_other_units_come_back_and_void_rows_are_left_out(unit: str) -> None:
    """A row that never happened is reported, not read."""
    some = exported(row("A", unit=Currency(unit), amount="5"), row("B", status=TransactionStatus.VOID), row("C"))
    assert [str(each.amount.currency) for each in read_back(some)] == [unit, "EUR"]
