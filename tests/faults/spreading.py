"""A subscriber that is spread over processes, each of which may be killed at any moment, and what they count."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs

import dashtam_postgres
from dashtam_core import Dashtam
from dashtam_core.container import provide
from dashtam_core.kernel import UnavailableCode
from dashtam_core.messaging import Deliveries, Handover, Relay, StoredEvent
from dashtam_redis._place import Place
from dashtam_redis._stream import RedisEventStream
from faults.world import Called, application, raw

EAR: Final = "ear"
TABLE: Final = (
    "CREATE TABLE dashtam.spread (mark text, seconds float8)",
    "GRANT SELECT, INSERT ON dashtam.spread TO dashtam_app",
)
"""The owner makes it before anybody hears."""
SECONDS: Final = 1.0
"""After so long a member is silent, or an event overdue."""


@attrs.frozen
class Tally:
    """What several processes count together, in a folder of theirs."""

    folder: Path

    def count(self, what: str, times: int = 1) -> None:
        with (self.folder / what).open("ab") as file:
            file.write(b"." * times)

    def of(self, what: str) -> int:
        file = self.folder / what
        return file.stat().st_size if file.exists() else 0


class _Stream(RedisEventStream):
    """One that counts what was taken, and what of it others had left behind."""

    def __init__(self, url: str, tally: Tally) -> None:
        place = Place.parse(url, "DASHTAM_BUS_URL", UnavailableCode.BUS_NOT_CONFIGURED)
        super().__init__(place, silent_seconds=SECONDS)
        self._tally = tally

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Any]:
        entries = await super().take(group, limit=limit, seconds=seconds)
        self._tally.count("taken", len(entries))
        return entries

    async def _left_behind(self, group: str, limit: int) -> Sequence[Any]:
        entries = await super()._left_behind(group, limit)
        self._tally.count("claimed", len(entries))
        return entries


class _Relay(Relay):
    """One that counts what came, and was told already."""

    tally: Tally

    async def _one(self, name: str, next_one: AbstractAsyncContextManager[Handover | None]) -> bool:
        told = await super()._one(name, next_one)
        if name == EAR and not told:
            self.tally.count("suppressed")
        return told


@asynccontextmanager
async def spreading(url: str, bus: str, tally: Tally, *, pool: int, workers: bool) -> AsyncGenerator[Dashtam]:
    """An application whose one subscriber writes down in its unit what it hears, and how long that took."""

    chance = random.Random()

    async def hear(event: Called, unit: Any) -> None:
        tally.count("begun")
        await asyncio.sleep(chance.random() * 0.04)  # what a death may fall into
        made = StoredEvent(event.event_id, unit.user_id, "", "").made_at
        seconds = (datetime.now(UTC) - made).total_seconds()
        await raw(unit).execute("INSERT INTO spread (mark, seconds) VALUES ($1, $2)", event.mark, seconds)

    def relay(deliveries: Deliveries) -> Relay:
        told = [Called.delivered_to(EAR, hear, spread=True)]
        made = _Relay(deliveries, told, poll_seconds=0.2, overdue_seconds=SECONDS, stream=stream)
        made.tally = tally
        return made

    stream = _Stream(bus, tally)
    try:
        async with (
            dashtam_postgres.open_store(url, pool_size=pool) as store,
            application(store, overrides=[provide(Relay).by(relay)], workers=workers) as dashtam,
        ):
            yield dashtam
    finally:
        await stream.aclose()
