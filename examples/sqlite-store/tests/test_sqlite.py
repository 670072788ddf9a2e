"""What this store promises beyond the port: its file, and who else has it open."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path

import dashtam_sqlite.plugin
import pytest
from dashtam_sqlite import SqliteStore, open_store

from dashtam_core import Dashtam
from dashtam_core.accounts import ImportStatement, ListTransactions
from dashtam_core.audit import AUDIT_READ, AuditCode, Ed25519Signer, EntryFilter, Sealing, VerifyAuditLog
from dashtam_core.identity import EraseUser
from dashtam_core.kernel import Subject, Success, SystemClock, UnavailableCode, UnavailableError
from dashtam_core.messaging import KeptAnswer, KeyState
from dashtam_core.settings import Settings
from dashtam_core.testing.samples import (
    ANN,
    BEN,
    LinesPlugin,
    account,
    actions_of,
    document,
    entry,
    event,
    filler,
    have,
    hear,
    lines,
    row,
    tell,
    texts_of,
)

PLUGINS = (dashtam_sqlite.plugin, LinesPlugin())
STATEMENT = lines(
    "account;DE00 1234;EUR;Everyday",
    "row;2026-03-03;-4.50;Unforgettable Coffee",
    "row;2026-03-31;2500.00;Salary",
    "balance;2026-03-31;2495.50",
)
DIARY = "Dear diary, " * 1_000
WRITER = """
import asyncio, sys
from dashtam_core.testing.samples import ANN, account, entry
from dashtam_sqlite import open_store

async def main(path, name):
    async with open_store(path, busy_seconds=60) as store:
        for turn in range(20):
            async with store.unit_of_work(ANN) as unit:
                await unit.accounts.add_accounts([account("shared"), account(f"{name} {turn}")])
                unit.trail.add(entry(f"{name} {turn}"))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "finance.db"


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[SqliteStore]:
    async with open_store(path, busy_seconds=0.1) as store:
        yield store


async def refusal(work: Awaitable[object]) -> UnavailableError:
    with pytest.raises(UnavailableError) as refused:
        await work
    return refused.value


async def opened(path: Path) -> None:
    async with open_store(path):
        pass


async def added(store: SqliteStore, name: str) -> None:
    await have(store, ANN, account(name))


