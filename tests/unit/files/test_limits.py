"""Files made to hurt: they are read or refused, and never without end."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from dashtam_core.accounts import ImportCode
from dashtam_files import OfxReader
from unit.files.documents import HEADER, document, many, refusal, response, row, rules, statement, warnings

SIZE = 2_000_000
PATIENCE = 60
"""Seconds. Reading is a matter of one or two; work that grows with the square of these sizes takes hours."""


@contextmanager
def no_hang() -> Generator[None]:
    """Gives up on what would not come to an end."""

    def give_up(*_: object) -> None:
        pytest.fail(f"still reading after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
def test_hostile_text_comes_to_an_end(hostile: str) -> None:
    """Tags never closed, unfinished markup and endless values neither recurse nor run for hours."""
    with no_hang():
        OfxReader().read(f"{HEADER}<OFX>{hostile}".encode())


def test_hostile_beginnings_come_to_an_end() -> None:
    """Looking for a header does not run for hours in a file that has none."""
    with no_hang():
        for text in ("OFXHEADER:", "<?OFX ", "<OFX ", "<a:", "VERSION:"):
            OfxReader().read((text * (SIZE // len(text))).encode())


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


def test_many_rows_are_all_read() -> None:
    """Ten thousand rows come out as ten thousand, without a warning."""
    data = document(response("".join(many(10_000)))).encode()
    assert len(statement(data).batch.accounts[0].transactions) == 10_000
    assert not rules(data)
