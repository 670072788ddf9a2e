"""How often something may happen, for all processes together."""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import attrs

from dashtam_core.identity import Allowance, Rate
from dashtam_core.kernel import ANONYMOUS
from dashtam_postgres import _connect

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore
    from dashtam_postgres._unit import PostgresUnit

SECONDS: Final = 5.0
"""How long a database may take to answer before what asked is refused."""
# In one order everywhere, so that two who want the same keys never wait for each other.
_LOCK: Final = """
INSERT INTO rate_limit (key, until) SELECT key, clock_timestamp() FROM unnest($1::text[]) AS key ORDER BY key
ON CONFLICT (key) DO UPDATE SET until = rate_limit.until RETURNING key, until, clock_timestamp() AS now
"""
_KEEP: Final = """
UPDATE rate_limit SET until = kept.until FROM unnest($1::text[], $2::timestamptz[]) AS kept (key, until)
WHERE rate_limit.key = kept.key
"""
CLEAR_LIMITS: Final = """
DELETE FROM rate_limit WHERE key IN (
    SELECT key FROM rate_limit WHERE until < clock_timestamp() FOR UPDATE SKIP LOCKED
)
"""


@attrs.frozen
class PostgresRateLimiter:
    """In a short transaction of its own. Where the database does not answer, nothing may happen."""

    store: "PostgresStore"

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        if not wanted:
            return Allowance(0.0)
        rates = {hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest(): wanted[key] for key in wanted}
        try:
            async with asyncio.timeout(SECONDS), self.store.unit_of_work(ANONYMOUS) as unit:
                return await _take(unit, rates)
        except TimeoutError as error:
            raise _connect.unavailable(error, self.store.place) from error


async def _take(unit: "PostgresUnit", rates: Mapping[str, Rate]) -> Allowance:
    rows = await unit.raw.fetch(_LOCK, list(rates))
    now = max(row["now"] for row in rows)
    each = {key: timedelta(seconds=rate.seconds) for key, rate in rates.items()}
    # Never later than after a whole burst: a clock that was set back locks nobody out.
    latest = {key: now + each[key] * rate.burst for key, rate in rates.items()}
    until = {row["key"]: max(now, min(row["until"], latest[row["key"]])) for row in rows}
    wait: timedelta = max(until[key] - now - each[key] * (rate.burst - 1) for key, rate in rates.items())
    if wait > timedelta():
        if all(row["until"] <= latest[row["key"]] for row in rows):
            unit.discard()
        else:
            await unit.raw.execute(_KEEP, list(rates), [until[key] for key in rates])
        return Allowance(wait.total_seconds())
    after = {key: until[key] + each[key] for key in rates}
    await unit.raw.execute(_KEEP, list(rates), [after[key] for key in rates])
    return Allowance.counted(rates, {key: (after[key] - now).total_seconds() for key in rates})