def by_hand(path: Path, statement: str, *values: object) -> None:
    """What somebody does who has the file, and SQLite's own shell."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def sealing(store: SqliteStore) -> Sealing:
    return Sealing(store.audit, lambda: Ed25519Signer.from_seed("example.com/sqlite", bytes(32)), SystemClock())


# -- the application ---------------------------------------------------------------------------------------------


async def test_a_statement_is_imported_once_and_is_there_when_opened_again(path: Path) -> None:
    """A URL is all that Dashtam needs; what was imported is kept, and the trail of it verifies."""
    settings = Settings(store_url=f"sqlite:///{path}", master_key="k" * 32)
    me = Subject(ANN.user_id, ANN.permissions | {AUDIT_READ})
    for again in (False, True):
        async with Dashtam.open(settings=settings, plugins=PLUGINS) as dashtam:
            actor = dashtam.acting_as(me)
            report = (await actor.execute(ImportStatement(STATEMENT, filename="march.txt"))).unwrap()
            assert (report.already_imported, report.document.added) == (again, 2)
            listed = (await actor.ask(ListTransactions())).unwrap()
            assert [str(each.amount) for each in listed.items] == ["2500.00 EUR", "-4.50 EUR"]
    async with Dashtam.open(settings=settings, plugins=PLUGINS) as dashtam:
        assert isinstance(await dashtam.acting_as(me).ask(VerifyAuditLog()), Success)


async def test_the_installed_package_is_found_by_its_url(path: Path) -> None:
    """No plugin is named: the entry point brings the scheme."""
    if "sqlite" not in entry_points(group="dashtam").names:
        pytest.skip("this package is not installed, so that nothing can be found by its entry point")
    async with Dashtam.open(settings=Settings(store_url=f"sqlite:///{path}", master_key="k" * 32)) as dashtam:
        assert isinstance(dashtam.store, SqliteStore)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:",
        "sqlite:finance.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/finance.db",
        "sqlite:///:memory:",
        "sqlite:///finance.db?mode=ro",
    ],
)
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(UnavailableError, match=r"write sqlite:///finance\.db") as refused:
        async with Dashtam.open(settings=Settings(store_url=url, master_key="k" * 32), plugins=PLUGINS):
            pass
    assert refused.value.code == UnavailableCode.STORE_NOT_CONFIGURED


async def test_who_is_erased_is_not_in_the_file_any_more(path: Path) -> None:
    """What is deleted is overwritten, in the file as in what is beside it."""
    settings = Settings(store_url=f"sqlite:///{path}", master_key="k" * 32)
    async with Dashtam.open(settings=settings, plugins=PLUGINS, workers=False) as dashtam:
        me = dashtam.acting_as(ANN)
        (await me.execute(ImportStatement(STATEMENT))).unwrap()
        (await me.execute(EraseUser())).unwrap()
        await dashtam.store.maintain()
        assert b"Unforgettable" not in b"".join(each.read_bytes() for each in path.parent.glob("finance.db*"))


# -- the file ----------------------------------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """It stays as it is."""
    path.write_text(DIARY)  # noqa: ASYNC240 - nothing else runs
    error = await refusal(opened(path))
    assert (error.code, path.name in error.message) == (UnavailableCode.STORE_UNREACHABLE, True)
    assert path.read_text() == DIARY  # noqa: ASYNC240 - nothing else runs


async def test_a_file_of_another_program_is_refused(path: Path) -> None:
    """It stays as it is."""
    by_hand(path, "CREATE TABLE diary (said TEXT)")
    before = path.read_bytes()  # noqa: ASYNC240 - nothing else runs
    assert (await refusal(opened(path))).code == UnavailableCode.STORE_NOT_CONFIGURED
    assert path.read_bytes() == before  # noqa: ASYNC240 - nothing else runs


async def test_a_newer_file_is_refused(path: Path) -> None:
    """The error says that the package is to be upgraded."""
    await opened(path)
    by_hand(path, "PRAGMA user_version = 2")
    error = await refusal(opened(path))
    assert error.code == UnavailableCode.STORE_NOT_MIGRATED
    assert "upgrade" in error.message


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """No folder is made for a path that may be a slip."""
    error = await refusal(opened(tmp_path / "nowhere" / "finance.db"))
    assert (error.code, "nowhere" in error.message) == (UnavailableCode.STORE_UNREACHABLE, True)


# -- somebody else -----------------------------------------------------------------------------------------------


async def test_processes_share_a_file(path: Path) -> None:
    """Several that make it and write to it at one time lose nothing and repeat nothing."""
    names = ("a", "b", "c")
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, path, name) for name in names]
    assert [await each.wait() for each in processes] == [0, 0, 0]
    async with open_store(path) as store:
        written = [f"{name} {turn}" for name in names for turn in range(20)]
        assert sorted(await actions_of(store)) == sorted(written)
        async with store.unit_of_work(ANN) as unit:
            assert len(await unit.accounts.list_accounts(after=None, limit=99)) == len(written) + 1


@pytest.mark.parametrize("where", ["in another process", "in this one"])
async def test_who_waits_too_long_is_told_so(store: SqliteStore, path: Path, where: str) -> None:
    """The store is busy while a unit of work is open elsewhere, and serves again when that is left."""
    async with open_store(path, busy_seconds=0.1) as beside:
        waiting = store if where == "in this one" else beside
        async with store.unit_of_work(ANN):
            assert (await refusal(added(waiting, "late"))).code == UnavailableCode.STORE_BUSY
        await added(waiting, "later")


async def test_an_event_is_delivered_once_whoever_is_told(store: SqliteStore, path: Path) -> None:
    """Of two that have the file open one gets the event, and what it failed at comes to the other."""
    await store.deliveries.register({"mail": ["Noted"]})
    one, two = event("1"), event("2")
    await tell(store, one, two)
    async with open_store(path, busy_seconds=0.1) as beside:
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            assert handover.event == one
            assert (await refusal(hear(beside, "mail"))).code == UnavailableCode.STORE_BUSY
        assert await hear(beside, "mail") == two
        assert await hear(store, "mail") is None


@pytest.mark.parametrize("table", ["audit_entries", "audit_leaves", "audit_checkpoints"])
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM {0}", "UPDATE {0} SET rowid = rowid + 1", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"],
)
async def test_the_trail_is_only_added_to(store: SqliteStore, path: Path, table: str, statement: str) -> None:
    """Whatever program has the file, it neither changes, replaces nor deletes what is in the trail."""
    await store.audit.record([entry("kept")])
    assert await sealing(store).seal() == 1
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        by_hand(path, statement.format(table))
    assert await actions_of(store) == ["kept"]


async def test_an_entry_that_was_slipped_in_is_found(store: SqliteStore, path: Path) -> None:
    """Sealing has gone past its place: it gets no leaf, and is told of as a stray."""
    await store.audit.record([entry("kept")])
    assert await sealing(store).seal() == 1
    columns = "attempt_id, occurred_at, recorded_at, user_id, phase, resource_type, channel, context"
    by_hand(
        path,
        f"INSERT INTO audit_entries (position, entry_id, action, {columns}) "
        f"SELECT 0, ?, 'slipped in', {columns} FROM audit_entries",
        str(entry().entry_id),
    )
    assert await sealing(store).seal() == 0
    strays = await store.audit.entries(EntryFilter(stray=True), after=None, limit=9)
    assert [each.action for each in strays] == ["slipped in"]


async def test_an_empty_tree_has_no_leaf_of_an_entry(store: SqliteStore) -> None:
    """Whoever asks for one before anything is sealed gets none."""
    one = entry("one")
    await store.audit.record([one])
    assert [leaf async for some in store.audit.leaves(size=0, only=one.entry_id) for leaf in some] == []


async def test_a_leaf_that_nobody_signed_stops_the_sealing(store: SqliteStore, path: Path) -> None:
    """Where the next leaf belongs stands another: that is told, and nothing is sealed over it."""
    await store.audit.record([entry("kept")])
    by_hand(path, "INSERT INTO audit_leaves VALUES (0, 0, 'forged', '', x'00')")
    assert (await refusal(sealing(store).seal())).code == AuditCode.AUDIT_TAMPERED
    assert list(await store.audit.checkpoints()) == []


# -- transactions ------------------------------------------------------------------------------------------------


async def test_nothing_is_committed_after_an_error_that_ended_the_transaction(
    store: SqliteStore, path: Path
) -> None:
    """SQLite may roll back by itself: whoever passes over that error is stopped, and keeps nothing of the unit."""
    by_hand(path, "CREATE TRIGGER full BEFORE INSERT ON documents BEGIN SELECT raise(ROLLBACK, 'full'); END")

    async def work() -> None:
        async with store.unit_of_work(ANN) as unit:
            await unit.accounts.add_accounts([account("before")])
            with suppress(sqlite3.IntegrityError):
                await unit.documents.add(document())
            await unit.accounts.add_accounts([account("after")])

    with pytest.raises(AssertionError, match="passed over"):
        await work()
    async with store.unit_of_work(ANN) as unit:
        assert await unit.accounts.list_accounts(after=None, limit=9) == []


async def test_who_is_cancelled_again_while_rolling_back_leaves_nothing(store: SqliteStore) -> None:
    """The rollback waits behind the statement that still runs, and comes although nobody waits for it."""
    (one,) = await have(store, ANN, account("one"))
    entered = asyncio.Event()

    async def work() -> None:
        async with store.unit_of_work(ANN) as unit:
            entered.set()
            await unit.transactions.add(None, {one.account_id: filler(2_000)})

    task = asyncio.create_task(work())
    await entered.wait()
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await texts_of(store, ANN) == []
    await added(store, "two")


async def test_a_row_names_no_document_of_another_person(store: SqliteStore) -> None:
    """Nor one that nobody has: the unit does not commit."""
    (hers,) = await have(store, ANN, account("hers"))
    his = document()
    async with store.unit_of_work(BEN) as unit:
        assert await unit.documents.add(his)

    async def work() -> None:
        async with store.unit_of_work(ANN) as unit:
            await unit.transactions.add(his.document_id, {hers.account_id: [row("coffee")]})

    with pytest.raises(sqlite3.IntegrityError):
        await work()


async def test_an_answer_is_kept_for_a_day(store: SqliteStore, path: Path) -> None:
    """Then its key is free again, kept house or not, and may be answered anew."""
    first, second = KeptAnswer(b"1", "1"), KeptAnswer(b"2", "2")
    async with store.unit_of_work(ANN) as unit:
        await unit.answers.keep("import", "key", first)
        await unit.answers.keep("import", "other", first)
    by_hand(
        path, "UPDATE answers SET kept_at = ?", (datetime.now(UTC) - timedelta(hours=24, seconds=1)).isoformat()
    )
    async with store.unit_of_work(ANN) as unit:
        assert await unit.answers.claim("import", "key") is KeyState.FREE
        await unit.answers.keep("import", "key", second)
    await store.maintain()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key, body ->> 'answer' FROM answers").fetchall() == [("key", "2")]
