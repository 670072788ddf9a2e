"""Units of work on a real PostgreSQL: what they leave behind, however they end."""

import asyncio
import random
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import text

from conftest import APP_ROLE, Database
from dashtam_core.audit import EntryFilter
from dashtam_core.testing._shared import BrokenError
from dashtam_core.testing.samples import ANN, account, actions_of, entry, event, have
from dashtam_postgres import PostgresStore
from dashtam_postgres._append import ROWS
from integration.postgres.acting import OWNER, acting


async def names(store: PostgresStore) -> list[str]:
    async with store.unit_of_work(ANN) as unit:
        return [each.account.name for each in await unit.accounts.list_accounts(after=None, limit=10)]


@pytest.mark.parametrize("early", [True, False])
async def test_an_entry_that_cannot_be_written_undoes_the_change(store: PostgresStore, *, early: bool) -> None:
    """Where writing what was handed over fails, nothing is committed, and the unit can be used again."""
    unit = store.unit_of_work(ANN)

    async def change() -> None:
        async with unit:
            await unit.accounts.add_accounts([account("one")])
            unit.outbox.add([event("1")])
            unit.trail.add(entry(request_id="\0"))
            if early:
                await unit.flush()

    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        await change()
    assert await names(store) == []
    async with unit:
        await unit.accounts.add_accounts([account("two")])
    assert (await names(store), await actions_of(store)) == (["account two"], [])


async def test_an_error_that_was_passed_over_commits_nothing(store: PostgresStore) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK after an error: whoever swallowed that error is told."""

    async def change() -> None:
        async with store.unit_of_work(ANN) as unit:
            await unit.accounts.add_accounts([account("one")])
            with suppress(asyncpg.UndefinedTableError):
                await unit.raw.execute("SELECT FROM nowhere")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await change()
    assert await names(store) == []


@pytest.mark.parametrize("rows", [ROWS, ROWS + 1, 3 * ROWS + 5])
async def test_any_number_of_entries_is_written_whole(store: PostgresStore, rows: int) -> None:
    """More than a statement holds are written as well, on their own or in a unit, all or none."""
    good = [entry(str(number)) for number in range(rows)]
    await store.audit.record(good)
    for last in (entry("good"), entry(request_id="\0")):
        with suppress(asyncpg.CharacterNotInRepertoireError):
            await store.audit.record([*good, last])
        with suppress(asyncpg.CharacterNotInRepertoireError):
            async with store.unit_of_work(ANN) as unit:
                for each in (*good, last):
                    unit.trail.add(each)
                unit.outbox.add([event("1")])
    found = await store.audit.entries(EntryFilter(), after=None, limit=1_000)
    assert len(found) == rows + 2 * (rows + 1)


async def test_a_connection_comes_back_as_it_was(store: PostgresStore) -> None:
    """After SQLAlchemy worked inside a unit its own transactions work as ever: a rollback undoes."""
    await have(store, ANN, account("one"))
    for _ in range(store.engine.pool.size()):  # type: ignore[attr-defined] # it is a queue's
        async with store.engine.connect() as connection:
            await connection.execute(text("SELECT set_config('app.subject', 'x', true)"))
            still = await connection.scalar(text("SELECT current_setting('app.subject')"))
            assert still == "x", "the first statement began a transaction that the second is in"
    assert await names(store) == ["account one"]


async def test_a_storm_of_cancellations_leaves_nothing_open(store: PostgresStore, database: Database) -> None:
    """Wherever it strikes, each connection comes back, and none stays in a transaction."""
    chance = random.Random(11)

    async def work(number: int) -> None:
        await store.audit.record([entry(f"attempt {number}")])
        async with store.unit_of_work(ANN) as unit:
            await unit.accounts.add_accounts([account(str(number))])
            unit.trail.add(entry(str(number)))
            unit.outbox.add([event(str(number))])
            if number % 7 == 0:
                raise BrokenError

    async def cancelled(number: int) -> None:
        task = asyncio.create_task(work(number))
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    await asyncio.gather(*[cancelled(number) for number in range(300)])
    async with acting(database, OWNER) as owner:
        idle = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state LIKE 'idle in transaction%'"
        assert await owner.fetchval(idle, APP_ROLE) == 0
        seen = await owner.fetch(
            "SELECT a.name = 'account ' || e.action AND o.payload IS NOT NULL AS agree FROM account a "
            "FULL JOIN audit_entry e ON a.name = 'account ' || e.action "
            "FULL JOIN outbox o ON o.payload = '{\"text\":\"' || e.action || '\"}' "
            "WHERE e.action IS NULL OR e.action NOT LIKE 'attempt%'"
        )
    assert all(row["agree"] for row in seen)
    await asyncio.gather(*[names(store) for _ in range(30)])


@pytest.mark.parametrize("schema", ['a"b', "a; DROP", "", "x" * 64])
def test_a_schema_that_could_do_harm_is_refused(store: PostgresStore, schema: str) -> None:
    """Its name goes into statements, so it is letters, digits, _ and - only."""
    with pytest.raises(ValueError, match="no name for a schema"):
        PostgresStore(store.engine, schema=schema)
