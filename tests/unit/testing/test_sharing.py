"""What processes share, in memory: in any order, with faults, and no larger than it should be."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dashtam_core.kernel import UnavailableError
from dashtam_core.memory import MemoryCache, MemoryEventStream, MemoryLocks, MemoryShared
from dashtam_core.messaging import WireEvent
from dashtam_core.testing import CacheConformance, Conformance, EventStreamConformance, LocksConformance
from dashtam_core.testing._sharing import Noted
from dashtam_core.testing.faults import Fault, Faults, Strike, faulty
from dashtam_core.testing.samples import event
from dashtam_core.testing.simulation import simulate

HOUR = 3600.0


def members() -> Callable[..., MemoryEventStream]:
    """What makes members of one new stream."""
    made = list[MemoryEventStream]()

    def make(**options: Any) -> MemoryEventStream:
        made.append(made[0] if made else MemoryEventStream(**options))
        return made[0]

    return make


SUITES: dict[type[Conformance], Callable[[], Any]] = {
    CacheConformance: MemoryCache,
    LocksConformance: MemoryLocks,
    EventStreamConformance: members,
}
PROMISES = [
    (suite, name)
    for suite in SUITES
    for name, test in inspect.getmembers(suite, inspect.isfunction)
    if name.startswith("test_") and not hasattr(test, "pytestmark")
]


@pytest.mark.parametrize(("suite", "name"), PROMISES, ids=lambda each: getattr(each, "__name__", each))
def test_promises_hold_in_any_order(suite: type[Conformance], name: str) -> None:
    """Whoever comes first, and with time that is virtual."""
    for seed in range(10):
        simulate(getattr(suite(), name)(SUITES[suite]()), seed=seed)


async def test_a_cache_has_an_end() -> None:
    """It keeps the 10,000 keys that were set last, however often each was."""
    cache = MemoryCache()
    for number in range(10_001):
        await cache.set(str(number), b"1", seconds=HOUR)
        await cache.set("often", b"1", seconds=HOUR)
    assert [await cache.get(key) for key in ("0", "1", "2", "often")] == [None, None, b"1", b"1"]


async def test_locks_that_nobody_holds_take_no_room() -> None:
    """However many names there are over time."""
    locks = MemoryLocks()
    for number in range(100):
        async with locks.hold(str(number), seconds=0.0 if number % 2 else HOUR):
            pass
    assert locks._held == {}


async def test_a_plan_strikes_what_processes_share() -> None:
    """A cache, the end of a lock and a stream, each where the plan says; the lock is given back all the same."""
    plan = Faults(
        Strike("cache.get", Fault.FAIL_BEFORE),
        Strike("locks.hold.__aexit__", Fault.FAIL_AFTER),
        Strike("stream.append", Fault.DUPLICATE),
    )
    shared, stream = faulty(MemoryShared(), plan), faulty(MemoryEventStream(), plan, "stream")
    hold = partial(shared.locks.hold, "import", seconds=HOUR)
    with pytest.raises(UnavailableError):
        await shared.cache.get("key")
    with pytest.raises(UnavailableError):
        async with hold() as lease:
            assert lease is not None
    async with hold() as lease:
        assert lease is not None
    await stream.append(WireEvent.of(event("1"), Noted))
    assert len(await stream.latest(9)) == 2
    assert len(plan.done) == 3
