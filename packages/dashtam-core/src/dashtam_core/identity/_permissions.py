"""What a subject may be allowed to do, by the words that messages and tokens use."""

from typing import Final

from dashtam_core.kernel import Permission

ACCOUNTS_READ: Final = Permission("accounts:read")
ACCOUNTS_WRITE: Final = Permission("accounts:write")
TOKENS_WRITE: Final = Permission("tokens:write")

OWNER: Final = frozenset({ACCOUNTS_READ, ACCOUNTS_WRITE, TOKENS_WRITE})
"""Everything a person may do with what is theirs."""
