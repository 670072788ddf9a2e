"""Kept answers, keys and erasure on a real PostgreSQL: how long they last and whose they are."""

import asyncpg
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core.audit import PersonKey
from dashtam_core.kernel import Subject, new_id
from dashtam_core.messaging import KeptAnswer, KeyState
from dashtam_core.testing.samples import ANN, BEN, event, tell
from dashtam_postgres import PostgresStore
from dashtam_postgres._people import _KINDS
from integration.postgres.acting import APP, OWNER, acting

FIRST, SECOND = KeptAnswer(b"first", '{"n":1}'), KeptAnswer(b"second", '{"n":2}')


async def answered(store: PostgresStore, subject: Subject = ANN) -> KeptAnswer | KeyState:
    async with store.unit_of_work(subject) as unit:
        return await unit.answers.claim("command", "key")


async def keep(store: PostgresStore, kept: KeptAnswer, subject: Subject = ANN) -> None:
    async with store.unit_of_work(subject) as unit:
        assert await unit.answers.claim("command", "key") is KeyState.FREE
        await unit.answers.keep("command", "key", kept)


async def make_older(database: Database, hours: int) -> None:
    async with acting(database, OWNER) as owner:
        await owner.execute(f"UPDATE idempotency SET created_at = created_at - interval '{hours} hours'")


async def test_an_answer_is_kept_for_a_day(store: PostgresStore, database: Database) -> None:
    """Until then it is given again; afterwards the key is free, and keeps another answer."""
    await keep(store, FIRST)
    await make_older(database, 23)
    assert await answered(store) == FIRST
    await make_older(database, 2)
    await keep(store, SECOND)
    assert await answered(store) == SECOND


async def test_maintenance_forgets_what_is_older_than_a_day(store: PostgresStore, database: Database) -> None:
    """Expired answers go, of everybody; younger ones stay."""
    await keep(store, FIRST)
    await make_older(database, 25)
    await keep(store, SECOND, BEN)
    await store.maintain()
    assert await answered(store, BEN) == SECOND
    async with acting(database, OWNER) as owner:
        assert await owner.fetchval("SELECT count(*) FROM idempotency") == 1


async def test_a_key_is_held_across_processes_until_its_unit_ends(
    store: PostgresStore, database: Database
) -> None:
    """Another process is told that the key is in use, and afterwards what was answered."""
    async with dashtam_postgres.open_store(database.app_url, pool_size=1) as other:
        async with store.unit_of_work(ANN) as unit:
            assert await unit.answers.claim("command", "key") is KeyState.FREE
            await unit.answers.keep("command", "key", FIRST)
            assert await answered(other) is KeyState.HELD
            assert await answered(other, BEN) is KeyState.FREE
        assert await answered(other) == FIRST


@pytest.mark.parametrize("table", ["idempotency", "person_key", "outbox"])
async def test_row_level_security_keeps_them_apart(store: PostgresStore, database: Database, table: str) -> None:
    """A query without any condition shows the subject's rows; another's can be neither made nor deleted."""
    for subject in (ANN, BEN):
        await keep(store, FIRST, subject)
        async with store.unit_of_work(subject) as unit:
            await unit.person_keys.add(PersonKey(new_id(), b"key"))
        await tell(store, event("1", subject))
    async with acting(database, APP, ANN) as connection:
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1
        assert await connection.execute(f"DELETE FROM {table} WHERE user_id = '{BEN.user_id}'") == "DELETE 0"
        insert = {
            "idempotency": "(command, key, fingerprint, answer, user_id) VALUES ('c', 'k', '', '', $1)",
            "person_key": "(key_id, wrapped, user_id) VALUES (gen_random_uuid(), '', $1)",
            "outbox": "(event_id, name, payload, user_id) VALUES (gen_random_uuid(), '', '', $1)",
        }
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(f"INSERT INTO {table} {insert[table]}", BEN.user_id)


async def test_erasing_knows_every_table_of_a_person(database: Database) -> None:
    """Whatever holds a person's id is emptied of it, save for the trail."""
    async with acting(database, OWNER) as owner:
        tables = await owner.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'dashtam' AND column_name = 'user_id' AND table_name NOT LIKE 'audit_entry%'"
        )
    assert {row["table_name"] for row in tables} == set(_KINDS)
