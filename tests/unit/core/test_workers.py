"""What runs beside the messages: it seals at the end too, goes on after any error, and says so once."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.audit import Phase, Sealing
from dashtam_core.identity import CreateApiToken, ExternalSubject
from dashtam_core.kernel import UnavailableCode, UnavailableError, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import StoredEvent
from dashtam_core.workers import WORRYING_SECONDS, Workers, _attempted

ANN = ExternalSubject("ann")


def opened(store: MemoryStore, **more: Any) -> Any:
    return Dashtam.open(settings=Settings(master_key="k" * 32), store=store, plugins=(), **more)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.levelno >= logging.WARNING]


async def test_what_was_recorded_is_sealed_when_the_application_ends() -> None:
    """The last entries do not wait for the next start to get their place in the tree."""
    store = MemoryStore()
    async with opened(store) as dashtam:
        (await dashtam.acting_as(ANN).execute(CreateApiToken("phone"))).unwrap()
    assert (await store.audit.lag()).unsealed == 0
    assert len(await store.audit.leaf_hashes(10)) == 2


async def test_without_workers_nothing_runs_beside() -> None:
    """A one-shot program leaves sealing to whoever serves."""
    store = MemoryStore()
    async with opened(store, workers=False) as dashtam:
        (await dashtam.acting_as(ANN).execute(CreateApiToken("phone"))).unwrap()
    assert (await store.audit.lag()).unsealed == 2


async def test_a_broken_dependency_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it breaks, one when it works again, and none in between."""

    async def broken() -> None:
        raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "nobody answers")

    async def works() -> None:
        pass

    last = await _attempted("sealing", broken)
    last = await _attempted("sealing", broken, last)
    last = await _attempted("sealing", works, last)
    assert last is await _attempted("sealing", works, last) is None
    assert told(caplog) == [("WARNING", "a dependency is broken"), ("WARNING", "works again")]
    first = caplog.records[0].__dict__
    assert (first["work"], first["code"], first["why"]) == ("sealing", "store_unreachable", "nobody answers")


async def test_a_bug_in_one_kind_of_work_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """It ends nothing, and is not repeated every second; another bug is another line."""

    async def fails() -> None:
        raise ZeroDivisionError

    async def differently() -> None:
        raise KeyError

    last = await _attempted("sweeping", fails)
    last = await _attempted("sweeping", fails, last)
    await _attempted("sweeping", differently, last)
    assert told(caplog) == [("ERROR", "background work failed")] * 2
    assert all(record.exc_info for record in caplog.records)


async def test_what_waits_too_long_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Entries without a place in the tree and events without a delivery, once they are a minute old."""
    store = MemoryStore()
    await store.deliveries.register({"mail": ["Noted"]})
    async with opened(store, workers=False) as dashtam:
        (await dashtam.acting_as(ANN).execute(CreateApiToken("phone"))).unwrap()
        async with store.unit_of_work(ANN) as unit:
            unit.outbox.add([StoredEvent(new_id(), ANN.user_id, "Noted", "{}")])
        workers = Workers(store, dashtam.container.get(Sealing), dashtam.relay)
        await workers._watch()
        assert told(caplog) == []
        _age(store)
        await workers._watch()
    assert [message.split(":")[0] for _, message in told(caplog)] == [
        "audit entries wait to be sealed",
        "events wait to be delivered",
    ]
    assert store.trail.entries[0].phase is Phase.ATTEMPTED


def _age(store: MemoryStore) -> None:
    """Makes everything that waits a little older than is worth a warning."""
    age = timedelta(seconds=WORRYING_SECONDS + 1)
    first = store.trail.entries[0]
    store.trail.entries[0] = attrs.evolve(first, recorded_at=datetime.now(UTC) - age)
    milliseconds = int((datetime.now(UTC) - age).timestamp() * 1000)
    for each in store.outbox.waiting:
        id_ = type(each.event.event_id)(int=each.event.event_id.int & ((1 << 80) - 1) | milliseconds << 80)
        each.event = attrs.evolve(each.event, event_id=id_)
