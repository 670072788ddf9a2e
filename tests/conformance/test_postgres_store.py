"""The PostgreSQL store on a real server, held to the suite that every store is held to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core.testing import StoreConformance
from dashtam_core.testing._outbox import hear_of, overdue
from dashtam_core.testing.samples import ANN, BEN, event, tell
from dashtam_postgres import PostgresStore
from dashtam_postgres._deliveries import _OVERDUE
from integration.postgres.acting import OWNER, WORKER, acting

_MANY = """
INSERT INTO outbox (event_id, user_id, name, payload, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'Noted', '{}', now() FROM generate_series(1, 6000)
"""
_HAD = "INSERT INTO inbox SELECT event_id, 'mail', true, 1 FROM outbox"


class TestPostgresStore(StoreConformance):
    """Its `database` is the fixture of the whole test run: a fresh migrated one for each test."""

    @pytest.fixture
    async def opened(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as opened:
            yield opened

    @pytest.fixture
    async def store(self, opened: AsyncExitStack, database: Database) -> PostgresStore:
        return await opened.enter_async_context(dashtam_postgres.open_store(database.app_url))

    @pytest.fixture
    def reopen(self, opened: AsyncExitStack, database: Database) -> Callable[[], Awaitable[PostgresStore]]:
        async def again() -> PostgresStore:
            await opened.aclose()
            return await opened.enter_async_context(dashtam_postgres.open_store(database.app_url))

        return again


async def test_an_event_that_commits_late_is_not_passed_by(store: PostgresStore) -> None:
    """What committed first but began later is told; looking for what is overdue comes back to the other."""
    await store.deliveries.register({"mail": ["Noted"], "stuck": ["Noted"]})
    low, high = event("low"), event("high", BEN)
    async with store.unit_of_work(ANN) as unit:
        unit.outbox.add([low])
        await unit.flush()
        await tell(store, high)
        assert await overdue(store) == [high.event_id]
        assert await hear_of(store, high) == high
        assert await overdue(store) == []
    assert await overdue(store) == [low.event_id]
    assert await hear_of(store, low) == low


async def test_what_is_overdue_is_found_without_going_through_what_others_wait_for(
    store: PostgresStore, database: Database
) -> None:
    """Once a minute is enough; from then on indexes say what is new, however much one subscriber waits for."""
    await store.deliveries.register({"mail": ["Noted"], "stuck": ["Noted"]})
    async with acting(database, OWNER) as owner:
        for statement in (_MANY, _HAD, "ANALYZE outbox", "ANALYZE inbox"):
            await owner.execute(statement)
    for told in ([], [event("1")]):
        await tell(store, *told)
        assert await overdue(store) == [each.event_id for each in told]
        *reached, _ = store.deliveries._reached["mail"]
        async with acting(database, WORKER) as worker:
            asked = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {_OVERDUE}"
            plan = "\n".join(line[0] for line in await worker.fetch(asked, "mail", *reached, 0.0, 100))
        assert "Seq Scan on outbox" not in plan, plan
        assert "Seq Scan on inbox" not in plan, plan
        assert int(plan.split("shared hit=")[1].split()[0]) < 60, plan
