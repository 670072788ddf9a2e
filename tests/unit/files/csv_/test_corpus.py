"""Real files of banks: their structure as agreed, and each read plausibly or refused with its reason."""

import json
from pathlib import Path

import pytest

from dashtam_core.accounts import ImportCode
from dashtam_core.kernel import Failure, Success
from dashtam_files._text import decoded
from dashtam_files.csv import CsvReader
from dashtam_files.csv._table import Sheet, by_bookings, width

CORPUS = Path(__file__).resolve().parents[4].parent / "shared/corpus/csv"
EXPECTED = sorted(CORPUS.rglob("*.expected.json"))

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the corpus of real statements is not at hand")

AMBIGUOUS = {
    "20180226_12345678.csv": "one row, whose day and month are both at most 12",
    "dba33fceecd62c3c727893361e0ba4d3.P000000027355791.csv": "no header, one amount without a sign",
    "statement_1.csv": "no header, one amount without a sign",
    "test_delimiter_tab.csv": "no header, two columns of amounts of which nothing says which is which",
    "test_row_format_default.csv": "no header, two columns of amounts of which nothing says which is which",
}
MASKED = {  # their digits were all replaced by 1: the year 1111 is no bank's
    "TH_20180101-20180523_page_1.csv",
    "TH_20180101-20180523_strana_1.csv",
    "TH_20180521-20180523.csv",
}
OTHERWISE = {"Movements_1234512345_201805271848.csv": (";", 19)}
"""The expectation splits the decimal commas of a file whose columns are set apart by semicolons."""


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_real_file_is_read_or_refused_as_it_should_be(path: Path) -> None:
    """Delimiter, columns and header are as agreed; each row is read or reported; doubt is named."""
    file = path.with_name(path.name.removesuffix(".expected.json"))
    expected, data = json.loads(path.read_text()), file.read_bytes()
    result = CsvReader().read(data)
    if file.name in AMBIGUOUS or file.name in MASKED:
        assert isinstance(result, Failure)
        code = ImportCode.FORMAT_UNKNOWN if file.name in MASKED else ImportCode.READING_AMBIGUOUS
        assert result.failure().code is code
    else:
        assert isinstance(result, Success)
        batch = result.unwrap().batch
        left_out = {each.where for each in batch.warnings if each.rule.startswith("transaction_")}
        rows = sum(len(each.transactions) for each in batch.accounts)
        assert rows + len(left_out) + expected["preamble_lines"] >= expected["rows_incl_header"] // 2
        assert all(row.description for each in batch.accounts for row in each.transactions)
    if file.name not in MASKED:
        seen = by_bookings(Sheet(decoded(data)))
        assert seen
        assert (seen.delimiter, max(len(seen.names), width(row for _, row in seen.rows()))) == OTHERWISE.get(
            file.name, (expected["delimiter"], expected["columns"])
        )
        if seen.names:
            assert len(seen.above) == expected["preamble_lines"]
