"""Nothing acknowledged is lost: kill -9 of PostgreSQL during a storm of audited writes, restart, recount."""

import asyncio
import random
from collections import Counter
from typing import Any, Final

import attrs
import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core import Dashtam
from dashtam_core.accounts import ImportStatement
from dashtam_core.audit import Phase, VerifyAuditLog
from dashtam_core.kernel import Failure, Success, UnavailableError
from dashtam_core.messaging import RefusalCode
from dashtam_postgres import PostgresStore
from faults.jobs import HEARD, subscriptions
from faults.postmaster import Postmaster
from faults.world import (
    ORIGIN,
    Books,
    application,
    books,
    connection,
    execute,
    marked,
    person,
    size,
    statement,
    sweep,
    tell,
    until,
)

WORKERS: Final = 24
PEOPLE: Final = 6


@attrs.define
class Storm:
    """Clients that go on writing until told to stop, and the journal of what they were told."""

    dashtam: Dashtam
    random: random.Random
    acknowledged: Counter[str] = attrs.field(factory=Counter[str])
    refused: set[str] = attrs.field(factory=set[str])
    unknown: set[str] = attrs.field(factory=set[str])
    imported: set[str] = attrs.field(factory=set[str])
    replays: int = 0
    stopping: bool = False
    since: int = 0
    _progress: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    async def client(self, number: int) -> None:
        for turn in range(1_000_000):
            if self.stopping:
                return
            kinds = (self._plain, self._plain, self._calling, self._keyed, self._refused, self._import)
            try:
                await self.random.choice(kinds)(number, f"{number}.{turn}")
            except UnavailableError:
                await asyncio.sleep(0.01)

    async def acknowledgements(self, count: int) -> None:
        """Returns when the server that runs now has acknowledged so many."""
        self.since = 0
        async with self._progress:
            await self._progress.wait_for(lambda: self.since >= count)

    async def _done(self, mark: str, journal: Counter[str] | None = None) -> None:
        (self.acknowledged if journal is None else journal)[mark] += 1
        async with self._progress:
            self.since += 1
            self._progress.notify_all()

    async def _plain(self, number: int, mark: str, **how: Any) -> None:
        try:
            answer = await marked(self.dashtam, mark, who=number % PEOPLE, **how)
        except UnavailableError:
            self.unknown.add(mark)
            raise
        assert answer == Success(f"marked {mark}")
        await self._done(mark)

    async def _calling(self, number: int, mark: str) -> None:
        await self._plain(number, mark, call=True)

    async def _refused(self, number: int, mark: str) -> None:
        answer = await marked(self.dashtam, mark, who=number % PEOPLE, refuse=True)
        assert isinstance(answer, Failure)
        self.refused.add(mark)
        await self._done(mark, Counter())

    async def _keyed(self, number: int, mark: str) -> None:
        """Retries under one key until there is an answer, whatever happens to the server meanwhile."""
        while True:
            try:
                answer = await marked(self.dashtam, mark, who=number % PEOPLE, key=mark)
            except UnavailableError:
                self.unknown.add(mark)
                self.replays += 1
                await asyncio.sleep(0.01)
                continue
            if isinstance(answer, Success):
                assert answer.unwrap() == f"marked {mark}"
                return await self._done(mark)
            assert answer.failure().code == RefusalCode.IDEMPOTENCY_KEY_IN_USE
            await asyncio.sleep(0.01)

    async def _import(self, number: int, mark: str) -> None:
        command = ImportStatement(statement(number, mark), filename=mark)
        answer = await self.dashtam.run(command, person(number % PEOPLE), ORIGIN)
        assert not answer.unwrap().already_imported
        self.imported.add(mark)
        await self._done(mark, Counter())


@pytest.mark.timeout(size(170, 3000))
async def test_what_was_acknowledged_survives_a_kill(durable: tuple[Postmaster, Database]) -> None:
    """Every acknowledged write is there once with its entry and event, after any number of kill -9."""
    postmaster, database = durable
    kills, chance = size(3, 50), random.Random(20260101)
    await execute(database.admin_url, *HEARD)
    async with (
        dashtam_postgres.open_store(database.app_url) as store,
        application(store, workers=True, subscriptions=subscriptions()) as dashtam,
    ):
        storm = Storm(dashtam, chance)
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(storm.client(number))
            for _ in range(kills):
                await storm.acknowledgements(chance.randint(1, 400))
                for _ in range(chance.randint(0, 50)):
                    await asyncio.sleep(0)
                postmaster.kill()
                await postmaster.start()
            await storm.acknowledgements(100)
            storm.stopping = True
        lost = await sweep(dashtam)
        await heard_everything(store)
        found = await books(database.admin_url)
        await check_marks(storm, found, database.admin_url)
        imports = await check_imports(storm, database.admin_url)
        verified = await dashtam.run(VerifyAuditLog(), person(0))
    tell(
        "kill -9 of PostgreSQL",
        kills=kills,
        acknowledged=storm.acknowledged.total() + len(storm.imported),
        refused=len(storm.refused),
        unknown=len(storm.unknown),
        unknown_but_there=len(storm.unknown & found.state.keys()),
        retries_with_a_key=storm.replays,
        imports=imports,
        closed_by_the_sweeper=lost,
        verified=verified.unwrap().entries,
        missing=0,
    )


async def heard_everything(store: PostgresStore) -> None:
    async def nothing_waits() -> bool:
        return (await store.deliveries.lag()).waiting == 0

    await until(nothing_waits, 300)


async def check_marks(storm: Storm, found: Books, admin_url: str) -> None:
    """The journal against the database."""
    async with connection(admin_url) as owner:
        heard = await owner.fetch("SELECT subscriber, mark FROM dashtam.heard")
    first = Counter(row["mark"] for row in heard if row["subscriber"] == "first")
    assert first == Counter(row["mark"] for row in heard if row["subscriber"] == "second")
    found.events.update(first)
    found.check()
    missing = storm.acknowledged - found.state
    assert not missing, f"acknowledged and lost: {missing}"
    assert set(found.state.values()) == {1}, "something was done twice"
    assert not storm.refused & found.state.keys(), "reported as a failure, and there"
    assert not found.state.keys() - storm.acknowledged.keys() - storm.unknown, "nobody was told of these"
    assert all(Phase.SUCCEEDED not in each for mark in storm.refused for each in found.attempts[mark])


async def check_imports(storm: Storm, admin_url: str) -> int:
    """Each acknowledged file is there, whole, with the one entry that says so and its event."""
    async with connection(admin_url) as owner:
        rows = await owner.fetch(
            "SELECT d.filename, "
            "(SELECT count(*) FROM dashtam.transaction t WHERE t.document_id = d.document_id) AS n, "
            "(SELECT count(*) FROM dashtam.audit_entry e WHERE e.resource_id = d.document_id::text "
            "AND e.phase = 'succeeded') AS entries, (SELECT count(*) FROM dashtam.outbox o "
            "WHERE o.payload::json->>'document_id' = d.document_id::text) AS events FROM dashtam.import_document d"
        )
        attempts = await owner.fetch(
            "SELECT count(*) AS n, array_agg(phase ORDER BY recorded_at) AS phases FROM dashtam.audit_entry "
            "WHERE action = 'import_statement' GROUP BY attempt_id"
        )
    assert {(row["n"], row["entries"], row["events"]) for row in rows} <= {(1, 1, 1)}
    assert storm.imported <= {row["filename"] for row in rows}
    assert all(each["n"] == 2 for each in attempts)
    assert sum("succeeded" in each["phases"] for each in attempts) == len(rows)
    return len(rows)
