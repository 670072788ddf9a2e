"""People, credentials, limits and the root key on a real PostgreSQL: what the suite for all stores cannot see."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import dashtam_postgres
from conftest import APP_ROLE, Database
from dashtam_core.audit import PersonKey
from dashtam_core.identity import Rate, UserStatus
from dashtam_core.kernel import Subject, UnavailableCode, UnavailableError, UserId, new_id
from dashtam_core.testing._identity import (
    ADMIN,
    API,
    HERS,
    SESSION,
    TOKEN,
    add,
    ask,
    credential,
    has,
    populated,
    user,
)
from dashtam_core.testing.samples import ANN, account, have
from dashtam_postgres import PostgresStore, PostgresUnit, _connect, _identity, _limits
from integration.postgres.acting import APP, OWNER, WORKER, acting

MANY = """
INSERT INTO credential (credential_id, user_id, kind, session_id, created_at, expires_at, data)
SELECT gen_random_uuid(), user_id, kind, NULL, now(), now() + interval '7 days', ''
FROM (SELECT gen_random_uuid() AS user_id FROM generate_series(1, 5)) AS crowd, generate_series(1, 100) AS number,
    unnest(ARRAY['SESSION', 'TOTP']) AS kind;
INSERT INTO credential (credential_id, user_id, kind, secret_hash, session_id, created_at, expires_at, data)
SELECT gen_random_uuid(), user_id, 'REFRESH_TOKEN', sha256(number::text::bytea || uuid_send(credential_id)),
    credential_id, now(), now() + interval '7 days', ''
FROM credential, generate_series(1, 200) AS number WHERE kind = 'SESSION'
"""
COST = "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'credential'"


@pytest.fixture
async def people(store: PostgresStore) -> PostgresStore:
    """Ann and Ben have an account, an address, an API token, and a session with a token each."""
    await populated(store)
    return store


# -- row-level security alone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", [None, ADMIN], ids=["nobody", "somebody else"])
async def test_row_level_security_alone_hides_people(
    people: PostgresStore, database: Database, subject: Subject | None
) -> None:
    """Without a condition there is no account and no credential; addresses can be looked up, not changed."""
    async with acting(database, APP, subject) as app:
        for table in ("person", "credential"):
            assert await app.fetchval(f"SELECT count(*) FROM {table}") == 0
            assert await app.execute(f"DELETE FROM {table}") == "DELETE 0"
        assert await app.fetchval("SELECT count(*) FROM address") == 2
        assert await app.execute("UPDATE address SET address_key = '\\x00'") == "UPDATE 0"
        assert await app.execute("DELETE FROM address") == "DELETE 0"
    assert await ask(people, ANN, has) == HERS


async def test_acting_for_everybody_reads_and_drops_but_writes_nothing(
    people: PostgresStore, database: Database
) -> None:
    """The policy for administrators lets nobody change another's row, or make one; it does not stay on."""
    async with acting(database, APP, ADMIN) as app:
        await app.execute("SELECT set_config('app.everybody', 'on', true)")
        assert await app.fetchval("SELECT count(*) FROM person") == 2
        assert await app.execute("UPDATE person SET role = 'ADMIN'") == "UPDATE 0"
        assert await app.execute("DELETE FROM person") == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await app.execute("UPDATE credential SET used_at = NULL")
    async with people.unit_of_work(ADMIN) as unit:
        assert len(await unit.users.page(after=None, limit=9)) == 2
        assert await unit.credentials.drop_everybodys([SESSION]) == 2
        assert await unit.raw.fetchval("SELECT count(*) FROM person") == 0
        assert await unit.raw.fetchval("SELECT count(*) FROM credential") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret_hash FROM credential",
        "SELECT data FROM credential",
        "SELECT email FROM person",
        "SELECT wrapped FROM person_key",
        "SELECT address_key FROM address",
        "SELECT * FROM root_key",
        "UPDATE person SET status = 'ACTIVE'",
        "UPDATE credential SET used_at = NULL",
        "INSERT INTO rate_limit (key, until) VALUES ('', now())",
    ],
)
async def test_the_worker_clears_up_and_reads_nothing_of_people(database: Database, statement: str) -> None:
    """It sees whose rows are due, and no more of them."""
    async with acting(database, WORKER) as worker:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(statement)


async def test_an_error_of_the_database_ends_acting_for_somebody(people: PostgresStore) -> None:
    """It comes through as it was, and the unit is its own person's again when it is entered the next time."""
    unit = people.unit_of_work(ADMIN)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with unit, unit.users.acting_for(ANN.user_id):
            await unit.users.add(user(ANN, "new@x.org"))
    async with unit:
        assert await has(unit) == [None, "", "", ""]


