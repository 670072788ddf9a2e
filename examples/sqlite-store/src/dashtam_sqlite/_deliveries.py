"""The way out of the outbox: to each subscriber, in the order of commits."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from dashtam_core.kernel import ANONYMOUS
from dashtam_core.messaging import DeadLetter, Handover, OutboxLag, StoredEvent
from dashtam_sqlite._database import Database
from dashtam_sqlite._unit import SqliteUnit
from dashtam_sqlite._values import read, seconds_since

_NEXT: Final = "SELECT * FROM deliveries WHERE subscriber = ? AND due_at <= ? ORDER BY position LIMIT 1"
_THIS: Final = "SELECT * FROM deliveries WHERE subscriber = ? AND due_at <= ? AND event_id = ?"
_OVERDUE: Final = """SELECT event_id FROM deliveries
WHERE subscriber = ? AND due_at <= iif(failed_at IS NULL, ?, ?) ORDER BY position LIMIT ?"""
_UNWANTED: Final = "DELETE FROM deliveries WHERE position IN (SELECT position FROM unwanted WHERE subscriber = ?)"
_FAILED: Final = """UPDATE deliveries SET attempts = ?, problem = ?, failed_at = ?, due_at = ?
WHERE event_id = ? AND subscriber = ?"""
_DEAD: Final = "SELECT * FROM deliveries WHERE due_at IS NULL ORDER BY failed_at DESC, position DESC LIMIT ?"
_RETRY: Final = """UPDATE deliveries SET attempts = 0, due_at = ?1
WHERE due_at IS NULL AND (?2 IS NULL OR event_id = ?2)"""


class SqliteDeliveries:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: set[tuple[str | UUID, ...]] = set()
        self._announced = asyncio.Event()

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        async with self._database.transaction() as sql:
            for subscriber, events in subscribers.items():
                await sql.run("DELETE FROM subscriptions WHERE subscriber = ?", subscriber)
                await sql.insert("subscriptions", [{"subscriber": subscriber, "name": name} for name in events])
                await sql.run(_UNWANTED, subscriber)

    def next_for(self, subscriber: str, /) -> AbstractAsyncContextManager[Handover | None]:
        return self._handover(_NEXT, subscriber)

    def this_one(self, event_id: UUID, subscriber: str, /) -> AbstractAsyncContextManager[Handover | None]:
        return self._handover(_THIS, subscriber, event_id)

    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        now = datetime.now(UTC)
        rows = await self._database.look(_OVERDUE, subscriber, now - timedelta(seconds=seconds), now, limit)
        return [UUID(row["event_id"]) for row in rows]

    @asynccontextmanager
    async def _handover(self, query: str, subscriber: str, *which: UUID) -> AsyncGenerator[Handover | None]:
        turn: tuple[str | UUID, ...] = (subscriber, *which)
        if turn in self._turns:
            yield None
            return
        self._turns.add(turn)
        try:
            async with SqliteUnit(self._database, ANONYMOUS) as unit:
                rows = await unit.sql.fetch(query, subscriber, datetime.now(UTC), *which)
                if not rows:
                    yield None
                    return
                event, attempts, position = read(rows[0], StoredEvent), rows[0]["attempts"], rows[0]["position"]
                unit.user_id = event.user_id
                yield Handover(event, unit, attempts + 1)
                if unit.discarded:
                    raise RuntimeError("a delivery that cannot be made ends in an exception: do not discard it")
                await unit.sql.run("DELETE FROM deliveries WHERE position = ?", position)
        finally:
            self._turns.discard(turn)

    async def failed(self, handover: Handover, subscriber: str, problem: str, *, retry_in: float | None) -> None:
        now, event_id = datetime.now(UTC), handover.event.event_id
        due_at = None if retry_in is None else now + timedelta(seconds=retry_in)
        async with self._database.transaction() as sql:
            await sql.run(_FAILED, handover.attempt, problem, now, due_at, event_id, subscriber)

    async def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        rows = await self._database.look(_DEAD, limit)
        return [read(row, DeadLetter, event=dict(row)) for row in rows]

    async def retry(self, event_id: UUID | None = None, /) -> int:
        async with self._database.transaction() as sql:
            return await sql.run(_RETRY, datetime.now(UTC), event_id)

    async def lag(self) -> OutboxLag:
        ((waiting, dead, oldest),) = await self._database.look("SELECT * FROM lag")
        return OutboxLag(waiting, 0, dead, seconds_since(oldest))

    async def announce(self) -> None:
        """Wakes who waits in this process; another one looks again by itself."""
        self._announced.set()
        self._announced = asyncio.Event()

    async def wait(self, seconds: float, /) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._announced.wait()
