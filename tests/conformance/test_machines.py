"""Random operations on the store in memory and on PostgreSQL, which give the same answers."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

import dashtam_postgres
from conftest import Database
from dashtam_core.kernel import Subject
from dashtam_core.memory import open_memory_store
from dashtam_core.messaging import Handover
from dashtam_core.store import Store
from dashtam_core.testing._machine import store_machine
from dashtam_core.testing._shared import BrokenError
from dashtam_core.testing.samples import ANN, BEN, account, balance, event, have, row, tell

FULL = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
pytestmark = pytest.mark.timeout(3600 if FULL else 400)  # a failure takes up to five minutes to be told simply
TABLES = (
    "match annotation holding transaction balance account import_document credential address person "
    "rate_limit root_key person_key idempotency outbox subscriber inbox audit_checkpoint audit_leaf audit_entry"
)
EMPTY = "; ".join(f'DELETE FROM dashtam."{table}"' for table in TABLES.split())
GUARDED = "SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = 'append_only'"
FEWER = settings() if FULL else settings(max_examples=25)
TestMemoryStore = store_machine(open_memory_store).TestCase
TestMemoryStore.settings = FEWER


async def empty(database: Database) -> None:
    """Takes everything out, the audit trail too: its owner takes down what guards it."""
    owner = await asyncpg.connect(database.admin_url)
    try:
        for (table,) in await owner.fetch(GUARDED):
            await owner.execute(f"DROP TRIGGER append_only ON {table}")
        await owner.execute(EMPTY)
    finally:
        await owner.close()


def test_postgres_answers_as_memory_does(database: Database) -> None:
    """Whatever people do in whatever order, PostgreSQL and the reference implementation say the same."""

    @asynccontextmanager
    async def emptied() -> AsyncGenerator[Store]:
        """One database for all: to empty it takes a millisecond, and to make another one fifty."""
        await empty(database)
        async with dashtam_postgres.open_store(database.app_url) as store:
            yield store

    run_state_machine_as_test(store_machine(emptied), settings=FEWER)


@pytest.mark.parametrize("what", ["transaction", "balance"])
async def test_what_another_has_is_refused_like_what_they_have_not(store: Store, what: str) -> None:
    """Nobody learns from a refusal that does not come what is in another person's account."""
    (his,) = await have(store, BEN, account("his"))

    async def add(person: Subject) -> None:
        async with store.unit_of_work(person) as unit:
            if what == "balance":
                await unit.accounts.add_balances([balance(his, "1")])
            else:
                await unit.transactions.add(None, {his.account_id: [row("coffee")]})

    await add(BEN)
    with pytest.raises(Exception):  # noqa: B017, PT011 - each store has its own way to refuse
        await add(ANN)


@pytest.mark.parametrize("retry_in", [0.0, None], ids=["retried", "dead"])
async def test_what_failed_is_not_told_once_it_is_not_wanted(store: Store, retry_in: float | None) -> None:
    """Who wants an event no more, and then again, hears of it from then on: not of what failed before."""
    await store.deliveries.register({"mail": ["Noted"], "index": ["Noted"]})
    await tell(store, event("1"))
    handover: Handover | None = None
    with suppress(BrokenError):
        async with store.deliveries.next_for("mail") as handover:
            raise BrokenError
    assert handover is not None
    await store.deliveries.failed(handover, "mail", "broken", retry_in=retry_in)
    await store.deliveries.register({"mail": []})
    assert list(await store.deliveries.dead(limit=9)) == []
    await store.deliveries.register({"mail": ["Noted"]})
    assert await store.deliveries.retry() == 0
    async with store.deliveries.next_for("mail") as again:
        assert again is None
