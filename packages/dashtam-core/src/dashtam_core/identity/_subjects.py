"""The people whom another system knows, and the stage that asks what a subject may do."""

from typing import Final
from uuid import UUID, uuid5

from dashtam_core.identity._permissions import OWNER
from dashtam_core.kernel import Failure, Permission, Subject, UserId
from dashtam_core.messaging import Answer, Call, Next, RefusalCode, Refused

_EXTERNAL: Final = UUID("5f1c2b0e-6d5a-4c7e-9b51-0d3c8f6f7a10")


class ExternalSubject(Subject):
    """A person of your own system, by the id you have for them. The same id is always the same person here."""

    __slots__ = ()

    def __init__(self, external_id: str, permissions: frozenset[Permission] = OWNER) -> None:
        if not external_id:
            raise ValueError("an external subject needs the id your system has for the person")
        super().__init__(UserId(uuid5(_EXTERNAL, external_id)), permissions)


async def authorize(call: Call, proceed: Next, /) -> Answer:
    """Refuses a subject without the permission that the message declares, before anything is read or done."""
    if not call.subject.may(call.message.permission):
        return Failure(
            Refused(
                RefusalCode.PERMISSION_DENIED,
                f"this takes the permission {call.message.permission}, which you do not have: "
                "use a token that carries it, or ask whoever gave you yours",
            )
        )
    return await proceed(call)
