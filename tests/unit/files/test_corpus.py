"""Real files of banks, read against what several independent parsers agree they hold."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.accounts import (
    AccountBatch,
    BalanceKind,
    InvestmentDetail,
    SecurityId,
    SecurityScheme,
    Statement,
    TransactionData,
)
from dashtam_core.kernel import Success
from dashtam_files import OfxReader

CORPUS = Path(__file__).resolve().parents[3].parent / "shared/corpus/ofx"
EXPECTED = sorted(CORPUS.rglob("*.expected.json"))
ACTIONS = {"BUYMF": {"BUY"}, "SELLMF": {"SELL"}, "TRANSFER": {"TRANSFER_IN", "TRANSFER_OUT"}}
RETIREMENT_ACCOUNT = "0123456"
"""The expected values know no such type; its file gives the balances of a 401(k)."""

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
    assert len(read.batch.accounts) == len(expected["accounts"])
    for number, (batch, account) in enumerate(zip(read.batch.accounts, expected["accounts"], strict=True), 1):
        check_account(batch, account)
        check_balances(batch, account)
        check_rows(read, batch, account, f"statement {number}")
        check_holdings(batch, account)


def check_account(batch: AccountBatch, expected: Expected) -> None:
    assert batch.account.provider_account_id == batch.account.number == expected["id"]
    assert str(batch.account.currency) == (expected["currency"] or "XXX")
    kind = {"creditcard": "CREDITCARD", "investment": "INVESTMENT"}.get(expected["kind"], expected["type"])
    retirement = expected["id"] == RETIREMENT_ACCOUNT
    assert batch.account.account_type == ("RETIREMENT" if retirement else kind or "OTHER")


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
    cash = found.get(BalanceKind.CASH)
    assert (cash and plain(cash.amount.amount)) == expected.get("cash_balance")


def check_rows(read: Statement, batch: AccountBatch, expected: Expected, statement: str) -> None:
    reported = {warning.where for warning in read.batch.warnings if warning.rule.endswith("unreadable")}
    rows = iter(batch.transactions)
    for number, row in enumerate(expected["transactions"], 1):
        if (row["amount"] is None and row.get("units") is None) or day(row["date"]) is None:
            assert f"{statement}, transaction {number}" in reported
        else:
            check_row(next(rows), row)
    assert next(rows, None) is None


def check_row(found: TransactionData, expected: Expected) -> None:
    assert found.posted_date == day(expected["date"])
    assert plain(found.amount.amount) == (expected["amount"] or "0")  # where only units move there is no amount
    assert str(found.amount.currency) == expected["currency"]
    assert (found.payee, found.memo) == (expected.get("payee"), expected["memo"])
    assert found.provider_transaction_id == expected["fitid"]
    assert (found.check_number, found.reference) == (expected.get("checknum"), expected.get("refnum"))
    assert (found.status == "PENDING") is expected["pending"]
    original = found.original_amount
    assert (original and str(original.currency)) == expected.get("orig_currency")
    assert (found.exchange_rate and plain(found.exchange_rate)) == expected.get("currate")
    if found.investment is None:
        assert found.type == expected["type"].upper()
    else:
        check_investment(found.investment, expected)


def check_investment(found: InvestmentDetail, expected: Expected) -> None:
    assert found.action in ACTIONS[expected["type"]]
    assert found.security is not None
    assert SecurityId(SecurityScheme(expected["security_id_type"]), expected["security_id"]) in found.security.ids
    assert (found.units is not None and plain(found.units)) == expected["units"]
    assert (found.unit_price and plain(found.unit_price.amount)) == expected["unit_price"]
    assert (found.commission and plain(found.commission.amount)) == expected["commission"]
    assert found.settle_date == day(expected["settle_date"])


def check_holdings(batch: AccountBatch, expected: Expected) -> None:
    found = [
        {
            "security_id": next(each.value for each in held.security.ids if each.scheme == "CUSIP"),
            "units": plain(held.units),
            "unit_price": held.unit_price and plain(held.unit_price.amount),
            "market_value": held.market_value and plain(held.market_value.amount),
            "date": str(held.price_as_of),
        }
        for held in batch.holdings
    ]
    positions = expected.get("positions", [])
    assert found == [{name: each[name] for name in each if name != "type"} for each in positions]


def plain(number: Decimal) -> str:
    return format(number, "f")


def day(text: str | None) -> date | None:
    """The day, or None where the file prints an impossible one."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
