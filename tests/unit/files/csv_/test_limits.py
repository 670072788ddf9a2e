"""Odd, damaged and hostile files: bounded, and answered with a value."""

import csv
import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import ImportCode, ImportFailed, Statement
from dashtam_core.kernel import Failure, Success
from dashtam_files._text import MAX_FIELD
from dashtam_files.csv import CsvReader, propose

HEADER = "Date,Description,Amount,Running Bal.\n"
ROW = '01/02/2026,"Shop, the ""big"" one",-5.00,95.00\n'


def read(data: bytes) -> Statement | ImportFailed:
    """The statement or the refusal, whichever it is, checked for what holds of both."""
    CsvReader().recognizes(data)
    propose(data)
    match CsvReader().read(data):
        case Success(statement):
            repr(statement).encode()
            return statement
        case Failure(error):
            assert "\n" not in error.message
            return error


def rules(statement: Statement | ImportFailed) -> set[str]:
    assert isinstance(statement, Statement), statement
    return {warning.rule for warning in statement.batch.warnings}


def test_a_quote_that_is_never_closed_costs_its_row_alone() -> None:
    """The rows below it are read; a file that ends inside a quoted field was cut short."""
    statement = read((HEADER + ROW + '01/03/2026,"Shop,-1.00,94.00\n' + ROW * 30).encode())
    assert "quote_unclosed" in rules(statement)
    assert isinstance(statement, Statement)
    assert len(statement.batch.accounts[0].transactions) == 32
    cut = read((HEADER + ROW * 3 + '01/03/2026,"Sho').encode())
    assert isinstance(cut, ImportFailed)
    assert cut.code is ImportCode.FILE_TRUNCATED


def test_a_file_of_unclosed_quotes_is_read_row_by_row() -> None:
    """Each is reported, and looking for its end takes a few lines, not the file."""
    statement = read((HEADER + '01/03/2026,"Shop\n' * 20_000).encode())
    assert isinstance(statement, ImportFailed) or not statement.batch.accounts[0].transactions


def test_text_over_several_lines_is_one_field() -> None:
    """Banks print addresses so."""
    statement = read((HEADER + '01/02/2026,"Shop\r\nStreet 1",-5.00,95.00\r\n').encode())
    assert isinstance(statement, Statement)
    (row,) = statement.batch.accounts[0].transactions
    assert (row.description or "").split() == ["Shop", "Street", "1"]


@pytest.mark.parametrize("odd", ["Sh\0op", "S" * 20_000])
def test_odd_text_is_read_around(odd: str) -> None:
    """The row is read with what can be kept of it."""
    statement = read((HEADER + ROW.replace("Shop", odd) + ROW).encode())
    assert isinstance(statement, Statement)
    assert ("text_cut" in rules(statement)) is (len(odd) > MAX_FIELD)
    row, _ = statement.batch.accounts[0].transactions
    assert row.description
    assert len(row.description) <= MAX_FIELD
    assert "\0" not in row.description


def test_a_return_inside_a_line_is_a_space() -> None:
    """Some programs write one within a text without quotes."""
    statement = read((HEADER + "01/13/2026,Shop\rStreet,-5.00,95.00\r\n").encode())
    assert isinstance(statement, Statement)
    assert [row.description for row in statement.batch.accounts[0].transactions] == ["Shop Street"]
    assert "quote_unclosed" not in rules(statement)


@pytest.mark.parametrize("body", [",x" * 300 + "\n", "x" * 2_000_000, ("y" * 90 + ",") * 20_000])
def test_tables_of_no_bank_are_refused(body: str) -> None:
    """Too many columns, or a line without end."""
    assert isinstance(read((HEADER + ROW + body).encode()), ImportFailed)
    assert isinstance(read(body.encode()), ImportFailed)


def test_lines_that_end_as_on_an_old_macintosh_and_utf_16_are_read() -> None:
    """Spreadsheets still write both."""
    for data in ((HEADER + ROW).replace("\n", "\r").encode(), (HEADER + ROW).encode("utf-16")):
        statement = read(data)
        assert isinstance(statement, Statement)
        assert len(statement.batch.accounts[0].transactions) == 1


@given(
    st.binary(max_size=300), st.sampled_from([b"", (HEADER + ROW).encode(), b"\xff\xfe", b'a;"', b"\xef\xbb\xbf"])
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes, before: bytes) -> None:
    """Whatever stands in a file, the answer is a value."""
    read(before + data)


CELL = st.sampled_from(
    [
        *(
            "",
            "2026-01-02",
            "31/12/99",
            "1,5",
            "-2.50",
            "EUR",
            "C",
            '"',
            "amount",
            "Datum",
            "DE89370400440532013000",
        ),
        *("9" * 40, "1e5", "NaN", "+", "(1)", "٣", "1" * 9, "12.12.12", "Saldo", "x\ty", "٠٣/٠٣/٢٠٢٦", "99:99"),
    ]
)


@given(st.lists(st.lists(CELL, min_size=1, max_size=6), max_size=12), st.sampled_from(",;\t|"))
@settings(max_examples=400, deadline=None)
def test_no_table_makes_the_reader_raise(rows: list[list[str]], delimiter: str) -> None:
    """Cells of every kind in any place are read or refused."""
    read("\n".join(delimiter.join(row) for row in rows).encode())


WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=20).map(str.strip)
BOOKING = st.tuples(
    st.dates(date(1990, 1, 1), date(2068, 12, 31)), WORDS, st.decimals(Decimal(-99999), Decimal(99999), places=2)
)


@given(st.lists(BOOKING, min_size=1, max_size=20), st.sampled_from(",;\t"), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back_equal(
    bookings: list[tuple[date, str, Decimal]], delimiter: str, comma: bool
) -> None:
    """Days, texts, amounts and the balances at both ends, whatever the delimiter and the decimal mark."""
    file, balance = io.StringIO(newline=""), Decimal(1000)
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["Buchungsdatum", "Beschreibung", "Betrag (EUR)", "Saldo"])
    bookings.sort(key=lambda booking: booking[0])
    for day, text, amount in bookings:
        balance += amount
        numbers = [str(each).replace(".", ",") if comma else str(each) for each in (f"{amount:+}", balance)]
        writer.writerow([f"{day:%d.%m.%Y}", text, *numbers])
    statement = read(file.getvalue().encode())
    assert isinstance(statement, Statement), statement
    (batch,) = statement.batch.accounts
    found = [(row.posted_date, row.description, row.amount.amount) for row in batch.transactions]
    assert found == [(day, text or None, amount) for day, text, amount in bookings]
    if len(bookings) > 1:
        assert {each.amount.amount for each in batch.balances} == {Decimal(1000), balance}
