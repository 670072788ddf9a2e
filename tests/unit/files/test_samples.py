"""The sample statements of the example service are good examples."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from unit.files.documents import statement

SAMPLES = Path(__file__).resolve().parents[3] / "examples/service/statements"

EXPECTED = {
    "everyday-checking.ofx": ("OFX 1.02", "windows-1252", [("CHECKING", "USD", 26, "1874.22")]),
    "travel-card.qfx": ("QFX 1.02", "us-ascii", [("CREDITCARD", "USD", 12, "-236.30")]),
    "household.ofx": ("OFX 2.20", "utf-8", [("CHECKING", "EUR", 12, "1312.47"), ("SAVINGS", "EUR", 4, "6420.00")]),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_read_without_a_warning(name: str) -> None:
    """Its format, character set, accounts and rows, and a balance that its rows add up to."""
    read = statement((SAMPLES / name).read_bytes())
    assert (read.format, read.encoding, read.batch.warnings) == (EXPECTED[name][0], EXPECTED[name][1], ())
    found = [
        (
            each.account.account_type.value,
            str(each.account.currency),
            len(each.transactions),
            str(each.balances[0].amount.amount - sum(row.amount.amount for row in each.transactions)),
        )
        for each in read.batch.accounts
    ]
    assert found == EXPECTED[name][2]


def test_the_samples_hold_what_is_hard() -> None:
    """Real twins on one day, a check, and a purchase in another currency."""
    rows = statement((SAMPLES / "everyday-checking.ofx").read_bytes()).batch.accounts[0].transactions
    twins = Counter((row.posted_date, row.amount.amount, row.description, row.memo) for row in rows)
    assert max(twins.values()) == 2
    assert [row.check_number for row in rows if row.type == "CHECK"] == ["1042"]
    card = statement((SAMPLES / "travel-card.qfx").read_bytes()).batch.accounts[0]
    (abroad,) = (row for row in card.transactions if row.original_amount)
    assert (str(abroad.original_amount), abroad.exchange_rate) == ("-85.00 EUR", Decimal("1.0834"))
    assert card.balances[0].amount.amount < 0
