"""What a subject may be allowed to do, by the words of messages and tokens, and the stage that sees to it."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid5

import attrs

from dashtam_core.audit import AUDIT_READ, AuditRecorder, Phase
from dashtam_core.identity._entities import Role
from dashtam_core.kernel import Failure, Permission, Subject, UserId
from dashtam_core.messaging import EVENTS_MANAGE, Answer, Call, Next, RefusalCode, Refused

ACCOUNTS_READ: Final = Permission("accounts:read")
ACCOUNTS_WRITE: Final = Permission("accounts:write")
KEYS_ROTATE: Final = Permission("keys:rotate")
PROFILE_READ: Final = Permission("profile:read")
PROFILE_WRITE: Final = Permission("profile:write")
SESSIONS_WRITE: Final = Permission("sessions:write")
TOKENS_WRITE: Final = Permission("tokens:write")
USERS_ERASE: Final = Permission("users:erase")
USERS_MANAGE: Final = Permission("users:manage")

OWNER: Final = frozenset(
    {ACCOUNTS_READ, ACCOUNTS_WRITE, PROFILE_READ, PROFILE_WRITE, SESSIONS_WRITE, TOKENS_WRITE, USERS_ERASE}
)
"""Everything a person may do with what is theirs."""

OPERATOR: Final = frozenset({AUDIT_READ, EVENTS_MANAGE, USERS_MANAGE, KEYS_ROTATE})
"""What running the service takes: the audit trail of everybody, events not delivered, people, and the key."""

ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: OWNER | OPERATOR - {KEYS_ROTATE},
    Role.USER: OWNER,
    Role.READ_ONLY: OWNER - {ACCOUNTS_WRITE},
}

RECENT_ONLY: Final = frozenset({PROFILE_WRITE, TOKENS_WRITE, USERS_ERASE, USERS_MANAGE})
"""What takes a log-in of the last 15 minutes: whoever has only a stolen token changes no lock and takes no key."""

NOT_FOR_TOKENS: Final = RECENT_ONLY | {SESSIONS_WRITE}
"""What no API token carries."""

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
        return Failure(Refused(RefusalCode.PERMISSION_DENIED, _why(call.subject, call.message.permission)))


def _why(subject: Subject, permission: Permission) -> str:
    if subject.session_id and permission in RECENT_ONLY:
        return (
            f"this takes the permission {permission}, which a session has for 15 minutes: log in again, and ask "
            "whoever runs this service if you do not have it then"
        )
    return (
        f"this takes the permission {permission}, which you do not have: use a token that carries it, log in if no"
        " API token may carry it, or ask whoever gave you yours"
    )
