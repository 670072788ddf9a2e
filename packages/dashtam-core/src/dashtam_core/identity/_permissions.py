"""What a subject may be allowed to do, by the words that messages and tokens use."""

from typing import Final

from dashtam_core.audit import AUDIT_READ
from dashtam_core.kernel import Permission
from dashtam_core.messaging import EVENTS_MANAGE

ACCOUNTS_READ: Final = Permission("accounts:read")
ACCOUNTS_WRITE: Final = Permission("accounts:write")
TOKENS_WRITE: Final = Permission("tokens:write")

USERS_ERASE: Final = Permission("users:erase")

OWNER: Final = frozenset({ACCOUNTS_READ, ACCOUNTS_WRITE, TOKENS_WRITE, USERS_ERASE})
"""Everything a person may do with what is theirs."""

OPERATOR: Final = frozenset({AUDIT_READ, EVENTS_MANAGE})
"""What running the service takes: the audit trail of everybody, and events that could not be delivered."""
