"""Files made to hurt: they are read or refused, and never without end."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event

import pytest

from dashtam_core.accounts import ImportCode, ImportFailed, Reading, ReadingStoppedError, Statement
from dashtam_core.kernel import Result
from dashtam_files import OfxReader
from unit.files.documents import (
    HEADER,
    account,
    document,
    many,
    refusal,
    response,
    row,
    rules,
    statement,
    warnings,
)

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
        "<INVSTMTRS><BUYMF>" + "<SECID>" * (SIZE // 7),
        "<INVSTMTRS>" + "<POSMF>" * (SIZE // 7),
        "<SECLIST>" + "<MFINFO><SECID><UNIQUEID>1</MFINFO>" * (SIZE // 35),
        "<STMTENDRS>" + "<CLOSING>" * (SIZE // 9),
        "<!" * (SIZE // 2),
        "<STMTTRN><TRNTYPE>POS<DTPOSTED>" + " " * SIZE,
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
        ("<STMTTRN>" * 1_000_001, "more than 1,000,000 transactions"),
        ("<STMTRS>" * 1_001, "more than 1,000 accounts"),
        ("<stmttrn>" * 1_000_001, "more than 1,000,000 transactions"),
        (f"<INVSTMTRS>{'<BUYMF></BUYMF>' * 1_000_001}", "more than 1,000,000 transactions"),
        ("<STMTTRNRS>" * 1_001, "more than 1,000 accounts"),
        ("<" * 30_000_000, "30,000,002 tags"),
    ],
)
def test_a_file_beyond_the_limits_is_refused(body: str, count: str) -> None:
    """Tags are counted before any work is done; rows and accounts beyond the limit end it."""
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


ROWS = "".join(many(2_000))


@pytest.mark.parametrize(
    "written",
    [
        ROWS.lower().replace("corner bakery", "Corner Bakery").replace("debit", "DEBIT"),
        ROWS.replace("</STMTTRN>", ""),
        ROWS.replace("</STMTTRN>", f"</STMTTRN><!-- {'<STMTTRN>' * 9} -->"),
        ROWS.replace("Corner Bakery", "<![CDATA[Corner Bakery]]>"),
        ROWS.replace("<STMTTRN>", "<ofx:STMTTRN >"),
        ROWS.replace("</STMTTRN>", "<IMAGEDATA><NAME>x</IMAGEDATA></STMTTRN>"),
        ROWS.replace("</STMTTRN>", f"{' ' * 50_000}</STMTTRN>", 3),
        ROWS.replace("Corner", "Cor\0ner"),
    ],
    ids=range(8),
)
def test_where_a_document_is_divided_changes_nothing(written: str) -> None:
    """Documents are read in pieces, and what stands across two of them is read as anything else."""
    assert account(document(response(written))) == account(document(response(ROWS)))


async def test_a_reading_that_nobody_waits_for_ends() -> None:
    """Whoever asked for it has gone, and its thread is free for others."""
    data, began, stopped = document(response("".join(many(100_000)))).encode(), Event(), Event()

    def work() -> Result[Statement, ImportFailed]:
        began.set()
        try:
            return OfxReader().read(data)
        except ReadingStoppedError:
            stopped.set()
            raise

    reading = Reading()
    waiting = asyncio.create_task(reading.run(work))
    await asyncio.to_thread(began.wait, PATIENCE)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(stopped.wait, PATIENCE)
    reading.close()
