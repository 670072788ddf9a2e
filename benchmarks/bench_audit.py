"""An audited write beside its limit: attempt, change, outcome and event, against the insert in BEGIN and COMMIT.

Run: `.venv/bin/python benchmarks/bench_audit.py [writes [connections]]`, by default 8,000 writes a turn, 32 at a
time over 10 connections. Prints the CPU of this process and of the server per write, and the ratio to the bare
insert of the same round; the same with a sealer beside; and how long it takes from an entry to its checkpoint.
"""

import asyncio
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import attrs
import psutil

import dashtam_embedded
from dashtam_core.audit import AttemptId, AuditEntry, Ed25519Signer, EntryId, GroupCommit, Phase, Sealing
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Subject, SystemClock, new_id
from dashtam_core.messaging import StoredEvent
from dashtam_postgres import PostgresStore, open_store, upgrade

AT_ONCE = 32
POOL_SIZE = 10
ROUNDS = 7
SEAL_SECONDS = 1.0
INSERT = "INSERT INTO dashtam.state (state_id, user_id, text) VALUES ($1, $2, 'something')"
DELAYS = """
SELECT extract(epoch FROM (
    SELECT signed_at FROM dashtam.audit_checkpoint WHERE tree_size > tree_index ORDER BY tree_size LIMIT 1
) - recorded_at)::float8 AS seconds FROM dashtam.audit_leaf WHERE recorded_at > $1 ORDER BY seconds
"""
ME = ExternalSubject("benchmark")


@attrs.frozen
class Cost:
    """CPU microseconds of one write, here and in the server."""

    client: float
    server: float

    @property
    def both(self) -> float:
        return self.client + self.server


@attrs.frozen
class Meter:
    """Measures `AT_ONCE` writers together with the PostgreSQL processes below `postmaster`."""

    postmaster: psutil.Process
    writes: int

    def _server(self) -> float:
        times = [process.cpu_times() for process in (self.postmaster, *self.postmaster.children())]
        return sum(each.user + each.system for each in times)

    async def run(self, write: Callable[[], Awaitable[object]]) -> Cost:
        each = self.writes // AT_ONCE

        async def writer() -> None:
            for _ in range(each):
                await write()

        client, server = time.process_time(), self._server()
        await asyncio.gather(*[writer() for _ in range(AT_ONCE)])
        scale = 1e6 / (each * AT_ONCE)
        return Cost((time.process_time() - client) * scale, (self._server() - server) * scale)


@attrs.frozen
class Writes:
    """The same write, with more and more around it."""

    store: PostgresStore
    pool: "asyncpg.Pool[Any]"
    attempts: GroupCommit

    async def bare(self) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(INSERT, new_id(), ME.user_id)

    async def unit(self) -> None:
        async with self.store.unit_of_work(ME) as unit:
            await unit.raw.execute(INSERT, new_id(), ME.user_id)

    async def audited(self) -> None:
        attempt = entry(ME, Phase.ATTEMPTED, new_id())
        await self.attempts.record(attempt)
        async with self.store.unit_of_work(ME) as unit:
            await unit.raw.execute(INSERT, new_id(), ME.user_id)
            unit.trail.add(entry(ME, Phase.SUCCEEDED, attempt.attempt_id))
            unit.outbox.add([StoredEvent(new_id(), ME.user_id, "Written", '{"event_id":"1","text":"something"}')])


def entry(subject: Subject, phase: Phase, attempt_id: Any) -> AuditEntry:
    return AuditEntry(
        entry_id=EntryId(new_id()),
        attempt_id=AttemptId(attempt_id),
        occurred_at=datetime.now(UTC),
        user_id=subject.user_id,
        action="write_something",
        phase=phase,
        resource_type="something",
        channel="http",
        request_id="req-01890a5d",
        context={"rows": 1},
        personal=b"p" * 90,
    )


@asynccontextmanager
async def sealing(store: PostgresStore) -> AsyncGenerator[None]:
    """A sealer that works beside, as the application has it."""
    signer = Ed25519Signer.from_seed("example.com/audit", b"s" * 32)
    sealer = Sealing(store.audit, lambda: signer, SystemClock())

    async def seal() -> None:
        while True:
            await sealer.seal()
            await asyncio.sleep(SEAL_SECONDS)

    task = asyncio.create_task(seal())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sealer.seal()


async def main(count: int, connections: int) -> None:
    async with dashtam_embedded.postgres() as server:
        await upgrade(server.admin_url, app_role="dashtam_app", app_password="benchmark")
        app_url = server.admin_url.replace(server.admin_url.split("@")[0], "postgresql://dashtam_app:benchmark")
        admin = await asyncpg.connect(server.admin_url)
        await admin.execute(
            "CREATE TABLE dashtam.state (state_id uuid PRIMARY KEY, user_id uuid, text text); "
            "GRANT INSERT ON dashtam.state TO dashtam_app"
        )
        postmaster = psutil.Process(await admin.fetchval("SELECT pg_backend_pid()")).parent()
        assert postmaster is not None
        meter = Meter(postmaster, count)
        try:
            async with (
                asyncpg.create_pool(app_url, min_size=connections, max_size=connections) as pool,
                open_store(app_url, pool_size=connections) as store,
            ):
                writes = Writes(store, pool, GroupCommit(store.audit))
                report(await measure(meter, writes))
                start = await admin.fetchval("SELECT clock_timestamp()")
                async with sealing(store):
                    await meter.run(writes.audited)
                report_delay([row["seconds"] for row in await admin.fetch(DELAYS, start)])
        finally:
            await admin.close()


async def measure(meter: Meter, writes: Writes) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = defaultdict(list)
    kinds = {"bare insert": writes.bare, "unit of work": writes.unit, "audited": writes.audited}
    for turn in range(-1, ROUNDS):
        round_: dict[str, Cost] = {name: await meter.run(write) for name, write in kinds.items()}
        async with sealing(writes.store):  # what was written until now
            pass
        async with sealing(writes.store):
            round_["audited, sealed beside"] = await meter.run(writes.audited)
        if turn >= 0:  # the first one warms up
            for name, cost in round_.items():
                costs[name].append(cost)
    return costs


def report(costs: dict[str, list[Cost]]) -> None:
    limit = costs["bare insert"]
    print(f"{AT_ONCE} at a time, median of {ROUNDS} rounds; CPU in µs per write")
    print(f"{'':24}{'client':>9}{'server':>9}{'both':>9}{'ratio':>8}")
    for name, several in costs.items():
        client, server = (
            statistics.median(getattr(cost, who) for cost in several) for who in ("client", "server")
        )
        ratio = statistics.median(cost.both / bare.both for cost, bare in zip(several, limit, strict=True))
        print(f"{name:24}{client:>9.0f}{server:>9.0f}{client + server:>9.0f}{ratio:>8.2f}")


def report_delay(seconds: list[float]) -> None:
    p50, p99 = (seconds[int(len(seconds) * part)] for part in (0.5, 0.99))
    print(f"sealed after p50 {p50:.2f} s, p99 {p99:.2f} s, most {seconds[-1]:.2f} s")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(main(*given, *(8_000, 10)[len(given) :]))
