"""What `CsvWriter` writes, as the CSV reader of the standard library reads it."""

import csv
import io
from datetime import date
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import Annotation, Counterparty, ExportedAccount, TransactionStatus
from dashtam_core.kernel import Currency, Money
from dashtam_core.testing import samples
from dashtam_files import CsvReader
from dashtam_files.writers import CsvWriter
from unit.files.writers.exports import accounts, exported, row, written

TEXTS = ("description", "payee", "memo", "reference", "end_to_end_id", "check_number", "provider_transaction_id")


def table(*some: ExportedAccount) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(CsvWriter(), *some), newline=""), strict=True))


def as_it_was(cell: str) -> str:
    """A text as the writer's documentation says it is had back."""
    bare = cell.lstrip("'")
    return cell[1:] if cell.startswith("'") and bare.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


@given(st.lists(accounts(), max_size=3))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back(some: list[ExportedAccount]) -> None:
    """Every row of every account, void ones too, with its days, its amount digit by digit, and its words."""
    rows = [(each.account, row) for each in some for row in each.transactions]
    lines = table(*some)
    assert len(lines) == len(rows)
    for (account, row_), line in zip(rows, lines, strict=True):
        assert line["account_id"] == str(account.account_id)
        assert as_it_was(line["account_name"]) == account.name
        assert line["transaction_id"] == str(row_.transaction_id)
        assert date.fromisoformat(line["posted_date"]) == row_.posted_date
        assert Decimal(line["amount"]) == row_.amount.amount
        assert as_it_was(line["currency"]) == row_.amount.currency.code
        assert (line["status"], line["type"]) == (row_.status.value, row_.type.value)
        for name in TEXTS:
            assert as_it_was(line[name]) == (getattr(row_, name) or "")


def test_our_own_reader_reads_it() -> None:
    """Days, amounts, statuses and ids come in again as they were."""
    rows = row(), row("=Tea", 2, "10", payee="Ann"), row("Cake", 3, status=TransactionStatus.PENDING)
    some = exported(*rows)
    (batch,) = CsvReader.installed().read(written(CsvWriter(), some).encode()).unwrap().batch.accounts
    assert [
        (each.posted_date, each.amount, each.status, each.provider_transaction_id) for each in batch.transactions
    ] == [(each.posted_date, each.amount, each.status, str(each.transaction_id)) for each in some.transactions]


@given(accounts())
@settings(max_examples=40, deadline=None)
def test_no_text_begins_as_a_formula(some: ExportedAccount) -> None:
    """No cell but a number or a day begins with a character that a spreadsheet takes for a formula."""
    numbers = {"amount", "original_amount", "running_balance", "exchange_rate"}
    for line in table(some):
        assert not any(cell[:1] in set("=+-@\t\r") for name, cell in line.items() if name not in numbers if cell)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-1"])
def test_formulas_begin_with_an_apostrophe(text: str) -> None:
    """The cell is text to a spreadsheet, and the text can be had back."""
    (line,) = table(exported(row(text)))
    assert line["description"] == f"'{text}"
    assert as_it_was(line["description"]) == text


@pytest.mark.parametrize("text", ["it's", "'quoted'", "a=b", "1-2", 'Café, "Bar"\r\nBerlin'])
def test_other_texts_are_as_they_were(text: str) -> None:
    """Nothing is put before what no spreadsheet runs, and what the format needs is quoted."""
    (line,) = table(exported(row(text)))
    assert line["description"] == text


def test_numbers_are_never_touched() -> None:
    """Money that leaves begins with a minus and nothing else, padded as its currency has it."""
    assert [line["amount"] for line in table(exported(row(amount="-4.5"), row(amount="1E+3")))] == [
        "-4.50",
        "1000.00",
    ]


def test_lines_end_as_the_standard_says() -> None:
    """CRLF after every line, the header first, no mark at the beginning."""
    text = written(CsvWriter(), exported(row(), row("Tea")))
    assert text.startswith("account_id,account_name,")
    assert text.count("\r\n") == text.count("\n") == 3


def test_unknown_is_empty() -> None:
    """An account's and a row's unknown facts are empty cells, and no line has more or fewer cells."""
    (line,) = table(exported(row()))
    assert (line["account_mask"], line["value_date"], line["memo"], line["tags"]) == ("", "", "", "")
    assert line["reversal"] == "false"


def test_all_that_is_known() -> None:
    """What only some sources say has its columns, the person's own words among them."""
    other = Counterparty(name="Ben", account="DE00 1234", bic="BANKDEFF")
    original = Money(Decimal("-5.123456789012345678"), Currency("ETH"))
    changed = row(original_amount=original, exchange_rate=Decimal("0.87"), mcc="5814", posted_at=samples.NOON)
    changed = attrs.evolve(changed, value_date=date(2026, 3, 4), transaction_date=date(2026, 3, 5))
    some = exported(row(counterparty=other, reversal=True), changed)
    own = Annotation(
        transaction_id=some.transactions[0].transaction_id, category="Food", note="-", tags=("a", "b")
    )
    object.__setattr__(some.transactions[0], "annotation", own)
    first, second = table(some)
    assert (first["counterparty_name"], first["counterparty_account"], first["reversal"]) == (
        "Ben",
        "DE00 1234",
        "true",
    )
    assert (first["annotated_category"], first["note"], first["tags"]) == ("Food", "'-", "a, b")
    assert (second["original_amount"], second["original_currency"]) == ("-5.123456789012345678", "ETH")
    assert (second["exchange_rate"], second["mcc"]) == ("0.87", "5814")
    assert (second["value_date"], second["transaction_date"]) == ("2026-03-04", "2026-03-05")
    assert second["posted_at"] == samples.NOON.isoformat()


def test_void_rows_and_other_units_are_there() -> None:
    """Nothing is left out: the status and the unit say what a row is."""
    (line,) = table(exported(row(status=TransactionStatus.VOID, unit=Currency("BTC"), amount="0.00000001")))
    assert (line["status"], line["amount"], line["currency"]) == ("VOID", "0.00000001", "BTC")
