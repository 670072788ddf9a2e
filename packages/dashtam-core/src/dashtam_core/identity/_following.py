"""Who may be told what happens to them as it happens."""

from collections.abc import Mapping
from typing import ClassVar, Final

import attrs

from dashtam_core.identity._permissions import ACCOUNTS_READ, PROFILE_READ
from dashtam_core.kernel import Permission, Result, Success
from dashtam_core.messaging import Category, Query, Refused


@attrs.frozen
class FollowAccounts(Query[None, Refused]):
    """Be told of the acting person's imports and balances: asked before the first is, and answers nothing."""

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "event"


@attrs.frozen
class FollowSecurity(Query[None, Refused]):
    """The same for what happens to the acting person's password, address, second factor and sessions."""

    permission: ClassVar[Permission] = PROFILE_READ
    resource_type: ClassVar[str] = "event"


@attrs.frozen
class FollowingHandler:
    """Permits: whoever may not be told was refused before this."""

    async def apply(self, _: Query[None, Refused], /) -> Result[None, Refused]:
        return Success(None)


FOLLOWING: Final[Mapping[Category, Query[None, Refused]]] = {
    Category.IMPORTS: FollowAccounts(),
    Category.BALANCES: FollowAccounts(),
    Category.SECURITY: FollowSecurity(),
}
"""What is asked before a person is told of each category."""

ROUTES: Final = (FollowAccounts.handled_by(FollowingHandler), FollowSecurity.handled_by(FollowingHandler))
