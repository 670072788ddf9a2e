"""Who acts and what they may do: subjects, permissions, API tokens, and the keys everything secret hangs on."""

from typing import Final

from dashtam_core.identity import _erasure, _tokens
from dashtam_core.identity._erasure import EraseUser, People, UserErased, forgetting
from dashtam_core.identity._keyring import MIN_KEY_CHARACTERS, Keyring, MasterKey
from dashtam_core.identity._permissions import (
    ACCOUNTS_READ,
    ACCOUNTS_WRITE,
    OPERATOR,
    OWNER,
    TOKENS_WRITE,
    USERS_ERASE,
)
from dashtam_core.identity._subjects import Authorize, ExternalSubject
from dashtam_core.identity._tokens import (
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
    "OPERATOR",
    "OWNER",
    "ROUTES",
    "TOKENS_WRITE",
    "USERS_ERASE",
    "ApiToken",
    "ApiTokens",
    "Authenticate",
    "Authorize",
    "CreateApiToken",
    "EraseUser",
    "ExternalSubject",
    "IdentityCode",
    "IdentityRefused",
    "Keyring",
    "MasterKey",
    "People",
    "TokenId",
    "UserErased",
    "forgetting",
]

ROUTES: Final = (*_tokens.ROUTES, *_erasure.ROUTES)
