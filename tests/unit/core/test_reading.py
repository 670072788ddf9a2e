"""Which reader reads a file, as a profile directs, beside the event loop, and again from what was kept."""

import asyncio
import threading
from collections.abc import Sequence

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import (
    AccountsCode,
    DocumentId,
    ImportCode,
    ImportFailed,
    ImportStatement,
    ListTransactions,
    ReadDocument,
    Reading,
    ReadingStoppedError,
    Statement,
    StatementReader,
    StatementReaders,
    checkpoint,
)
from dashtam_core.accounts._reading import READING_THREADS, READING_WAITING
from dashtam_core.audit import EntryFilter, ListAuditEntries
from dashtam_core.identity import OPERATOR, ExternalSubject
from dashtam_core.kernel import Failure, Result, Success, new_id
from dashtam_core.testing.samples import LinesPlugin, LinesReader, lines

COFFEE = lines("account;DE1", "row;2026-01-05;-2;coffee")
ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")


class Wide(LinesReader):
    """A reader of everything, that a profile directs."""

    name = "wide"

    def __init__(self, profile: str = "") -> None:
        self.profile = profile

    def recognizes(self, data: bytes, /) -> bool:
        return True

    def directed(self, profile: str, /) -> Result[StatementReader, ImportFailed]:
        return Success(Wide(profile))

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        match super().read(data):
            case Success(statement):
                return Success(attrs.evolve(statement, format=f"wide {self.profile}"))
            case failed:
                return failed


def read(readers: Sequence[StatementReader], profile: str | None = None) -> str:
    match StatementReaders(readers).read(COFFEE, profile):
        case Success(statement):
            return statement.format
        case Failure(refused):
            return refused.code


def test_the_widest_reader_is_asked_last() -> None:
    """A reader that takes profiles leaves a file to any other that knows it, whichever came first."""
    assert read([Wide(), LinesReader()]) == "LINES 1"
    assert read([Wide()]) == "wide "


def test_a_profile_goes_to_the_reader_that_it_names() -> None:
    """Whoever else recognizes the file, the reader of the profile's format reads it."""
    assert read([LinesReader(), Wide()], 'format = "wide"') == 'wide format = "wide"'


@pytest.mark.parametrize(
    "profile", ["", 'format = "lines"', "no toml", "x = " + "[" * 50_000, f"x = {'9' * 5_000}"]
)
def test_a_profile_that_directs_nobody_is_refused(profile: str) -> None:
    """Its format is none that takes profiles, or it is no TOML document: nothing is read without it."""
    assert read([LinesReader(), Wide()], profile) == ImportCode.PROFILE_INVALID


async def test_a_reading_ends_when_nobody_waits_for_it() -> None:
    """Cancelling the caller ends the reader at its next checkpoint."""
    reading, begun, ended = Reading(), threading.Event(), threading.Event()

    def work() -> Result[int, ImportFailed]:
        begun.set()
        try:
            while True:
                checkpoint()
        except ReadingStoppedError:
            ended.set()
            raise

    task = asyncio.create_task(reading.run(work))
    assert await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 30)
    reading.close()


async def test_no_more_files_wait_than_may() -> None:
    """Beyond the queue a reading is refused at once; when there is room again, it is taken."""
    reading, go = Reading(), threading.Event()

    def work() -> Result[bool, ImportFailed]:
        return Success(go.wait(30))

    some = [asyncio.create_task(reading.run(work)) for _ in range(READING_THREADS + READING_WAITING)]
    await asyncio.sleep(0)
    match await reading.run(work):
        case Failure(refused):
            assert refused.code is ImportCode.TOO_BUSY
        case _:
            pytest.fail("taken beyond the limit")
    go.set()
    assert await asyncio.gather(*some) == [Success(True)] * len(some)
    assert await reading.run(work) == Success(True)
    reading.close()


async def test_what_was_imported_is_read_again_from_what_was_kept() -> None:
    """The bytes come back to their owner alone, with an entry, and a profile makes another reading of them."""
    async with Dashtam.open(
        settings=Settings(), plugins=[LinesPlugin(LinesReader()), LinesPlugin(Wide())]
    ) as dashtam:
        me = dashtam.acting_as(ANN)
        report = (await me.execute(ImportStatement(COFFEE))).unwrap()
        id_ = report.document.document_id
        kept = (await me.ask(ReadDocument(id_))).unwrap()
        assert kept == COFFEE
        again = (await me.execute(ImportStatement(kept, profile='format = "wide"', again=True))).unwrap()
        assert again.document.document_id == id_
        assert (again.already_imported, again.document.format) == (False, 'wide format = "wide"')
        assert len((await me.ask(ListTransactions())).unwrap().items) == 1
        for who, which in ((dashtam.acting_as(BEN), id_), (me, DocumentId(new_id()))):
            refused = (await who.ask(ReadDocument(which))).failure()
            assert refused.code is AccountsCode.IMPORT_NOT_FOUND
        operator = dashtam.acting_as(ExternalSubject("operator", OPERATOR))
        entries = (await operator.ask(ListAuditEntries(EntryFilter(user_id=ANN.user_id)))).unwrap().items
        assert "read_document" in {each.entry.action for each in entries}
