"""Dates and amounts as banks print them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from unit.files.documents import account, document, response, row, rules, transaction, transactions, warnings

DAY = date(2026, 1, 15)


@pytest.mark.parametrize(
    "printed",
    [
        "20260115",
        " 20260115 ",
        "20260115235959",
        "20260115235959.123[-5:EST]",
        "20260115000000[+5.5:IST]",
        "20260115000000[0:GMT]",
        "202601151200",
        "2026011512",
        "2026-01-15",
        "2026/01/15",
        "2026-01-15T10:30:00Z",
        "20260115120000[-:EST]",
        "20260115120000[EST]",
        "20260115240000",
        "20260115093914:014",
    ],
)
def test_the_posted_date_is_the_day_as_printed(printed: str) -> None:
    """No time and no zone ever moves a row to another day."""
    assert transaction(DTPOSTED=printed).posted_date == DAY


@pytest.mark.parametrize(
    ("printed", "instant"),
    [
        ("20260115120000[-5:EST]", datetime(2026, 1, 15, 17, tzinfo=UTC)),
        ("20260115235900[-3:BRT]", datetime(2026, 1, 16, 2, 59, tzinfo=UTC)),
        ("20260115120000.250[0:GMT]", datetime(2026, 1, 15, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("20260115120000[+5.5:IST]", datetime(2026, 1, 15, 6, 30, tzinfo=UTC)),
        ("20260115120000[5.75]", datetime(2026, 1, 15, 6, 15, tzinfo=UTC)),
        ("20260115120000[-3.30:NST]", datetime(2026, 1, 15, 15, 30, tzinfo=UTC)),
        ("20260115120000[-0.5:XXX]", datetime(2026, 1, 15, 12, 30, tzinfo=UTC)),
        ("202601151200[-5", datetime(2026, 1, 15, 17, tzinfo=UTC)),
        ("20260115120000", None),
        ("20260115", None),
        ("20260115[-5:EST]", None),
        ("20260115120000[-:EST]", None),
        ("20260115120000[-99:XXX]", None),
        ("20260115250000[-5:EST]", None),
    ],
)
def test_an_instant_needs_a_time_and_a_zone(printed: str, instant: datetime | None) -> None:
    """The instant is known only where the bank prints both; a missing zone is not taken for GMT."""
    assert transaction(DTPOSTED=printed).posted_at == instant


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "00000000",
        "20260231",
        "201120000000",
        "2026011",
        "202601151",
        "15.01.2026",
        "15012026",
        "00010101",
        "never",
        "2026011\N{FULLWIDTH DIGIT FIVE}",
    ],
)
def test_a_row_without_a_readable_date_is_reported_and_left_out(printed: str) -> None:
    """No date is guessed, also not from the day the person acted."""
    data = document(response(row() + row(DTPOSTED=printed, DTUSER="20260114")))
    (warning,) = (each for each in warnings_of(data) if each[0] == "transaction_date_unreadable")
    assert warning == ("transaction_date_unreadable", "statement 1, transaction 2", printed or None)
    assert len(transactions(row() + row(DTPOSTED=printed))) == 1


def warnings_of(data: str) -> list[tuple[str, str, str | None]]:
    return [(each.rule, each.where, each.raw) for each in warnings(data)]


@pytest.mark.parametrize(
    ("printed", "amount"),
    [
        ("-12.50", "-12.50"),
        ("+5.00", "5.00"),
        ("-80", "-80"),
        ("-12.0", "-12.0"),
        ("0.00", "0.00"),
        ("-0.00", "0.00"),
        ("-5,00", "-5.00"),
        ("-8.95000", "-8.95000"),
        ("-24,9900", "-24.9900"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1'234.56", "1234.56"),
        ("1\N{RIGHT SINGLE QUOTATION MARK}234.56", "1234.56"),
        ("1 234,56", "1234.56"),
        ("1\N{NO-BREAK SPACE}234,56", "1234.56"),
        ("1\N{NARROW NO-BREAK SPACE}234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("12,34,567.89", "1234567.89"),
        ("(12.00)", "-12.00"),
        ("12.5-", "-12.5"),
        ("- 5,00", "-5.00"),
        ("\N{MINUS SIGN}5.00", "-5.00"),
        ("R$ 5,00", "5.00"),
        ("-R$ 1.005,00", "-1005.00"),
        ("R$ -5,00", "-5.00"),
        ("($1,200.00)", "-1200.00"),
        ("$120", "120"),
        ("5,00 €", "5.00"),
        ("EUR 5.00", "5.00"),
        ("   -11,76", "-11.76"),
        ("1.234", "1.234"),
        ("1,234", "1.234"),
        ("0.123", "0.123"),
        ("1234.567", "1234.567"),
        ("9" * 38, "9" * 38),
        ("-" + "9" * 36 + ".25", "-" + "9" * 36 + ".25"),
    ],
)
def test_an_amount_keeps_its_sign_and_its_digits(printed: str, amount: str) -> None:
    """The number means what the bank wrote, to the last printed digit."""
    read = transaction(TRNAMT=printed).amount.amount
    assert (str(read), read.is_signed()) == (amount, amount.startswith("-"))


@pytest.mark.parametrize(
    "printed",
    [
        *(
            "",
            ".",
            "-",
            "abc",
            "NaN",
            "Infinity",
            "1e5",
            "1_000",
            "0x10",
            "5 apples",
            "1 2",
            "\N{FULLWIDTH DIGIT ONE}",
        ),
        *("12.34.56", "1,2,3", "1.5.2", "--5", "-(5)", "(5", "5)", "-5-", "9" * 39, "0." + "1" * 40),
    ],
)
def test_a_row_without_a_readable_amount_is_reported_and_left_out(printed: str) -> None:
    """An amount that cannot be read is never taken for zero."""
    data = document(response(row(TRNAMT=printed)))
    assert warnings_of(data) == [("transaction_amount_unreadable", "statement 1, transaction 1", printed or None)]


@pytest.mark.parametrize(
    ("ambiguous", "other", "amount"),
    [
        ("1.234", "12,50", "1234"),
        ("1.234", "1.234,56", "1234"),
        ("1.234", "1.234.567", "1234"),
        ("1,234", "12.50", "1234"),
        ("1,234", "1,234.56", "1234"),
        ("1.234", "12.50", "1.234"),
        ("1,234", "12,50", "1.234"),
        ("1.234", "80", "1.234"),
        ("1.234", "R$ 12,50", "1234"),
        ("0.234", "12,50", "0.234"),
        ("12.34", "12,50", "12.34"),
    ],
)
def test_other_amounts_decide_what_a_lone_mark_means(ambiguous: str, other: str, amount: str) -> None:
    """A mark between thousands is told from a decimal mark by the rest of the document, in either order."""
    for rows in (row(TRNAMT=ambiguous) + row(TRNAMT=other), row(TRNAMT=other) + row(TRNAMT=ambiguous)):
        assert Decimal(amount) in {each.amount.amount for each in transactions(rows)}


@pytest.mark.parametrize("tag", ["trnamt", "ofx:TRNAMT", "TRNAMT "])
def test_tags_in_any_spelling_prove_what_a_lone_mark_means(tag: str) -> None:
    """The rest of the document counts however its tags are written."""
    data = document(response(row(TRNAMT="1.234") + row(TRNAMT="200,00"))).replace("TRNAMT", tag)
    assert [str(each.amount.amount) for each in account(data).transactions] == ["1234", "200.00"]


def test_a_document_that_mixes_marks_keeps_lone_marks_decimal() -> None:
    """Some banks print points and commas in one file, by the system a row came from."""
    rows = row(TRNAMT="-12.80") + row(TRNAMT="-200,00") + row(TRNAMT="1.234")
    assert [str(each.amount.amount) for each in transactions(rows)] == ["-12.80", "-200.00", "1.234"]


def test_optional_dates_that_cannot_be_read_are_unknown() -> None:
    """A bad user or availability date costs that date alone; zeros mean that there is none."""
    read = transaction(DTUSER="20260114", DTAVAIL="20260116120000[-5:EST]")
    assert (read.transaction_date, read.value_date) == (date(2026, 1, 14), date(2026, 1, 16))
    data = document(response(row(DTUSER="20269999", DTAVAIL="00000000")))
    assert rules(data) == ["date_unreadable"]
