"""Real QIF files, read against what several independent parsers agree they hold."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.accounts import ImportCode, TransactionData
from dashtam_files.qif._days import DayOrder, day
from unit.files.qif.qif_documents import refusal, statement

CORPUS = Path(__file__).resolve().parents[4].parent / "shared/corpus/qif"
EXPECTED = sorted(CORPUS.rglob("*.expected.json"))
ORDERS = {"test_category_override.qif": DayOrder.DMY}
"""Of files that print a number above 12; all others are month first."""

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the corpus of real statements is not at hand")


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_real_file_is_read_as_agreed(path: Path) -> None:
    """Accounts and every row are as expected; a row without an amount is among the warnings."""
    name = path.name.removesuffix(".expected.json")
    data = path.with_name(name).read_bytes()
    if not data:
        # Expected is a statement without accounts; the core refuses what is empty before it asks a reader.
        assert refusal(data).code is ImportCode.FORMAT_UNKNOWN
        return
    read = statement(data).batch
    missing = {each.where for each in read.warnings if each.rule == "transaction_amount_missing"}
    accounts = json.loads(path.read_text())["accounts"]
    assert [each.account.provider_account_id for each in read.accounts] == [each["id"] or "" for each in accounts]
    for number, (account, expected) in enumerate(zip(read.accounts, accounts, strict=True), 1):
        rows = iter(account.transactions)
        for at, each in enumerate(expected["transactions"], 1):
            if each["amount"] is None:
                assert f"account {number}, transaction {at}" in missing
            else:
                check_row(next(rows), each, ORDERS.get(name, DayOrder.MDY))
        assert next(rows, None) is None


def check_row(row: TransactionData, expected: Mapping[str, Any], order: DayOrder) -> None:
    assert row.posted_date == day(expected["date_raw"], order)
    assert str(row.amount.amount) == expected["amount"]
    assert (row.check_number or row.reference) == (expected["reference"] or None)
    assert (row.payee, row.memo) == (expected["payee"] or None, expected["memo"] or None)
    assert row.category == expected["category"]
    parts = [(each.category, each.description, each.amount and str(each.amount.amount)) for each in row.details]
    splits: Sequence[Mapping[str, str]] = expected["splits"] or ()
    assert parts == [(each["category"], each.get("memo"), each["amount"]) for each in splits]
