"""What the processes do that are made to be killed."""

import asyncio
import os
import signal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import attrs

import dashtam_postgres
from dashtam_core.messaging import Answer, Call, DurableSubscription, Next, chain
from faults.spreading import Tally, spreading
from faults.world import INSIDE, Called, application, marked, raw

HEARD: Final = (
    "CREATE TABLE dashtam.heard (at bigint GENERATED ALWAYS AS IDENTITY, subscriber text, mark text)",
    "GRANT SELECT, INSERT ON dashtam.heard TO dashtam_app",
)
"""The owner makes it before anybody hears."""


@attrs.frozen
class Suicide:
    """A stage after which, or before which, there is no process any more."""

    after: bool

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if self.after:
            await proceed(call)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("there is no process any more")


async def crash(url: str, mark: str, stage: int, *, after: bool) -> None:
    """Runs one command, and ends before or after this stage of the pipeline; beyond the last it is the handler."""
    async with dashtam_postgres.open_store(url) as store, application(store) as dashtam:
        stages = list(dashtam.stages)
        if stage < len(stages):
            stages.insert(stage, Suicide(after))
        else:
            INSIDE.does = _dying
        dashtam._run = chain(stages)
        await marked(dashtam, mark, key=mark)


async def _dying(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def relay(url: str, deliveries: int, seconds: float) -> None:
    """Delivers to both subscribers, and is killed so many seconds after it began its so many-th delivery."""
    async with (
        dashtam_postgres.open_store(url) as store,
        application(store, workers=True, subscriptions=subscriptions(deliveries, seconds)),
    ):
        await asyncio.Event().wait()


async def spread(url: str, bus: str, folder: str) -> None:
    """Hears of what comes through the stream, until it is killed."""
    async with spreading(url, bus, Tally(Path(folder)), pool=10, workers=True):
        await asyncio.Event().wait()


def subscriptions(last: int = 0, seconds: float = 0.0) -> list[DurableSubscription]:
    """Two who count what they hear in a table of their own, in the transaction of the delivery."""
    begun = count(1)

    async def hear(name: str, event: Called, unit: Any) -> None:
        if next(begun) == last:
            asyncio.get_running_loop().call_later(seconds, os.kill, os.getpid(), signal.SIGKILL)
        await raw(unit).execute("INSERT INTO heard (subscriber, mark) VALUES ($1, $2)", name, event.mark)

    return [Called.delivered_to(name, partial(hear, name)) for name in ("first", "second")]
