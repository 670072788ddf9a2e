"""Dashtam inside somebody else's program: their engine, their schemas, several at once, nothing left behind."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import attrs
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import dashtam_postgres
from conftest import APP_ROLE, Database
from dashtam_core import Dashtam, Result, Settings, Success, UnavailableError, provide
from dashtam_core.accounts import ImportStatement, ListAccounts, StatementImported
from dashtam_core.audit import VerifyAuditLog
from dashtam_core.identity import ACCOUNTS_WRITE, OPERATOR, ExternalSubject
from dashtam_core.kernel import Permission
from dashtam_core.messaging import Command
from dashtam_core.store import UnitOfWork
from dashtam_core.testing.samples import LinesPlugin, lines
from dashtam_postgres import PostgresStore, PostgresUnit

KEY = "k" * 32
CONNECTED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
)
ANN = ExternalSubject("ann")
JUNE = lines("account;A", "row;2026-06-01;-12.50;coffee")


@pytest.fixture
async def engine(empty_database: Database) -> AsyncGenerator[AsyncEngine]:
    """Somebody's own engine, on a database with two schemas of Dashtam's."""
    for schema in ("spring", "autumn"):
        await dashtam_postgres.upgrade(empty_database.admin_url, app_role=APP_ROLE, schema=schema)
    made = create_async_engine(
        empty_database.app_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=5
    )
    yield made
    await made.dispose()


@asynccontextmanager
async def opened(engine: AsyncEngine, schema: str, **more: Any) -> AsyncGenerator[Dashtam]:
    async with (
        PostgresStore(engine, schema=schema) as store,
        Dashtam.open(settings=Settings(key=KEY), store=store, plugins=[LinesPlugin()], **more) as dashtam,
    ):
        yield dashtam


async def test_several_instances_share_a_process_and_nothing_else(engine: AsyncEngine) -> None:
    """Two schemas through one engine, and one in memory: each has its own data, events and trail."""
    heard: dict[str, list[str]] = {"spring": [], "autumn": [], "memory": []}
    reached = asyncio.Event()

    def hearing(name: str) -> Any:
        async def hear(_: StatementImported, __: object) -> None:
            heard[name].append(name)
            reached.set()

        return [StatementImported.delivered_to("watch", hear)]

    async with (
        opened(engine, "spring", subscriptions=hearing("spring")) as spring,
        opened(engine, "autumn", subscriptions=hearing("autumn")) as autumn,
        Dashtam.open(settings=Settings(), plugins=[], subscriptions=hearing("memory")) as memory,
    ):
        report = (await spring.acting_as(ANN).execute(ImportStatement(JUNE))).unwrap()
        assert report.document.added == 1
        await asyncio.wait_for(reached.wait(), 30)
        for other in (autumn, memory):
            assert (await other.acting_as(ANN).ask(ListAccounts())).unwrap().items == []
            assert await other.relay.deliver() == 0
        for each, entries in ((spring, 2), (autumn, 0), (memory, 0)):
            found = (await each.acting_as(ExternalSubject("op", OPERATOR)).ask(VerifyAuditLog())).unwrap()
            assert found.tree_size >= entries
    assert heard == {"spring": ["spring"], "autumn": [], "memory": []}


async def test_nothing_is_left_behind(engine: AsyncEngine) -> None:
    """Opened and closed again and again, an instance leaves no task, no thread and no connection."""
    before = threading.active_count()

    async def watch(_: StatementImported, __: object) -> None:
        pass

    for _ in range(5):
        async with opened(engine, "spring", subscriptions=[StatementImported.delivered_to("w", watch)]) as dashtam:
            await dashtam.acting_as(ANN).execute(ImportStatement(JUNE))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert threading.active_count() <= before + 8  # the loop's own pool of threads, which parsing used
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined] # of the queue pool
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")  # a transaction would see what was
    async with engine.connect() as connection, asyncio.timeout(30):
        # The server hears of a closed connection a little later.
        while await connection.scalar(CONNECTED) != engine.pool.checkedin() + 1:  # type: ignore[attr-defined] # as above
            await connection.execute(text("SELECT pg_sleep(0.01)"))


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt])
async def test_an_error_of_the_program_goes_through(error: type[BaseException]) -> None:
    """What ends the block is what the program sees, and Dashtam is closed all the same."""
    dashtam: Dashtam | None = None
    with pytest.raises(error, match="theirs"):
        async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
            raise error("theirs")
    assert dashtam is not None
    with pytest.raises(Exception, match="closed"):
        await dashtam.ping()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_store_that_is_not_ready_is_refused(engine: AsyncEngine) -> None:
    """Whoever hands over a store that cannot serve hears of it when opening, not with the first request."""
    with pytest.raises(UnavailableError, match="has no Dashtam tables"):
        async with PostgresStore(engine, schema="winter"):
            pass
    with pytest.raises(UnavailableError, match="has no Dashtam tables"):
        async with Dashtam.open(
            settings=Settings(key=KEY), store=PostgresStore(engine, schema="winter"), plugins=[]
        ):
            pass


@attrs.frozen
class Notes:
    """A repository of the program's own, on the connection of the unit of work."""

    unit: UnitOfWork

    async def add(self, words: str) -> None:
        unit = cast("PostgresUnit", self.unit)
        await unit.connection.execute(text("INSERT INTO public.notes VALUES (:words)"), {"words": words})


@attrs.frozen
class TakeNote(Command[int, Exception]):
    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "note"
    words: str


@attrs.frozen
class TakeNoteHandler:
    notes: Notes

    async def apply(self, command: TakeNote, /) -> Result[int, Exception]:
        await self.notes.add(command.words)
        if not command.words:
            raise ValueError("nothing to note")
        return Success(len(command.words))


async def test_a_table_of_their_own_is_in_the_same_transaction(
    engine: AsyncEngine, empty_database: Database
) -> None:
    """Their repository writes through the unit of work: with the audit outcome, or not at all."""
    owner = create_async_engine(empty_database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with owner.begin() as connection:
        await connection.execute(text("CREATE TABLE public.notes (words text)"))
        await connection.execute(text(f"GRANT SELECT, INSERT ON public.notes TO {APP_ROLE}"))
    await owner.dispose()
    own = {"routes": [TakeNote.handled_by(TakeNoteHandler)], "overrides": [provide(Notes).by(Notes)]}
    async with opened(engine, "spring", **own) as dashtam:
        assert (await dashtam.acting_as(ANN).execute(TakeNote("milk"))).unwrap() == 4
        with pytest.raises(ValueError, match="nothing to note"):
            await dashtam.acting_as(ANN).execute(TakeNote(""))
    async with engine.connect() as connection:
        assert list(await connection.scalars(text("SELECT words FROM public.notes"))) == ["milk"]
