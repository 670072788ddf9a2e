"""Real files of banks, read against what several independent parsers agree they hold."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from dashtam_core.accounts import AccountBatch, BalanceKind, TransactionData
from unit.files.mt940.documents import read

CORPUS = Path(__file__).resolve().parents[4].parent / "shared/corpus"
EXPECTED = sorted(CORPUS.glob("mt94[02]/**/*.expected.json"))

# Where the expectation is not what the file says, and why.
KNOWN: Final[dict[tuple[str, str], object]] = {
    # A :86: whose tag was damaged to :25: is no account; of the others the account itself names the currency.
    ("sepa_snippet_broken.sta", "id"): "50880050/0194787400888",
    ("account_identification_legacy.sta", "currency"): "EUR",
    ("currency_in_25.sta", "currency"): "EUR",
}
HIDDEN_STATEMENT = "two_accounts.txt"  # its third statement stands before a control character: it was overlooked
NO_CURRENCY_IN_CLOSING = "raphaelm.sta"  # the account's currency says it
WRONG_CHARSET = "raiffeisen-cmi.sta"  # Hungarian of DOS, expected as if it were Latin-1

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the corpus of real statements is not at hand")

type Expected = dict[str, Any]


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_real_file_is_read_as_agreed(path: Path) -> None:
    """Accounts, balances and every row are as expected, and what does not add up is reported."""
    expected: Expected = json.loads(path.read_text(), parse_float=Decimal)
    name = path.name.removesuffix(".expected.json")
    found = read(path.with_name(name).read_bytes()).batch
    batches = [
        each for each in found.accounts if name != HIDDEN_STATEMENT or "3462" not in str(each.account.number)
    ]
    for batch, account in zip(batches, expected["accounts"], strict=True):
        check_account(batch, account, name)
        rows = [row for row in account["transactions"] if not row.get("error")]
        for row, wanted in zip(batch.transactions, rows, strict=True):
            check_row(row, wanted, name)
    mismatches = [each for each in found.warnings if each.rule == "balance_mismatch"]
    assert len(mismatches) == sum(each.get("balances_reconcile") is False for each in expected["accounts"])
    left_out = [each for each in found.warnings if each.rule.startswith("transaction_")]
    assert len(left_out) == sum("error" in row for each in expected["accounts"] for row in each["transactions"])


def check_account(batch: AccountBatch, expected: Expected, name: str) -> None:
    wanted = {key: KNOWN.get((name, key), expected[key]) for key in ("id", "currency")}
    assert batch.account.provider_account_id == (wanted["id"] or "")
    assert batch.account.currency.code == (wanted["currency"] or "XXX")
    balances = {each.kind: each for each in batch.balances}
    for kind, key in (
        (BalanceKind.OPENING_BOOKED, "opening_balance"),
        (BalanceKind.CLOSING_BOOKED, "ledger_balance"),
        (BalanceKind.CLOSING_AVAILABLE, "available_balance"),
    ):
        if key != "ledger_balance" or name != NO_CURRENCY_IN_CLOSING:
            assert (kind in balances and format(balances[kind].amount.amount, "f")) == (expected[key] or False)
    if expected["ledger_date"]:
        assert balances[BalanceKind.CLOSING_BOOKED].as_of == date.fromisoformat(expected["ledger_date"])


def check_row(found: TransactionData, expected: Expected, name: str) -> None:
    day = expected["date"].replace("02-30", "02-29")
    assert (str(found.posted_date), str(found.value_date)) == (day, day)
    assert format(found.amount.amount, "f") == expected["amount"]
    assert found.amount.currency.code == (expected["currency"] or "XXX")
    assert found.provider_transaction_id == usable(expected["fitid"])
    code, reference = expected["type"], expected["reference"] or ""
    if code is None and reference[3:4] == " ":  # a code of two letters, padded
        code, reference = reference[:3].rstrip(), reference[4:]
    if reference[15:16] == " ":  # beyond the width of a reference is a name
        reference = reference[:16].rstrip()
    assert found.bank_transaction_code == (code if code != "S" else None)
    assert found.reference == usable(reference)
    memo = expected["memo"] or ""
    if name == WRONG_CHARSET:
        memo = memo.encode("latin-1").decode("cp852")
    assert set(memo.split()) <= set((found.description or "").split())


def usable(reference: str | None) -> str | None:
    return None if reference in {"", "NONREF"} else reference
