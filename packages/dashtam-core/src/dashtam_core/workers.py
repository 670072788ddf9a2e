"""What runs beside the messages of an open Dashtam: sealing, sweeping, delivering, keeping house."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Final

import attrs

from dashtam_core.audit import Sealing
from dashtam_core.kernel import UnavailableError
from dashtam_core.messaging import Relay
from dashtam_core.store import Capability, Store

SEAL_SECONDS: Final = 1.0
WORRYING_SECONDS: Final = 60.0
"""Older than this, what waits to be sealed or delivered is worth a warning."""

_log: Final = logging.getLogger(__name__)


@attrs.frozen
class Workers:
    """The background work of one process. Each kind goes on by itself, whatever becomes of the others."""

    store: Store
    sealing: Sealing
    relay: Relay

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Works while the block lasts, and seals what is left at its end."""
        sealing = (("sealing", SEAL_SECONDS, self.sealing.seal),) if self.seals else ()
        tasks = [
            asyncio.create_task(self._every(seconds, name, work), name=f"dashtam {name}")
            for name, seconds, work in (
                *sealing,
                ("sweeping", 60.0, self.sealing.sweep),
                ("maintenance", 300.0, self.store.maintain),
                ("watch", 30.0, self._watch),
                ("relay", 0.0, self.relay.run),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.seals:
                await _attempted("sealing", self.sealing.seal)

    @property
    def seals(self) -> bool:
        """Whether there is something to sign with. A trail that ends with the process does without."""
        return Capability.IMMUTABLE_AUDIT in self.store.capabilities or find_spec("cryptography") is not None

    async def _every(self, seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Works, rests, works again. What fails twice in one way is told of once."""
        task = asyncio.current_task()
        assert task is not None
        last: str | None = None
        while True:
            last = await _attempted(name, work, last)
            if task.cancelling():  # an error while it was undone has hidden it
                return
            await asyncio.sleep(seconds or SEAL_SECONDS)

    async def _watch(self) -> None:
        """Warns of what waits too long, before somebody misses it."""
        sealing, outbox = await self.store.audit.lag(), await self.store.deliveries.lag()
        if sealing.oldest_seconds > WORRYING_SECONDS:
            _log.warning(
                "audit entries wait to be sealed: is a transaction open for long?",
                extra={"unsealed": sealing.unsealed, "oldest_seconds": round(sealing.oldest_seconds)},
            )
        if outbox.oldest_seconds > WORRYING_SECONDS:
            _log.warning("events wait to be delivered", extra=attrs.asdict(outbox))


async def _attempted(name: str, work: Callable[[], Awaitable[object]], last: str | None = None) -> str | None:
    """What went wrong, in a word, or None. Told of unless it is what went wrong the last time."""
    try:
        await work()
    except UnavailableError as error:
        if error.code != last:
            _log.warning("a dependency is broken", extra={"work": name, "code": error.code, "why": error.message})
        return str(error.code)
    except Exception as error:  # noqa: BLE001 - a bug in one kind of work must not end the others, nor go unseen
        if type(error).__name__ != last:
            _log.exception("background work failed", extra={"work": name})
        return type(error).__name__
    if last is not None:
        _log.warning("works again", extra={"work": name})
    return None
