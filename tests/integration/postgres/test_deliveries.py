"""The outbox on a real PostgreSQL: the order of commits, several processes, and what a crash leaves."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, cast

import asyncpg
import pytest

import dashtam_postgres
from conftest import APP_ROLE, Database
from dashtam_core.messaging import Handover, StoredEvent
from dashtam_core.testing._outbox import give_up, stumble
from dashtam_core.testing._shared import PATIENCE, BrokenError
from dashtam_core.testing.samples import ANN, BEN, account, event, have, hear, hear_all, tell
from dashtam_postgres import PostgresStore, _connect
from dashtam_postgres._deliveries import _NEXT
from dashtam_postgres._unit import PostgresUnit
from integration.postgres.acting import OWNER, WORKER, acting

LONG = 3600.0


@pytest.fixture
async def other(database: Database) -> AsyncGenerator[PostgresStore]:
    """The same database, as another process has it."""
    async with dashtam_postgres.open_store(database.app_url, pool_size=3) as opened:
        yield opened


def raw_of(handover: Handover) -> "asyncpg.Connection[Any]":
    """The connection that a delivery works on."""
    return cast("PostgresUnit", handover.unit).raw


async def left(database: Database) -> tuple[int, int]:
    """Rows of the outbox and of the inbox."""
    async with acting(database, WORKER) as worker:
        counts = [await worker.fetchval(f"SELECT count(*) FROM {table}") for table in ("outbox", "inbox")]
    return counts[0], counts[1]


async def test_a_late_commit_is_not_overtaken(store: PostgresStore) -> None:
    """What committed first but began later waits, and is counted as held back; then both come in order."""
    await store.deliveries.register({"mail": ["Noted"]})
    low, high = event("low"), event("high", BEN)
    async with store.unit_of_work(ANN) as unit:
        unit.outbox.add([low])
        await unit.flush()
        await tell(store, high)
        assert await hear(store, "mail") is None
        lag = await store.deliveries.lag()
        assert (lag.waiting, lag.held_back) == (1, 1)
    assert (await store.deliveries.lag()).held_back == 0
    assert await hear_all(store, "mail") == [low, high]


async def test_two_processes_take_turns(store: PostgresStore, other: PostgresStore) -> None:
    """Whoever comes while another delivers to a subscriber gets nothing; together each event is heard once."""
    await store.deliveries.register({"mail": ["Noted"], "index": ["Noted"]})
    told = [event(str(number)) for number in range(40)]
    await tell(store, *told)
    async with store.deliveries.next_for("mail"):
        assert await hear(other, "mail") is None
        assert await hear(other, "index") == told[0]
    heard = list[StoredEvent]()

    async def listen(by: PostgresStore) -> None:
        while (await store.deliveries.lag()).waiting:
            heard.extend([each for name in ("mail", "index") if (each := await hear(by, name)) is not None])

    await asyncio.wait_for(asyncio.gather(listen(store), listen(other)), PATIENCE)
    assert sorted(each.payload for each in heard) == sorted(each.payload for each in told[1:] * 2)


async def test_what_everybody_has_is_taken_out(store: PostgresStore, database: Database) -> None:
    """The last to get an event clears it away; a dead letter keeps it."""
    await store.deliveries.register({"mail": ["Noted"], "index": ["Noted"]})
    await tell(store, event("1"), event("2"))
    await hear_all(store, "mail")
    assert await left(database) == (2, 2)
    await hear(store, "index")
    assert await left(database) == (1, 1)
    await give_up(store, "index")
    assert await left(database) == (1, 2)
    await store.maintain()
    assert await left(database) == (1, 2)
    assert await store.deliveries.retry() == 1
    await hear(store, "index")
    assert await left(database) == (0, 0)


async def test_maintenance_takes_out_what_nobody_misses(store: PostgresStore, database: Database) -> None:
    """What two last ones left to each other goes at once, what nobody wants after an hour."""
    await store.deliveries.register({"mail": ["Noted"]})
    await tell(store, event("1"), event("young", name="Moved"), event("old", name="Moved"), event("wanted"))
    async with acting(database, OWNER) as owner:
        await owner.execute(
            "UPDATE outbox SET created_at = now() - interval '61 minutes' WHERE payload LIKE '%old%'"
        )
        await owner.execute(
            "UPDATE outbox SET created_at = now() - interval '1 day' WHERE payload LIKE '%wanted%'"
        )
        await owner.execute(
            "INSERT INTO inbox SELECT event_id, 'mail', true, 1 FROM outbox WHERE payload = '{\"text\":\"1\"}'"
        )
    await store.maintain()
    async with acting(database, WORKER) as worker:
        rows = await worker.fetch("SELECT payload FROM outbox ORDER BY position")
    assert [row["payload"] for row in rows] == ['{"text":"young"}', '{"text":"wanted"}']


async def test_a_delivery_works_as_the_events_person(store: PostgresStore) -> None:
    """In the unit of a handover row-level security shows that person's rows, and the worker's rights are gone."""
    await have(store, ANN, account("hers"))
    await have(store, BEN, account("his"))
    await store.deliveries.register({"mail": ["Noted"]})
    await tell(store, event("1", BEN))
    async with store.deliveries.next_for("mail") as handover:
        assert handover is not None
        raw = raw_of(handover)
        assert await raw.fetchval("SELECT current_user") == APP_ROLE
        assert [row["name"] for row in await raw.fetch("SELECT name FROM account")] == ["account his"]


async def test_an_error_that_was_passed_over_fails_the_delivery(store: PostgresStore) -> None:
    """A subscriber that goes on after an error of the database has done nothing: the event comes again."""
    await store.deliveries.register({"mail": ["Noted"]})
    one = event("1")
    await tell(store, one)

    async def deliver() -> None:
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            with pytest.raises(asyncpg.UndefinedTableError):
                await raw_of(handover).execute("SELECT FROM nowhere")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await deliver()
    assert await hear_all(store, "mail") == [one]


async def test_an_event_erased_while_it_is_delivered_is_gone(store: PostgresStore, database: Database) -> None:
    """Neither the delivery's end nor a note of its failure brings a trace of the person back."""
    await store.deliveries.register({"mail": ["Noted"], "index": ["Noted"]})
    for fails in (False, True):
        await tell(store, event("1"))
        handover: Handover | None = None
        with suppress(BrokenError):
            async with store.deliveries.next_for("mail") as handover:
                async with store.unit_of_work(ANN) as unit:
                    await unit.people.erase()
                if fails:
                    raise BrokenError
        assert handover is not None
        await store.deliveries.failed(handover, "mail", "broken", retry_in=None)
        assert await left(database) == (0, 0)


