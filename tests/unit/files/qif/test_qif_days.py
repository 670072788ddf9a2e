"""The days of QIF: their notations, and how the order of day and month is found."""

import pytest

from dashtam_core.accounts import ImportCode
from unit.files.qif.qif_documents import dated, days, directed, refusal, warnings


@pytest.mark.parametrize(
    ("expected", "notations"),
    [
        ("2024-01-31", ["1/31/24", "31/1/24", "31.1.24", "31. 1. 2024", "2024-01-31", "20240131", "31-Jan-2024"]),
        ("2024-01-31", ["2024/1/31 10:15:00", "1/31/2024T9:15 AM"]),
        ("2024-02-03", ["3 February 2024"]),
        ("1998-12-31", ["98-12-31", "12/31/98"]),
        ("2020-02-20", ["2/20'20", "2/20'2020", "2/20/20"]),
        ("2005-02-02", [" 2/ 2/05"]),
        ("2000-01-01", ["1/ 1' 0"]),
        ("2069-12-31", ["12/31/69"]),
        ("1970-12-31", ["12/31/70"]),
    ],
)
def test_days_are_read_as_quicken_and_banks_write_them(expected: str, notations: list[str]) -> None:
    """Every notation is one calendar day, and its century is the plausible one."""
    assert [days(dated(each)) for each in notations] == [[expected]] * len(notations)


@pytest.mark.parametrize(
    "printed", ["", "31/31/24", "2024", "0/0/00", "1/2/3/4", "30/2/2024", "1/2/1024", "x" * 99, "31-Foo-24"]
)
def test_an_unreadable_day_is_reported_and_its_row_left_out(printed: str) -> None:
    """The other rows are read."""
    text = dated("2024-01-30", printed, "2024-01-31")
    assert days(text) == ["2024-01-30", "2024-01-31"]
    assert warnings(text) == [("transaction_date_unreadable", "account 1, transaction 2", printed or None)]


def test_one_number_above_12_settles_every_day() -> None:
    """The whole document counts, also its other accounts and statement days."""
    assert days(dated("01/02/2024", "13/02/2024")) == ["2024-02-01", "2024-02-13"]
    assert days(dated("01/02/2024", "02/13/2024")) == ["2024-01-02", "2024-02-13"]
    assert days(dated("01/02/24") + dated("25/12/23", header="!Type:CCard")) == ["2024-02-01", "2023-12-25"]
    assert days("!Account\nNMain\n/31/01/24\n^\n" + dated("01/02/24")) == ["2024-02-01"]


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (["10/01/24", "05/02/24", "07/02/24"], ["2024-01-10", "2024-02-05", "2024-02-07"]),
        (["07/02/24", "05/02/24", "10/01/24"], ["2024-02-07", "2024-02-05", "2024-01-10"]),
        (["01/10/24", "02/05/24", "02/07/24"], ["2024-01-10", "2024-02-05", "2024-02-07"]),
        (["5/5/24", "6/6/24"], ["2024-05-05", "2024-06-06"]),
        (["01.02.2024"], ["2024-02-01"]),
        (["01.02.2024", "02.13.2024"], ["2024-01-02", "2024-02-13"]),
    ],
)
def test_further_evidence_decides(printed: list[str], expected: list[str]) -> None:
    """Points mean day first; rows in order of time under one reading only are read so; equal readings do."""
    assert days(dated(*printed)) == expected


@pytest.mark.parametrize(
    "printed", [["01/02/2024"], ["01/02/2024", "02/03/2024"], ["1/2'24"], ["01/02/24", "02/02/24", "03/02/24"]]
)
def test_what_fits_both_readings_is_refused(printed: list[str]) -> None:
    """Nothing is guessed: the message names both readings and the way out."""
    error = refusal(dated(*printed))
    assert error.code is ImportCode.READING_AMBIGUOUS
    assert f"({printed[0]} is 2024-02-01 or 2024-01-02)" in error.message
    assert 'date_order = "DMY"' in error.message
    assert days(dated(*printed), directed('format = "qif"\ndate_order = "DMY"'))[0] == "2024-02-01"
    assert days(dated(*printed), directed('format = "qif"\ndate_order = "MDY"'))[0] == "2024-01-02"


def test_days_that_contradict_each_other_are_refused() -> None:
    """With a profile those that do not fit it are reported."""
    text = dated("13/01/2024", "01/14/2024")
    assert "13/01/2024 and 01/14/2024" in refusal(text).message
    assert days(text, directed('format = "qif"\ndate_order = "MDY"')) == ["2024-01-14"]
