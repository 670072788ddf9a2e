"""A person's rights to everything that is held about them, and to have it erased."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final, Protocol, cast

import attrs

from dashtam_core import messaging
from dashtam_core.audit import PersonalVault
from dashtam_core.identity._errors import IdentityRefused
from dashtam_core.identity._permissions import PROFILE_WRITE, USERS_ERASE
from dashtam_core.kernel import Permission, Result, Subject, Success, UserId

Held = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by where they are kept."""


class People(Protocol):
    """The acting subject as a whole, in one unit of work."""

    async def erase(self) -> Mapping[str, int]:
        """Delete every row of theirs, their keys, and events of theirs that wait; answers how many of each kind.

        The kinds are accounts, transactions, balances, documents and tokens. The audit trail stays.
        """
        ...

    async def export(self) -> Held:
        """Every row of theirs by table, and their audit entries, without what opens a door: as plain values.

        Bytes are as they are stored, sealed where they are personal.
        """
        ...


@attrs.frozen
class UserErased(messaging.DomainEvent):
    """Everything of this person is gone; what a subscriber kept of them should go too."""

    user_id: UserId


@attrs.frozen
class EraseUser(messaging.Command[Mapping[str, int], IdentityRefused]):
    """Erase everything the acting person has here, for good. The answer says how many of each kind there were.

    Audit entries stay, with who they were about as a bare id; the address and names in them become unreadable.
    """

    permission: ClassVar[Permission] = USERS_ERASE
    resource_type: ClassVar[str] = "user"
    replayable: ClassVar[bool] = False


@attrs.frozen
class EraseUserHandler:
    people: People
    subject: Subject
    outgoing: messaging.Outgoing
    notes: messaging.Notes

    async def apply(self, _: EraseUser, /) -> Result[Mapping[str, int], IdentityRefused]:
        erased = await self.people.erase()
        self.notes.about(self.subject.user_id, **erased)
        self.outgoing.emit(UserErased(self.subject.user_id))
        return Success(erased)


@attrs.frozen
class ExportUser(messaging.Query[Held, IdentityRefused]):
    """Everything that is held about the acting person, by where it is kept, as JSON knows it.

    Amounts and ids are text, instants ISO 8601. What is sealed is opened: text as it is, other bytes in base 64.
    Of passwords, tokens and keys there is only that they exist; hashes are hexadecimal.
    """

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "user"
    audited: ClassVar[bool] = True


@attrs.frozen
class ExportUserHandler(messaging.PreparedAnswer[ExportUser, Held, IdentityRefused]):
    people: People
    vault: PersonalVault
    subject: Subject
    unit: messaging.UnitOfWork

    async def prepare(self, _: ExportUser, /) -> Result[Held, IdentityRefused]:
        async with self.unit:
            held = await self.people.export()
        return Success({name: [await self._told(row) for row in rows] for name, rows in held.items()})

    async def _told(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: await self._plain(value) for name, value in row.items()}

    async def _plain(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | dict() | list():
                return cast("Any", value)
            case bytes():
                return await self._opened(value)
            case date():
                return value.isoformat()
            case _:
                return str(value)

    async def _opened(self, data: bytes) -> str | None:
        try:
            opened = await self.vault.open(self.subject.user_id, data)
        except ValueError:  # it is not sealed, but a hash
            return data.hex()
        if opened is None:
            return None
        try:
            return opened.decode()
        except UnicodeDecodeError:
            return b64encode(opened).decode()


def forgetting(vault: PersonalVault, /) -> messaging.Subscription:
    """Drops the key of who was erased from memory too."""

    async def forget(event: UserErased) -> None:
        vault.forget(event.user_id)

    return UserErased.heard_by(forget)


ROUTES: Final = (EraseUser.handled_by(EraseUserHandler), ExportUser.prepared_by(ExportUserHandler))
