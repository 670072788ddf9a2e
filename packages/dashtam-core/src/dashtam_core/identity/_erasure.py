"""A person's right to be erased: all they have, and the key that opens what the audit trail says of them."""

from collections.abc import Mapping
from typing import ClassVar, Final, Protocol

import attrs

from dashtam_core.audit import PersonalVault
from dashtam_core.identity._permissions import USERS_ERASE
from dashtam_core.identity._tokens import IdentityRefused
from dashtam_core.kernel import Permission, Result, Subject, Success, UserId
from dashtam_core.messaging import Command, DomainEvent, Notes, Outgoing, Subscription


class People(Protocol):
    """The acting subject as a whole, in one unit of work."""

    async def erase(self) -> Mapping[str, int]:
        """Delete every row of theirs, their keys, and events of theirs that wait; answers how many of each kind.

        The kinds are accounts, transactions, balances, documents and tokens. The audit trail stays.
        """
        ...


@attrs.frozen
class UserErased(DomainEvent):
    """Everything of this person is gone; what a subscriber kept of them should go too."""

    user_id: UserId


@attrs.frozen
class EraseUser(Command[Mapping[str, int], IdentityRefused]):
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
    outgoing: Outgoing
    notes: Notes

    async def apply(self, _: EraseUser, /) -> Result[Mapping[str, int], IdentityRefused]:
        erased = await self.people.erase()
        self.notes.about(self.subject.user_id, **erased)
        self.outgoing.emit(UserErased(self.subject.user_id))
        return Success(erased)


def forgetting(vault: PersonalVault, /) -> Subscription:
    """Drops the key of who was erased from memory too."""

    async def forget(event: UserErased) -> None:
        vault.forget(event.user_id)

    return UserErased.heard_by(forget)


ROUTES: Final = (EraseUser.handled_by(EraseUserHandler),)
