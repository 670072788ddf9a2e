"""What callers hear agrees with what was committed, whatever becomes of COMMIT, connection or trail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.kernel import Success, UnavailableError
from dashtam_postgres import PostgresStore
from faults.world import (
    DONE,
    FAILED,
    INSIDE,
    LOST,
    all_given_back,
    application,
    books,
    connection,
    execute,
    marked,
    nothing_open,
    person,
    size,
    sweep,
    tell,
    until,
)

REFUSE: Final = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'not with me' USING ERRCODE = 'check_violation'; END $$"""
DAWDLE: Final = """CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$"""
AT_COMMIT: Final = """CREATE CONSTRAINT TRIGGER late AFTER INSERT ON dashtam.account
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {}()"""
REVOKE: Final = "REVOKE INSERT ON dashtam.audit_entry FROM dashtam_app"
GRANT: Final = "GRANT INSERT ON dashtam.audit_entry TO dashtam_app"


@attrs.frozen
class World:
    dashtam: Dashtam
    store: PostgresStore
    database: Database

    async def owner(self, *statements: str) -> None:
        await execute(self.database.admin_url, *statements)

    async def attempted(
        self, mark: str, error: type[Exception], **how: Any
    ) -> tuple[int, int, list[tuple[str, ...]]]:
        """A mark that ends in this error; then, after the sweeper, how often its state and event are there."""
        with pytest.raises(error):
            await marked(self.dashtam, mark, **how)
        INSIDE.does = None
        await sweep(self.dashtam)
        return await self.found(mark)

    async def found(self, mark: str) -> tuple[int, int, list[tuple[str, ...]]]:
        seen = await books(self.database.admin_url)
        seen.check()
        return seen.state[mark], seen.events[mark], seen.attempts.get(mark, [])

    async def works(self) -> None:
        """Nothing is left of the trouble."""
        assert await marked(self.dashtam, "afterwards") == Success("marked afterwards")
        assert (await self.found("afterwards"))[2] == [DONE]
        await all_given_back(self.store)
        await nothing_open(self.database.admin_url)


@pytest.fixture
async def world(database: Database) -> AsyncGenerator[World]:
    async with dashtam_postgres.open_store(database.app_url) as store, application(store) as dashtam:
        assert (await marked(dashtam, "before")).unwrap()
        yield World(dashtam, store, database)
        INSIDE.does = None


async def test_a_commit_that_fails_is_an_error(world: World) -> None:
    """A constraint that refuses at COMMIT undoes everything, and is called neither success nor failure."""
    await world.owner(REFUSE, AT_COMMIT.format("refuse"))
    assert await world.attempted("m", asyncpg.CheckViolationError) == (0, 0, [LOST])
    assert await world.attempted("k", asyncpg.CheckViolationError, key="key") == (0, 0, [LOST])
    await world.owner("DROP TRIGGER late ON dashtam.account")
    assert await marked(world.dashtam, "k", key="key") == Success("marked k")
    await world.works()


async def test_a_connection_killed_before_the_commit(world: World) -> None:
    """The transaction is gone with its connection; the caller and the trail hear that it failed."""
    INSIDE.does = lambda mark: kill_sessions(world, "state = 'idle in transaction'")
    assert await world.attempted("m", UnavailableError) == (0, 0, [FAILED])
    await world.works()


async def test_a_connection_killed_during_the_commit(world: World) -> None:
    """Whoever waits for a COMMIT whose session ends hears that the store is gone, and the trail says: unknown."""
    await world.owner(DAWDLE, AT_COMMIT.format("dawdle"))

    async def kill() -> None:
        await kill_sessions(world, "query = 'COMMIT' AND wait_event = 'PgSleep'")

    killing = asyncio.create_task(kill())
    assert await world.attempted("m", UnavailableError) == (0, 0, [LOST])
    await killing
    await world.owner("DROP TRIGGER late ON dashtam.account")
    await world.works()


async def test_a_connection_killed_after_the_commit(world: World) -> None:
    """Sessions that end while nobody uses them are nobody's trouble."""
    for turn in range(size(10, 200)):
        assert await marked(world.dashtam, f"m {turn}") == Success(f"marked m {turn}")
        await kill_sessions(world, "state = 'idle'")
    await world.works()


async def test_a_lost_reply_to_the_commit(world: World) -> None:
    """An error for the caller, who cannot know; SUCCEEDED in the trail; and a retry acts once."""
    async with (
        deaf(world.database.app_url) as (url, proxy),
        dashtam_postgres.open_store(url) as store,
        application(store) as dashtam,
    ):
        through = attrs.evolve(world, dashtam=dashtam, store=store)
        INSIDE.does = proxy.deafen
        assert await through.attempted("m", UnavailableError) == (1, 1, [DONE])
        INSIDE.does = proxy.deafen
        assert await through.attempted("k", UnavailableError, key="key") == (1, 1, [DONE])
        assert await marked(dashtam, "k", key="key") == Success("marked k")
        state, events, attempts = await through.found("k")
        assert (state, events, sorted(attempts)) == (1, 1, [DONE, ("replayed",)])
        await through.works()


async def test_no_attempt_without_its_entry(world: World) -> None:
    """Where the attempt cannot be written nothing is done at all, whether or not the outcome could be."""
    await world.owner(REVOKE)
    assert await world.attempted("m", asyncpg.InsufficientPrivilegeError) == (0, 0, [])
    await world.owner(GRANT, REFUSE, refusing("attempted"))
    assert await world.attempted("m", asyncpg.CheckViolationError) == (0, 0, [])
    await world.owner("DROP TRIGGER refused ON dashtam.audit_entry")
    await world.works()


