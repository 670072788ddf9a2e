"""The way out of the outbox: to each durable subscriber, in the order of commits."""

import time
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
    from dashtam_postgres._unit import PostgresUnit

# Numbers are given out when transactions begin to write, not when they commit: what comes at or after the oldest
# that still runs may be overtaken, and waits. Beyond the last one given out are rows of a dump from elsewhere.
_ENDED: Final = "o.xid < pg_snapshot_xmin(pg_current_snapshot())"
_FOREIGN: Final = "o.xid >= pg_snapshot_xmax(pg_current_snapshot())"
_EVENT: Final = "o.event_id, o.user_id, o.name, o.payload"
_INBOX: Final = "FROM inbox i WHERE i.event_id = o.event_id AND i.subscriber = $1"
# An index answers each branch, however much others wait for. NOT EXISTS and a plain join would let a planner that
# has no statistics go through the whole inbox, or outbox, for one event; a subselect and OFFSET 0 do not.
_NEW: Final = f"(SELECT done {_INBOX}) IS NULL"
_DUE: Final = "SELECT i.event_id FROM inbox i WHERE i.subscriber = $1 AND NOT i.done AND i.retry_at <= now()"
_WANTED: Final = "o.name = ANY ((SELECT events FROM subscriber WHERE name = $1)::text[])"
_FIRST: Final = f"(SELECT o.* FROM {{}} AND {_WANTED} ORDER BY o.xid, o.position LIMIT 1)"  # noqa: S608 - constants
_NEXT: Final = f"""
SELECT {_EVENT}, o.xid, o.position, {_ENDED} AS ended, coalesce((SELECT attempts {_INBOX}), 0) AS attempts FROM (
    {_FIRST.format(f"outbox o WHERE (o.xid, o.position) > ($2, $3) AND {_ENDED} AND {_NEW}")}
    UNION ALL {_FIRST.format(f"outbox o WHERE {_FOREIGN} AND {_NEW}")}
    UNION ALL {_FIRST.format(f"(SELECT * FROM outbox WHERE event_id = ANY (ARRAY({_DUE})) OFFSET 0) o WHERE true")}
) AS o ORDER BY o.xid, o.position LIMIT 1
"""  # noqa: S608 - made of constants
_NOW: Final = "NOT done AND retry_at IS NOT NULL AND retry_at <= now()"
_THIS: Final = f"""
SELECT {_EVENT}, coalesce((SELECT attempts {_INBOX}), 0) AS attempts FROM outbox o
WHERE o.event_id = $2 AND {_WANTED} AND (SELECT {_NOW} {_INBOX}) IS NOT FALSE
"""  # noqa: S608 - made of constants
# What is new and too young to be overdue is read too: it says how far the next time need not look again.
_SOME: Final = f"""
(SELECT o.*, {{}} AS overdue, {{}} AS ended FROM {{}} AND {_WANTED} ORDER BY o.xid, o.position LIMIT $5)
"""  # noqa: S608 - made of constants
_OLD: Final = "o.created_at <= now() - $4 * interval '1 second'"
_TOLD_AGAIN: Final = f"""
(SELECT * FROM outbox WHERE event_id = ANY (ARRAY({_DUE} ORDER BY i.retry_at LIMIT $5)) OFFSET 0)
"""  # noqa: S608 - made of constants
_OVERDUE: Final = f"""
SELECT o.event_id, o.xid, o.position, o.overdue, o.ended FROM (
    {_SOME.format(_OLD, _ENDED, f"outbox o WHERE (o.xid, o.position) > ($2, $3) AND {_NEW}")}
    UNION ALL {_SOME.format("true", "false", f"{_TOLD_AGAIN} o WHERE true")}
) AS o ORDER BY o.xid, o.position
"""  # noqa: S608 - made of constants
_LAST: Final = f"""
SELECT o.xid, o.position FROM outbox o WHERE {_ENDED} ORDER BY o.xid DESC, o.position DESC LIMIT 1
"""  # noqa: S608 - made of constants
_REMEMBERED: Final = 60.0
_MISSING: Final = """
SELECT FROM subscriber s WHERE o.name = ANY (s.events)
AND (SELECT done FROM inbox i WHERE i.event_id = o.event_id AND i.subscriber = s.name) IS NOT TRUE
"""
# Whoever is the last to get an event takes it out of the outbox, and its inbox rows with it.
_DELIVERED: Final = f"""
WITH last AS (
    DELETE FROM outbox o WHERE o.event_id = $2 AND NOT EXISTS ({_MISSING} AND s.name <> $1) RETURNING o.event_id
)
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
WITH dropped AS (
    UPDATE inbox i SET done = true FROM outbox o
    WHERE o.event_id = i.event_id AND i.subscriber = $1 AND NOT i.done AND o.name <> ALL ($2::text[])
), before AS (SELECT events FROM subscriber WHERE name = $1), past AS (
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
    count(*) FILTER (WHERE NOT alive),
    coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE alive)), 0)
FROM (
    SELECT o.event_id, o.created_at, i.done IS NULL OR i.retry_at IS NOT NULL AS alive,
        NOT ({_ENDED} OR {_FOREIGN}) AS held
    FROM outbox o JOIN subscriber s ON o.name = ANY (s.events)
    LEFT JOIN inbox i ON i.event_id = o.event_id AND i.subscriber = s.name WHERE i.done IS NOT TRUE
) AS waiting
"""  # noqa: S608 - made of constants


