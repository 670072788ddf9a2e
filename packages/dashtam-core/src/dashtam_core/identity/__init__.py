"""Who acts and what they may do: subjects, permissions, API tokens, and the keys everything secret hangs on."""

from dashtam_core.identity._keyring import MIN_KEY_CHARACTERS, Keyring, MasterKey
from dashtam_core.identity._permissions import ACCOUNTS_READ, ACCOUNTS_WRITE, OWNER, TOKENS_WRITE
from dashtam_core.identity._subjects import ExternalSubject, authorize
from dashtam_core.identity._tokens import (
    ROUTES,
    ApiToken,
    ApiTokens,
    Authenticate,
    CreateApiToken,
    IdentityCode,
    IdentityRefused,
    TokenId,
)

__all__ = [
    "ACCOUNTS_READ",
    "ACCOUNTS_WRITE",
    "MIN_KEY_CHARACTERS",
    "OWNER",
    "ROUTES",
    "TOKENS_WRITE",
    "ApiToken",
    "ApiTokens",
    "Authenticate",
    "CreateApiToken",
    "ExternalSubject",
    "IdentityCode",
    "IdentityRefused",
    "Keyring",
    "MasterKey",
    "TokenId",
    "authorize",
]