async def test_no_success_without_its_entry(world: World) -> None:
    """Where only the outcome cannot be written the change is undone, and the trail says that it failed."""
    await world.owner(REFUSE, refusing("succeeded"))
    assert await world.attempted("m", asyncpg.CheckViolationError) == (0, 0, [FAILED])
    assert await world.attempted("k", asyncpg.CheckViolationError, key="key") == (0, 0, [FAILED])
    await world.owner("DROP TRIGGER refused ON dashtam.audit_entry")
    assert await marked(world.dashtam, "k", key="key") == Success("marked k")
    await world.works()


async def test_a_trail_that_is_taken_away_meanwhile(world: World) -> None:
    """Where neither the outcome nor the failure can be written, nothing is done and the attempt stays open."""
    INSIDE.does = lambda mark: world.owner(REVOKE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await marked(world.dashtam, "m")
    INSIDE.does = None
    await world.owner(GRANT)
    assert await sweep(world.dashtam) == 1
    assert await world.found("m") == (0, 0, [LOST])
    await world.works()


async def test_no_month_to_write_to(world: World) -> None:
    """A trail without a partition for today refuses the attempt, and the outcome alike."""
    await world.owner(partition("DETACH"))
    with pytest.raises(asyncpg.CheckViolationError):
        await marked(world.dashtam, "m")
    await world.owner(partition("ATTACH"))
    assert await world.found("m") == (0, 0, [])
    INSIDE.does = lambda mark: world.owner(partition("DETACH"))
    with pytest.raises(asyncpg.CheckViolationError):
        await marked(world.dashtam, "later")
    INSIDE.does = None
    await world.owner(partition("ATTACH"))
    assert await sweep(world.dashtam) == 1
    assert await world.found("later") == (0, 0, [LOST])
    await world.works()


@pytest.mark.timeout(size(120, 900))
async def test_a_success_can_be_read_at_once(world: World) -> None:
    """Whoever hears of a success finds it on any other connection."""
    reads, clients, misses = size(1_000, 10_000), 8, 0

    async def client(number: int) -> int:
        async with connection(world.database.admin_url) as other:
            query = await other.prepare(
                "SELECT (SELECT count(*) FROM dashtam.account WHERE name = $1 AND user_id = $2), "
                "(SELECT count(*) FROM dashtam.audit_entry WHERE resource_id = $1 AND phase = 'succeeded' "
                "AND user_id = $2 AND recorded_at > now() - interval '5 s')"
            )
            missed = 0
            for turn in range(reads // clients):
                mark = f"{number}.{turn}"
                assert (await marked(world.dashtam, mark, who=100 + turn)).unwrap()
                found = await query.fetchrow(mark, person(100 + turn).user_id)
                assert found is not None
                missed += tuple(found) != (1, 1)
            return missed

    misses = sum(await asyncio.gather(*(client(number) for number in range(clients))))
    tell("reads right after a success", reads=reads, misses=misses)
    assert misses == 0


async def kill_sessions(world: World, which: str) -> None:
    """Ends the application's sessions of this kind, at least one, and returns when they are gone."""
    query = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database() "
        f"AND usename = 'dashtam_app' AND {which}"
    )
    async with connection(world.database.admin_url) as owner:

        async def some() -> bool:
            return bool(await owner.fetchval(query))

        await until(some, 30)


def refusing(phase: str) -> str:
    """What makes the trail refuse entries of this phase."""
    return (
        "CREATE TRIGGER refused BEFORE INSERT ON dashtam.audit_entry "
        f"FOR EACH ROW WHEN (NEW.phase = '{phase}') EXECUTE FUNCTION refuse()"
    )


def partition(how: str) -> str:
    """What detaches the partition of this month, or attaches it."""
    values = "FOR VALUES FROM (%L) TO (%L)" if how == "ATTACH" else ""
    return f"""DO $$ BEGIN EXECUTE format(
        'ALTER TABLE dashtam.audit_entry {how} PARTITION dashtam.%I {values}',
        to_char(now() AT TIME ZONE 'UTC', '"audit_entry_"YYYY_MM'),
        date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + interval '1 month'
    ); END $$"""


@attrs.define
class Deaf:
    """What stands between a client and PostgreSQL, and swallows the reply to one COMMIT with the connection."""

    armed: bool = False

    async def deafen(self, _: str) -> None:
        self.armed = True

    async def serve(
        self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answers, questions = await asyncio.open_connection(host, port)
        with closing(writer), closing(questions), suppress(ConnectionError):
            forward = asyncio.create_task(_copied(reader, questions))
            while data := await answers.read(65536):
                if self.armed and b"COMMIT\0" in data:
                    self.armed = False
                    break
                writer.write(data)
            forward.cancel()
            await asyncio.gather(forward, return_exceptions=True)


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.write_eof()


@asynccontextmanager
async def deaf(url: str) -> AsyncGenerator[tuple[str, Deaf]]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy, host, port = Deaf(), parts.hostname, parts.port
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await proxy.serve(host, port, reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        own = server.sockets[0].getsockname()[1]
        yield parts._replace(netloc=parts.netloc.replace(f":{port}", f":{own}")).geturl(), proxy
        await asyncio.wait(tasks, timeout=30)