class PostgresDeliveries:
    def __init__(self, store: "PostgresStore") -> None:
        self._store = store
        self._announcements = Announcements(store)
        self._reached: dict[str, tuple[int, int, float]] = {}
        """How far in order each subscriber has come here, so that what others still wait for is not gone through
        again for each event. Forgotten after a minute: a database that was put back begins its numbers anew."""

    async def register(self, subscribers: Mapping[str, Sequence[str]], /) -> None:
        async with self._store.work() as unit:
            await unit.raw.execute("LOCK TABLE subscriber IN SHARE ROW EXCLUSIVE MODE")
            for name, events in sorted(subscribers.items()):
                await unit.raw.execute(_REGISTER, name, list(events))

    @asynccontextmanager
    async def next_for(self, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        async with self._store.work() as unit:
            found = await self._next(unit, subscriber)
            async with _handed_over(unit, subscriber, found) as handover:
                yield handover
        if found is not None and found["ended"] and not found["attempts"]:  # else what is new may come before it
            self._remember(subscriber, found["xid"], found["position"])

    @asynccontextmanager
    async def this_one(self, event_id: UUID, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        async with self._store.work() as unit:
            mine = await unit.lock("delivery", f"{subscriber}/{event_id}")
            # After the lock, so that it sees what the one who had it before has done.
            found = await unit.raw.fetchrow(_THIS, subscriber, event_id) if mine else None
            async with _handed_over(unit, subscriber, found) as handover:
                yield handover

    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        async with self._store.work() as unit:
            last = await unit.raw.fetchrow(_LAST)
            rows = await unit.raw.fetch(_OVERDUE, subscriber, *self._reached_by(subscriber), seconds, limit)
        new = [row for row in rows if row["ended"]]
        if new:
            self._remember(subscriber, new[0]["xid"], new[0]["position"] - 1)
        elif last is not None:
            self._remember(subscriber, last["xid"], last["position"])
        return [UUID(int=row["event_id"].int) for row in rows if row["overdue"]][:limit]

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

    async def _next(self, unit: "PostgresUnit", subscriber: str) -> asyncpg.Record | None:
        if not await unit.lock("delivery", subscriber):
            return None
        return await unit.raw.fetchrow(_NEXT, subscriber, *self._reached_by(subscriber))

    def _reached_by(self, subscriber: str) -> tuple[int, int]:
        xid, position, until = self._reached.get(subscriber, (0, 0, 0.0))
        return (xid, position) if time.monotonic() <= until else (0, 0)

    def _remember(self, subscriber: str, xid: int, position: int) -> None:
        """What is new comes after that."""
        *_, until = self._reached.get(subscriber, (0, 0, 0.0))
        if until < time.monotonic():
            until = time.monotonic() + _REMEMBERED
        self._reached[subscriber] = xid, position, until


@asynccontextmanager
async def _handed_over(
    unit: "PostgresUnit", subscriber: str, found: asyncpg.Record | None
) -> AsyncGenerator[Handover | None]:
    """What was found, lent to its person while the block lasts, and recorded as delivered after it."""
    if found is None:
        yield None
        return
    event, attempt = _event(found), found["attempts"] + 1
    await unit.lend(event.user_id)
    yield Handover(event, unit, attempt)
    await unit.reclaim()
    await unit.raw.execute(_DELIVERED, subscriber, event.event_id, attempt)


def _event(row: asyncpg.Record) -> StoredEvent:
    return StoredEvent(UUID(int=row["event_id"].int), UserId(row["user_id"]), row["name"], row["payload"])
