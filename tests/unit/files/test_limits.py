"""Files made to hurt: time and memory stay in proportion to their size."""

import time

import pytest

from dashtam_core.accounts import ImportCode
from dashtam_files import OfxReader
from unit.files.documents import HEADER, document, many, refusal, response, row, rules, statement, warnings

SIZE = 2_000_000
SECONDS_PER_MEGABYTE = 2.5


@pytest.mark.parametrize(
    "hostile",
    [
        "<A>" * (SIZE // 3),
        "<a>" * (SIZE // 3),
        "<STMTRS" * (SIZE // 7),
        "<" * SIZE,
        "</" * (SIZE // 2),
        "<a:" * (SIZE // 3),
        "<!--" * (SIZE // 4),
        "<![CDATA[" * (SIZE // 9),
        "<!-- -->" * (SIZE // 8),
        "&" * SIZE,
        "&#" * (SIZE // 2),
        "<" + "A" * SIZE,
        "<a" + " " * SIZE,
        "<STMTTRN>" + "<PAYEE>" * (SIZE // 7),
        "<STMTTRN><NAME>" + "x" * SIZE + "</STMTTRN></OFX>",
        "<STMTTRN><TRNAMT>" + "1," * (SIZE // 2) + "</STMTTRN></OFX>",
        "<STMTTRN>" * 200_000,
        "<STATUS><CODE>1" * (SIZE // 15),
        "<STMTRS>" * 900 + "<STMTTRN><DTPOSTED>20260101<TRNAMT>1.234</STMTTRN>" * 20_000 + "</OFX>",
    ],
    ids=lambda text: text[:24],
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    """Tags never closed, unfinished markup and endless values neither recurse nor blow up."""
    data = f"{HEADER}<OFX>{hostile}".encode()
    started = time.perf_counter()
    OfxReader().read(data)
    assert time.perf_counter() - started < SECONDS_PER_MEGABYTE * len(data) / 1e6


def test_hostile_beginnings_take_linear_time() -> None:
    """Looking for a header is cheap in a file that has none."""
    started = time.perf_counter()
    for text in ("OFXHEADER:", "<?OFX ", "<OFX ", "<a:", "VERSION:"):
        OfxReader().read((text * (SIZE // len(text))).encode())
    assert time.perf_counter() - started < SECONDS_PER_MEGABYTE * SIZE / 1e6


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("<STMTTRN>" * 1_000_001, "1,000,001 transactions"),
        ("<STMTRS>" * 1_001, "1,001 accounts"),
        ("<STMTTRNRS>" * 1_001, "1,001 accounts"),
        ("<" * 30_000_000, "30,000,002 tags"),
    ],
)
def test_a_file_beyond_the_limits_is_refused(body: str, count: str) -> None:
    """Rows and accounts are counted before any work is done."""
    error = refusal(f"{HEADER}<OFX>{body}</OFX>")
    assert error.code is ImportCode.FILE_TOO_LARGE
    assert count in error.message


def test_warnings_are_kept_within_bounds() -> None:
    """A thousand warnings are enough; the last says how many more there were."""
    data = document(response("".join(row(TRNAMT="?") for _ in range(1_200))))
    kept = warnings(data)
    assert len(kept) == 1_000
    assert (kept[-1].rule, kept[-1].raw) == ("more_warnings", "201 more")


def test_what_a_warning_quotes_is_short() -> None:
    """A warning never carries a field of any length."""
    (warning,) = warnings(document(response(row(TRNAMT="?" * 5_000))))
    assert warning.raw == "?" * 200


def test_ten_thousand_rows_take_less_than_a_second() -> None:
    """Reading is fast enough to be done while a person waits."""
    data = document(response("".join(many(10_000)))).encode()
    started = time.perf_counter()
    read = statement(data)
    assert time.perf_counter() - started < 1
    assert len(read.batch.accounts[0].transactions) == 10_000
    assert not rules(data)
