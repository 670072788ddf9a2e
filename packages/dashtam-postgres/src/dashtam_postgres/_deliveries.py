"""The way out of the outbox: to each durable subscriber, in the order of commits."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from dashtam_core.kernel import UserId
from dashtam_core.messaging import DeadLetter, Handover, OutboxLag, StoredEvent
from dashtam_postgres._announcements import Announcements

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore

# Numbers are given out when transactions begin to write, not when they commit: what comes at or after the oldest
# that still runs may be overtaken, and waits. Beyond the last one given out are rows of a dump from elsewhere.
_SETTLED: Final = (
    "(o.xid < pg_snapshot_xmin(pg_current_snapshot()) OR o.xid >= pg_snapshot_xmax(pg_current_snapshot()))"
)
_EVENT: Final = "o.event_id, o.user_id, o.name, o.payload"
_WANTED: Final = """
outbox o JOIN subscriber s ON o.name = ANY (s.events)
LEFT JOIN inbox i ON i.event_id = o.event_id AND i.subscriber = s.name
"""
_NEXT: Final = f"""
SELECT {_EVENT}, coalesce(i.attempts, 0) AS attempts FROM {_WANTED}
WHERE s.name = $1 AND {_SETTLED} AND (i.done IS NULL OR NOT i.done AND i.retry_at <= now())
ORDER BY o.xid, o.position LIMIT 1
"""  # noqa: S608 - made of constants
_MISSING: Final = """
SELECT FROM subscriber s WHERE o.name = ANY (s.events) AND NOT EXISTS (
    SELECT FROM inbox i WHERE i.event_id = o.event_id AND i.subscriber = s.name AND i.done
)
"""
# Whoever is the last to get an event takes it out of the outbox, and its inbox rows with it.
_DELIVERED: Final = f"""
WITH last AS (DELETE FROM outbox o WHERE o.event_id = $2 AND NOT EXISTS ({_MISSING} AND s.name <> $1) RETURNING o.event_id)
INSERT INTO inbox (event_id, subscriber, done, attempts)
SELECT event_id, $1, true, $3 FROM outbox WHERE event_id = $2 AND NOT EXISTS (SELECT FROM last)
ON CONFLICT (event_id, subscriber) DO UPDATE SET done = true, attempts = excluded.attempts
"""  # noqa: S608 - made of constants
# Two that were the last at one time may both have left it to the other; and nobody may want it at all.
CLEAR: Final = f"""
DELETE FROM outbox o WHERE NOT EXISTS ({_MISSING})
AND (o.created_at < now() - interval '1 hour' OR EXISTS (SELECT FROM inbox i WHERE i.event_id = o.event_id))
"""  # noqa: S608 - made of constants
_FAILED: Final = """
INSERT INTO inbox (event_id, subscriber, done, attempts, problem, failed_at, retry_at)
SELECT event_id, $2, false, $3, $4, now(), now() + $5 * interval '1 second' FROM outbox WHERE event_id = $1
ON CONFLICT (event_id, subscriber) DO UPDATE SET attempts = excluded.attempts, problem = excluded.problem,
    failed_at = excluded.failed_at, retry_at = excluded.retry_at
"""
# What is in the outbox when somebody first wants it has happened before.
_REGISTER: Final = """
WITH before AS (SELECT events FROM subscriber WHERE name = $1), past AS (
    INSERT INTO inbox (event_id, subscriber, done, attempts)
    SELECT event_id, $1, true, 0 FROM outbox o
    WHERE name = ANY ($2::text[]) AND NOT EXISTS (SELECT FROM before WHERE o.name = ANY (before.events))
    FOR KEY SHARE OF o ON CONFLICT DO NOTHING
)
INSERT INTO subscriber (name, events) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET events = excluded.events
"""
_DEAD: Final = f"""
SELECT {_EVENT}, i.subscriber, i.attempts, i.problem, i.failed_at FROM outbox o JOIN inbox i USING (event_id)
WHERE NOT i.done AND i.retry_at IS NULL ORDER BY i.failed_at DESC LIMIT $1
"""  # noqa: S608 - made of constants
_RETRY: Final = """
UPDATE inbox SET attempts = 0, retry_at = now()
WHERE NOT done AND retry_at IS NULL AND ($1::uuid IS NULL OR event_id = $1)
"""
_LAG: Final = f"""
SELECT count(*) FILTER (WHERE alive), count(DISTINCT event_id) FILTER (WHERE held),
    count(*) FILTER (WHERE NOT alive), coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE alive)), 0)
FROM (
    SELECT o.event_id, o.created_at, i.done IS NULL OR i.retry_at IS NOT NULL AS alive, NOT {_SETTLED} AS held
    FROM {_WANTED} WHERE i.done IS NOT TRUE
) AS waiting
"""  # noqa: S608 - made of constants


class PostgresDeliveries:
    def __init__(self, store: "PostgresStore") -> None:
        self._store = store
        self._announcements = Announcements(store)

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        async with self._store.work() as unit:
            await unit.raw.execute("LOCK TABLE subscriber IN SHARE ROW EXCLUSIVE MODE")
            for name, events in sorted(subscribers.items()):
                await unit.raw.execute(_REGISTER, name, list(events))

    @asynccontextmanager
    async def next_for(self, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        async with self._store.work() as unit:
            found = None
            if await unit.lock("delivery", subscriber):
                found = await unit.raw.fetchrow(_NEXT, subscriber)
            if found is None:
                yield None
                return
            event, attempt = _event(found), found["attempts"] + 1
            await unit.lend(event.user_id)
            yield Handover(event, unit, attempt)
            await unit.reclaim()
            await unit.raw.execute(_DELIVERED, subscriber, event.event_id, attempt)

    async def failed(self, handover: Handover, subscriber: str, problem: str, *, retry_in: float | None) -> None:
        async with self._store.work() as unit:
            event_id = handover.event.event_id
            await unit.raw.execute(_FAILED, event_id, subscriber, handover.attempt, problem, retry_in)

    async def dead(self, *, limit: int) -> Sequence[DeadLetter]:
        async with self._store.work() as unit:
            rows = await unit.raw.fetch(_DEAD, limit)
        return [
            DeadLetter(_event(row), row["subscriber"], row["attempts"], row["problem"], row["failed_at"])
            for row in rows
        ]

    async def retry(self, event_id: UUID | None = None, /) -> int:
        async with self._store.work() as unit:
            done = await unit.raw.execute(_RETRY, event_id)
        return int(done.removeprefix("UPDATE "))

    async def lag(self) -> OutboxLag:
        async with self._store.work() as unit:
            waiting, held_back, dead, seconds = await unit.raw.fetchrow(_LAG) or (0, 0, 0, 0)
        return OutboxLag(waiting, held_back, dead, float(seconds))

    async def announce(self) -> None:
        self._announcements.tell()

    async def wait(self, seconds: float, /) -> None:
        await self._announcements.wait(seconds)

    async def aclose(self) -> None:
        await self._announcements.aclose()


def _event(row: asyncpg.Record) -> StoredEvent:
    return StoredEvent(UUID(int=row["event_id"].int), UserId(row["user_id"]), row["name"], row["payload"])