async def test_no_session_is_opened_behind_the_back_of_who_ends_all(
    people: PostgresStore, database: Database
) -> None:
    """Whoever is logging in at that moment is waited for, and out as well."""

    async def end_all() -> int:
        return await ask(people, ADMIN, lambda unit: unit.credentials.drop_everybodys([SESSION]))

    async with acting(database, OWNER) as owner:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with people.unit_of_work(ANN) as unit:
            await unit.credentials.add(credential(SESSION, "2"))
            ended = asyncio.create_task(end_all())
            while not ended.done() and not await owner.fetchval(waiting):
                pass
    assert await ended == 3
    assert await ask(people, ANN, has) == ["ann@x.org", "", "", "1"]


# -- at 100,000 tokens -------------------------------------------------------------------------------------------


async def test_of_many_tokens_each_is_found_by_one_look_into_an_index(
    people: PostgresStore, database: Database
) -> None:
    """Using, finding and dropping, with all that hangs on it, reads few rows of 100,000, none by scanning."""
    async with acting(database, OWNER) as owner:
        await owner.execute(MANY)
        await owner.execute("ANALYZE credential")
        assert await owner.fetchval("SELECT count(*) FROM credential WHERE kind = 'REFRESH_TOKEN'") > 100_000
        row = await owner.fetchrow("SELECT * FROM credential WHERE kind = 'REFRESH_TOKEN' OFFSET 50000 LIMIT 1")
    assert row is not None
    person, now = Subject(UserId(row["user_id"]), frozenset()), datetime.now(UTC)
    key, id_ = row["secret_hash"], row["credential_id"]
    plans = {
        (_identity._FIND, TOKEN, key, person.user_id): "credential_secret",
        (_identity._CLAIM, TOKEN, key, person.user_id, now, None): "credential_secret",
        (_identity._GET, id_, person.user_id): "credential_",
    }
    async with people.unit_of_work(person) as unit:
        for (statement, *values), index in plans.items():
            plan = "\n".join(line[0] for line in await unit.raw.fetch(f"EXPLAIN {statement}", *values))
            assert f"Index Scan using {index}" in plan, plan
            assert "Seq Scan" not in plan, plan
    jobs: Mapping[int, Callable[[PostgresUnit], Awaitable[Any]]] = {
        5: lambda unit: unit.credentials.claim(TOKEN, key, now, "next"),
        2: lambda unit: unit.credentials.find(TOKEN, key),
        110: lambda unit: unit.credentials.list(SESSION),
        500: lambda unit: unit.credentials.drop([SESSION], [row["session_id"]]),
    }
    for most, job in jobs.items():
        async with people.unit_of_work(person) as unit:
            assert await job(unit)
            scanned, fetched = await unit.raw.fetchrow(COST) or (0, 0)
        assert (scanned, fetched <= most) == (0, True), (most, fetched)
    async with people.unit_of_work(person) as unit:
        assert len(await unit.credentials.list(TOKEN)) == 99 * 200, "the session's 200 went with it"


# -- clearing up -------------------------------------------------------------------------------------------------


async def test_maintenance_clears_what_has_had_its_day(store: PostgresStore, database: Database) -> None:
    """Who stayed unverified for a day goes with all they have; what expired a day ago, and limits with room."""
    now, day, hours = datetime.now(UTC), timedelta(days=1, minutes=5), timedelta(hours=23)
    old, new = (Subject(UserId(new_id()), frozenset()) for _ in range(2))
    for person, age in ((old, day), (new, hours), (ANN, day)):
        one = user(person, "x@x.org")
        one.created_at, one.status = now - age, UserStatus.ACTIVE if person is ANN else one.status
        async with store.unit_of_work(person) as unit:
            await unit.users.add(one)
            await unit.users.claim(person.user_id.bytes * 2)
            await unit.person_keys.add(PersonKey(new_id(), b"key"))
        await add(store, person, credential(API, of=person))
    ended = credential(SESSION, "2", expires_at=now - day)
    await add(store, ANN, ended, credential(TOKEN, "2", session_id=ended.credential_id))
    await add(store, ANN, credential(API, "3", expires_at=now - hours))
    assert (await store.limits.take({"brief": Rate(1, 0.001), "long": Rate(1, 3600.0)})).wait == 0.0
    await asyncio.gather(*(store.maintain() for _ in range(3)))
    for person, left in ((old, [0, 0, 0, 0]), (new, [1, 1, 1, 1]), (ANN, [1, 1, 2, 1])):
        told = await ask(store, person, lambda unit: unit.people.export())
        assert [len(told[table]) for table in ("person", "address", "credential", "person_key")] == left
    assert await ask(store, ANN, has) == ["x@x.org", "", "", "13"]
    async with acting(database, OWNER) as owner:
        assert await owner.fetchval("SELECT count(*) FROM rate_limit") == 1
    assert (await store.limits.take({"long": Rate(1, 3600.0)})).wait > 3000


