"""`dashtam events`: what could not be delivered, and another try."""

import asyncio
from contextlib import suppress
from uuid import UUID

import attrs
import pytest

from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import new_id
from dashtam_core.messaging import DomainEvent, Handover, StoredEvent
from unit.cli.toy import CommandLine, noisy


@attrs.frozen
class SomethingHappened(DomainEvent):
    pass


@pytest.fixture
def dashtam() -> CommandLine:
    """The command line over two events for one subscriber, which failed for good with the first."""
    found = CommandLine(noisy())

    async def fail() -> None:
        store, ann = found.store, ExternalSubject("ann")
        await store.deliveries.register({"mailer": ["SomethingHappened"]})
        async with store.unit_of_work(ann) as unit:
            unit.outbox.add([StoredEvent.of(SomethingHappened(), ann.user_id) for _ in range(2)])
        taken: list[Handover | None] = []
        with suppress(ZeroDivisionError):
            async with store.deliveries.next_for("mailer") as handover:
                taken.append(handover)
                raise ZeroDivisionError
        assert taken[0] is not None
        await store.deliveries.failed(taken[0], "mailer", "mailbox_full", retry_in=None)

    asyncio.run(fail())
    return found


def test_dead_letters_as_json(dashtam: CommandLine) -> None:
    """What was given up is listed with why, and without what is in it, beside what waits."""
    view = dashtam.json("events", "dead")
    (item,) = view["items"]
    assert UUID(item.pop("event_id")).version == 7
    assert item.pop("failed_at").endswith("+00:00")
    assert item == {
        "event": "SomethingHappened",
        "user_id": str(ExternalSubject("ann").user_id),
        "subscriber": "mailer",
        "attempts": 1,
        "problem": "mailbox_full",
    }
    assert (view["lag"]["waiting"], view["lag"]["held_back"], view["lag"]["dead"]) == (1, 0, 1)


def test_dead_letters_as_a_table(dashtam: CommandLine) -> None:
    """A row for each, and a last line with how much waits."""
    (item,) = dashtam.json("events", "dead")["items"]
    _, shown, lag = dashtam("events", "dead").stdout.splitlines()
    assert shown.split()[:5] == [item["event_id"], "SomethingHappened", "mailer", "1", "mailbox_full"]
    assert lag.startswith("waiting 1, held back 0, dead 1, oldest ")


def test_all_of_them_again(dashtam: CommandLine) -> None:
    """Everything given up waits again, and a second time there is nothing to do."""
    assert dashtam("events", "retry").stdout == "deliveries to be tried again: 1\n"
    view = dashtam.json("events", "dead")
    assert (view["items"], view["lag"]["waiting"]) == ([], 2)
    assert dashtam.json("events", "retry") == {"retried": 0}


def test_one_of_them_again(dashtam: CommandLine) -> None:
    """An event is named by its id; one that was not given up is refused."""
    (item,) = dashtam.json("events", "dead")["items"]
    unknown = str(new_id())
    result = dashtam("events", "retry", unknown, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no delivery of the event {unknown} was given up" in result.stderr
    assert dashtam.json("events", "retry", item["event_id"]) == {"retried": 1}
    seen = dashtam.json("audit", "list", "--action", "retry_dead_letters", "--resource", item["event_id"])
    assert [each["phase"] for each in seen["items"]] == ["succeeded", "attempted"]


@pytest.mark.parametrize("limit", ["0", "1001"])
def test_a_limit_out_of_bounds(dashtam: CommandLine, limit: str) -> None:
    """It is refused before a store is opened."""
    result = dashtam("events", "dead", "--limit", limit)
    assert (result.exit_code, "noise of the store" in result.stderr) == (2, False)
