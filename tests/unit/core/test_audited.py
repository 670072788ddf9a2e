"""What the audit trail holds when something about the entry itself is wrong, and what survives an exception."""

from typing import Any, ClassVar

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.audit import EntryFilter, Phase, RecordedEntry, Sealing, _stages
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import PUBLIC, Failure, Origin, Permission, Result, Success, UnavailableError
from dashtam_core.messaging import Command, DomainEvent, Notes, Outgoing, RefusalCode, Refused

ANN = ExternalSubject("ann")
NO = Refused(RefusalCode.PERMISSION_DENIED, "no")
HOSTILE = "\x00\ud800\r\nforged " + "x" * 600


@attrs.frozen
class Survived(DomainEvent):
    """Told whatever becomes of the command."""


@attrs.frozen
class Act(Command[int, Refused]):
    permission: ClassVar[Permission] = PUBLIC
    resource_type: ClassVar[str] = "thing"
    ends: str
    noted: Any = 1

    @property
    def resource_id(self) -> str | None:
        return HOSTILE


@attrs.frozen
class ActHandler:
    outgoing: Outgoing
    notes: Notes

    async def apply(self, command: Act, /) -> Result[int, Refused]:
        self.notes.context["noted"] = command.noted
        self.outgoing.even_if_failed(Survived())
        if command.ends == "raised":
            raise ZeroDivisionError
        return Success(1) if command.ends == "well" else Failure(NO)


class World:
    """An application with that one command, and who hears of what survived."""

    def __init__(self) -> None:
        self.heard = 0
        told = Survived.heard_by(self.hear)
        self.opening = Dashtam.open(
            settings=Settings(),
            plugins=(),
            routes=[Act.handled_by(ActHandler)],
            subscriptions=[told],
            workers=False,
        )

    async def hear(self, _: Survived) -> None:
        self.heard += 1


async def entries(dashtam: Dashtam) -> list[RecordedEntry]:
    return list(reversed(await dashtam.store.audit.entries(EntryFilter(), after=None, limit=100)))


@pytest.mark.parametrize("ends", ["well", "badly", "raised"])
@pytest.mark.parametrize("noted", [1.5, object(), {"deep": [2**53]}], ids=["fraction", "object", "integer"])
async def test_a_note_that_cannot_be_kept_fails_the_command(ends: str, noted: object) -> None:
    """Its caller hears of the bug; the attempt has an outcome all the same, and what survives survives."""
    world = World()
    async with world.opening as dashtam:
        with pytest.raises(ZeroDivisionError if ends == "raised" else ValueError):
            await dashtam.acting_as(ANN).execute(Act(ends, noted))
        assert [entry.phase for entry in await entries(dashtam)] == [Phase.ATTEMPTED, Phase.FAILED]
        assert world.heard == 1


@pytest.mark.parametrize("ends", ["well", "badly", "raised"])
async def test_what_survives_is_told_once_however_it_ends(ends: str) -> None:
    """An event that is meant to survive reaches the bus after a success, a failure and an exception alike."""
    world = World()
    async with world.opening as dashtam:
        if ends == "raised":
            with pytest.raises(ZeroDivisionError):
                await dashtam.acting_as(ANN).execute(Act(ends))
        else:
            await dashtam.acting_as(ANN).execute(Act(ends))
        assert world.heard == 1


@pytest.mark.parametrize("ends", ["well", "badly", "raised"])
async def test_who_is_too_late_has_no_outcome_of_its_own(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so long the sweeper may have spoken: the command is undone and its attempt is left to the sweeper."""
    monkeypatch.setattr(_stages, "LONGEST_SECONDS", -1.0)
    world = World()
    async with world.opening as dashtam:
        with pytest.raises(ZeroDivisionError if ends == "raised" else UnavailableError):
            await dashtam.acting_as(ANN).execute(Act(ends))
        assert [entry.phase for entry in await entries(dashtam)] == [Phase.ATTEMPTED]
        assert world.heard == 0


async def test_text_from_outside_is_kept_as_every_store_keeps_it() -> None:
    """Half a character, a control character and a flood in a caller's id neither fail nor forge anything."""
    async with World().opening as dashtam:
        await dashtam.acting_as(ANN, Origin(request_id=HOSTILE)).execute(Act("well"))
        assert await dashtam.container.get(Sealing).seal() == 2
        for entry in await entries(dashtam):
            for text in (entry.resource_id, entry.request_id):
                assert text is not None
                assert text.startswith("\ufffd?\ufffd\ufffdforged x")
                assert len(text) == 512
