"""The people whom another system knows, and the stage that asks what a subject may do."""

from typing import Final
from uuid import UUID, uuid5

import attrs

from dashtam_core.audit import AuditRecorder, Phase
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


@attrs.frozen
class Authorize:
    """Refuses a subject without the permission that the message declares, before anything is read or done.

    A refusal is answered once it stands in the audit trail.
    """

    recorder: AuditRecorder

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if call.subject.may(call.message.permission):
            return await proceed(call)
        await self.recorder.record(call, Phase.DENIED, RefusalCode.PERMISSION_DENIED)
        return Failure(
            Refused(
                RefusalCode.PERMISSION_DENIED,
                f"this takes the permission {call.message.permission}, which you do not have: "
                "use a token that carries it, or ask whoever gave you yours",
            )
        )
