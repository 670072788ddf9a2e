"""Real files of banks, read against what several independent parsers agree they hold."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.accounts import AccountBatch, BalanceKind, Statement, TransactionData
from dashtam_core.kernel import Success
from dashtam_files import OfxReader

CORPUS = Path(__file__).resolve().parents[3].parent / "shared/corpus/ofx"
EXPECTED = sorted(CORPUS.rglob("*.expected.json"))

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the corpus of real statements is not at hand")

type Expected = Mapping[str, Any]


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_real_file_is_read_as_agreed(path: Path) -> None:
    """Accounts, balances and every row are as expected; a row that cannot be read is among the warnings."""
    expected: Expected = json.loads(path.read_text(), parse_float=Decimal)
    match OfxReader().read(path.with_name(path.name.removesuffix(".expected.json")).read_bytes()):
        case Success(read):
            pass
        case failure:
            raise AssertionError(failure)
    accounts = [each for each in expected["accounts"] if each["kind"] != "investment"]
    assert len(read.batch.accounts) == len(accounts)
    for number, (batch, account) in enumerate(zip(read.batch.accounts, accounts, strict=True), 1):
        check_account(batch, account)
        check_balances(batch, account)
        check_rows(read, batch, account, f"statement {number}")


def check_account(batch: AccountBatch, expected: Expected) -> None:
    assert batch.account.provider_account_id == batch.account.number == expected["id"]
    assert str(batch.account.currency) == (expected["currency"] or "XXX")
    kind = "CREDITCARD" if expected["kind"] == "creditcard" else expected["type"] or "OTHER"
    assert batch.account.account_type == kind


def check_balances(batch: AccountBatch, expected: Expected) -> None:
    found = {balance.kind: balance for balance in batch.balances}
    ledger = found.get(BalanceKind.LEDGER)
    if expected["ledger_balance"] is None or day(expected["ledger_date"]) is None:
        assert ledger is None
    else:
        assert ledger is not None
        assert (plain(ledger.amount.amount), ledger.as_of) == (
            expected["ledger_balance"],
            day(expected["ledger_date"]),
        )
    available = found.get(BalanceKind.AVAILABLE)
    assert (available and plain(available.amount.amount)) == expected["available_balance"]


def check_rows(read: Statement, batch: AccountBatch, expected: Expected, statement: str) -> None:
    reported = {warning.where for warning in read.batch.warnings if warning.rule.endswith("unreadable")}
    rows = iter(batch.transactions)
    for number, row in enumerate(expected["transactions"], 1):
        if row["amount"] is None or day(row["date"]) is None:
            assert f"{statement}, transaction {number}" in reported
        else:
            check_row(next(rows), row)
    assert next(rows, None) is None


def check_row(found: TransactionData, expected: Expected) -> None:
    assert found.posted_date == day(expected["date"])
    assert plain(found.amount.amount) == expected["amount"]
    assert str(found.amount.currency) == expected["currency"]
    assert found.type == expected["type"].upper()
    assert (found.payee, found.memo) == (expected["payee"], expected["memo"])
    assert found.provider_transaction_id == expected["fitid"]
    assert (found.check_number, found.reference) == (expected["checknum"], expected["refnum"])
    assert (found.status == "PENDING") is expected["pending"]
    original = found.original_amount
    assert (original and str(original.currency)) == expected["orig_currency"]
    assert (found.exchange_rate and plain(found.exchange_rate)) == expected["currate"]


def plain(number: Decimal) -> str:
    return format(number, "f")


def day(text: str | None) -> date | None:
    """The day, or None where the file prints an impossible one."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
