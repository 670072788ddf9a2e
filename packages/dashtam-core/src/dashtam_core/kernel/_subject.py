"""Who acts, and what they may do."""

from typing import Final, NewType
from uuid import UUID

import attrs

UserId = NewType("UserId", UUID)
Permission = NewType("Permission", str)

PUBLIC: Final = Permission("public")
"""The permission everybody has, also before they have said who they are."""


@attrs.frozen(slots=True)
class Subject:
    """The person on whose behalf a message runs: every read and write is scoped to `user_id`."""

    user_id: UserId
    permissions: frozenset[Permission]
    session_id: UUID | None = None
    """Which session of theirs this is, where they logged in here."""

    def may(self, permission: Permission, /) -> bool:
        return permission == PUBLIC or permission in self.permissions


ANONYMOUS: Final = Subject(UserId(UUID(int=0)), frozenset())
"""Nobody in particular: may use what is public, owns nothing."""


@attrs.frozen
class Origin:
    """Where a message came from, as the audit trail tells it. `channel` is the edge: library, cli or http."""

    channel: str = "library"
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