# -- limits ------------------------------------------------------------------------------------------------------


async def test_limits_are_those_of_all_processes_and_name_nobody(store: PostgresStore, database: Database) -> None:
    """What one process counted another finds; the table tells neither addresses nor people."""
    assert (await store.limits.take({"login@192.0.2.7": Rate(1, 3600.0)})).wait == 0.0
    async with dashtam_postgres.open_store(database.app_url) as other:
        assert (await other.limits.take({"login@192.0.2.7": Rate(1, 3600.0)})).wait > 0
    async with acting(database, OWNER) as owner:
        (kept,) = await owner.fetch("SELECT key FROM rate_limit")
        assert "192" not in kept["key"]
        assert await owner.fetchval("SELECT relpersistence FROM pg_class WHERE relname = 'rate_limit'") == b"u"


async def test_a_refused_attempt_leaves_nothing(store: PostgresStore, database: Database) -> None:
    """A key that was only asked for beside a full one is not kept."""
    rate = Rate(1, 3600.0)
    assert (await store.limits.take({"full": rate})).wait == 0.0
    assert (await store.limits.take({"full": rate, "free": rate})).wait > 0
    async with acting(database, OWNER) as owner:
        assert await owner.fetchval("SELECT count(*) FROM rate_limit") == 1


async def test_a_clock_that_was_set_back_locks_nobody_out(store: PostgresStore, database: Database) -> None:
    """What says that a key has its room again in an hour is not believed: it never takes longer than a burst."""
    rate = Rate(3, 0.05)
    await store.limits.take({"key": rate})
    async with acting(database, OWNER) as owner:
        await owner.execute("UPDATE rate_limit SET until = until + interval '1 hour'")
    wait = (await store.limits.take({"key": rate})).wait
    assert 0 < wait <= rate.seconds
    await asyncio.sleep(wait)
    assert not (await store.limits.take({"key": rate})).wait


async def test_where_the_database_does_not_answer_nothing_may_happen(
    store: PostgresStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that cannot be asked, because the database is gone or hangs, is an error in bounded time."""
    monkeypatch.setattr(_limits, "SECONDS", 0.2)
    gone = PostgresStore(_connect.engine("postgresql://dashtam_app@127.0.0.1:1/dashtam"))
    async with acting(database, OWNER) as owner:
        await owner.execute("LOCK TABLE rate_limit IN ACCESS EXCLUSIVE MODE")
        for broken in (gone, store):
            with pytest.raises(UnavailableError) as refused:
                await broken.limits.take({"a": Rate(1, 1.0)})
            assert refused.value.code is UnavailableCode.STORE_UNREACHABLE
    assert (await store.limits.take({"a": Rate(1, 1.0)})).wait == 0.0


# -- upgrading ---------------------------------------------------------------------------------------------------


async def test_a_database_with_data_is_upgraded(empty_database: Database) -> None:
    """Everything stays but the API tokens of before, which are made anew; people can be kept from then on."""

    def migrate(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", "dashtam_postgres:migrations")
        config.attributes |= {"connection": connection, "schema": "dashtam"}
        command.upgrade(config, "0003")

    engine = create_async_engine(empty_database.admin_url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE SCHEMA dashtam")
        await connection.exec_driver_sql("SET LOCAL search_path TO dashtam")
        await connection.run_sync(migrate)
    await engine.dispose()
    async with acting(empty_database, OWNER, ANN) as owner:
        await owner.execute(
            "INSERT INTO api_token VALUES (gen_random_uuid(), gen_random_uuid(), 'n', 'hash', '{}', now()); "
            "INSERT INTO account "
            "(account_id, user_id, provider, account_key, name, account_type, currency, status, created_at) "
            f"VALUES (gen_random_uuid(), '{ANN.user_id}', 'file', 'key', 'kept', 'CHECKING', 'EUR', 'OPEN', now())"
            ";"
            "INSERT INTO person_key (key_id, user_id, wrapped) "
            f"VALUES (gen_random_uuid(), '{ANN.user_id}', '')"
        )
    await dashtam_postgres.upgrade(empty_database.admin_url, app_role=APP_ROLE)
    async with dashtam_postgres.open_store(empty_database.app_url) as store:
        assert [each.name for each in await have(store, ANN, account("key", account_key=b"key"))] == ["kept"]
        await populated(store)
        assert await ask(store, ANN, has) == HERS
        assert await store.keys.wrappings() == {"former": b""}
    async with acting(empty_database, OWNER) as owner:
        assert await owner.fetchval("SELECT to_regclass('api_token')") is None