async def test_what_failed_is_not_passed_by_when_nobody_could_note_it(store: PostgresStore) -> None:
    """A process that dies in a delivery, or cannot say that it failed, leaves the event first in line."""
    await store.deliveries.register({"mail": ["Noted"]})
    told = [event(str(number)) for number in range(4)]
    await tell(store, *told)
    assert await hear(store, "mail") == told[0]
    await stumble(store, "mail")
    assert await hear_all(store, "mail") == told[1:]


async def test_events_of_another_cluster_are_delivered(store: PostgresStore, database: Database) -> None:
    """A dump brings events with numbers that are yet to come here: they are not held back, nor is what is new."""
    await store.deliveries.register({"mail": ["Noted"]})
    brought = event("brought")
    await tell(store, brought)
    async with acting(database, OWNER) as owner:
        await owner.execute("UPDATE outbox SET xid = '4000000000'")
    assert (await store.deliveries.lag()).held_back == 0
    assert await hear(store, "mail") == brought
    after = event("after")
    await tell(store, after)
    assert await hear_all(store, "mail") == [after]


async def test_what_others_wait_for_is_not_gone_through(store: PostgresStore, database: Database) -> None:
    """The next event is found by indexes alone, from where the last one was, whatever another still waits for."""
    await store.deliveries.register({"mail": ["Noted"], "stuck": ["Noted"]})
    for _ in range(3):
        async with store.unit_of_work(ANN) as unit:
            unit.outbox.add([event(str(number)) for number in range(2_000)])
    async with acting(database, OWNER) as owner:
        had = "SELECT event_id, 'mail', true, 1 FROM outbox ORDER BY xid, position LIMIT 3000"
        await owner.execute(f"INSERT INTO inbox {had}")
    heard = await hear(store, "mail")
    assert heard is not None
    assert heard.payload == '{"text":"1000"}'
    *reached, _ = store.deliveries._reached["mail"]
    async with acting(database, WORKER) as worker:
        plan = await worker.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {_NEXT}", "mail", *reached)
    text = "\n".join(line[0] for line in plan)
    assert "Seq Scan" not in text, text
    assert int(text.split("shared hit=")[1].split()[0]) < 40, text


async def test_an_announcement_is_heard_in_another_process(store: PostgresStore, other: PostgresStore) -> None:
    """Whoever waits there returns, long before its time is over."""
    waiting = asyncio.create_task(other.deliveries.wait(LONG))
    async with asyncio.timeout(PATIENCE):
        while not waiting.done():
            await store.deliveries.announce()
            await asyncio.wait([waiting], timeout=0.05)


async def test_a_lost_connection_costs_a_poll_and_comes_back(
    store: PostgresStore, other: PostgresStore, database: Database
) -> None:
    """Waiting ends by itself while nothing can be heard, and hears again afterwards."""
    await other.deliveries.wait(0.01)
    async with acting(database, OWNER) as owner:
        await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    await asyncio.wait_for(other.deliveries.wait(0.01), PATIENCE)
    await test_an_announcement_is_heard_in_another_process(store, other)


async def test_waiting_falls_back_to_polling_without_a_database() -> None:
    """A database that does not answer is no error for who waits or tells: the time just passes."""
    nowhere = PostgresStore(_connect.engine("postgresql://nobody:x@127.0.0.1:1/nowhere"))
    await asyncio.wait_for(nowhere.deliveries.wait(0.05), PATIENCE)
    await nowhere.deliveries.announce()
    await nowhere.aclose()
