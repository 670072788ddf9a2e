"""Real files of banks, read against what several independent parsers agree they hold."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.accounts import AccountBatch, ImportCode, TransactionData
from unit.files.camt.documents import refusal, statement

CORPUS = Path(__file__).resolve().parents[4].parent / "shared/corpus"
EXPECTED = sorted(CORPUS.glob("camt05?/**/*.expected.json"))
KINDS = {
    "OPBD": "OPENING_BOOKED",
    "PRCD": "OPENING_BOOKED",
    "CLBD": "CLOSING_BOOKED",
    "ITBD": "INTERIM_BOOKED",
    "OPAV": "AVAILABLE",
    "CLAV": "CLOSING_AVAILABLE",
    "ITAV": "INTERIM_AVAILABLE",
    "FWAV": "EXPECTED",
    "XPCD": "EXPECTED",
}
# They name the account itself, by its number, as the creditor of a debit; the agreed payee is then its own owner.
OWN_AS_PAYEE = {"camt052.v4.xml", "camt052.v6.xml", "camt052.v6.Amt-zero.xml"} | {
    "camt053/viafintech+camt_parser/valid_example.xml",
    "valid_example_with_debit.xml",
}

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the corpus of real statements is not at hand")

type Expected = Mapping[str, Any]


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_real_file_is_read_as_agreed(path: Path) -> None:
    """Accounts, balances and every row are as expected; a row that cannot be read is among the warnings."""
    expected: Expected = json.loads(path.read_text(), parse_float=Decimal)
    source = path.with_name(path.name.removesuffix(".expected.json"))
    if expected["outcome"] == "error":
        assert refusal(source.read_bytes()).code is ImportCode.FILE_UNREADABLE
        return
    read = statement(source.read_bytes())
    assert read.format.startswith(expected["accounts"][0]["kind"].upper())
    rules = {warning.where: warning.rule for warning in read.batch.warnings}
    for number, (batch, account) in enumerate(zip(read.batch.accounts, expected["accounts"], strict=True), 1):
        assert batch.account.number == account["id"]
        assert str(batch.account.currency) == (account["currency"] or "XXX")
        check_balances(batch, account)
        rows = iter(batch.transactions)
        for at, row in enumerate(account["transactions"], 1):
            rule = rules.get(f"statement {number}, entry {at}")
            if rule == "transaction_date_unreadable":
                assert row["date"] is None
            else:
                check_row(next(rows), row, booked=rule != "booking_date_missing", source=source)
        assert next(rows, None) is None


def check_balances(batch: AccountBatch, expected: Expected) -> None:
    codes = {each["type"] for each in expected["balances"]}
    left_out = {"INFO", "PRCD"} if "OPBD" in codes else {"INFO"}
    found = [
        (each.kind.value, plain(each.amount.amount), str(each.amount.currency), str(each.as_of))
        for each in batch.balances
    ]
    assert found == [
        (KINDS[each["type"]], each["amount"], each["currency"], each["date"])
        for each in expected["balances"]
        if each["type"] not in left_out
    ]


def check_row(found: TransactionData, expected: Expected, *, booked: bool, source: Path) -> None:
    if booked:
        assert found.posted_date == day(expected["date"])
    else:
        assert expected["date"] is None
        assert found.posted_date in {found.value_date, day(source.name[:10])}
    assert found.value_date == day(expected["value_date"])
    assert (plain(found.amount.amount), str(found.amount.currency)) == (expected["amount"], expected["currency"])
    assert found.provider_transaction_id == expected["fitid"]
    assert (found.status == "PENDING", found.reversal) == (expected["pending"], expected["reversal"])
    assert (found.bank_transaction_code or "").replace("-", "/").startswith(expected["domain"] or "")
    if expected["batch_count"] > 1:
        assert len(found.details) == expected["batch_count"]
        texts = (found.memo, *(part.description for part in found.details))
        assert any(expected["memo"] in text for text in texts if text)
        payees = {part.counterparty.name for part in found.details if part.counterparty}
    else:
        payees = {found.payee}
        check_payment(found, expected)
    if expected["payee"] and not any(source.match(f"**/{name}") for name in OWN_AS_PAYEE):
        assert expected["payee"] in payees


def check_payment(found: TransactionData, expected: Expected) -> None:
    assert found.memo == expected["memo"]
    assert found.reference == expected["reference"] or expected["reference"] is None
    assert (found.end_to_end_id or "NOTPROVIDED") == (expected["end_to_end_id"] or "NOTPROVIDED")


def plain(number: Decimal) -> str:
    return format(number, "f")


def day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
