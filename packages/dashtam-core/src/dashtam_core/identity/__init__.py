"""Who acts and what they may do: accounts, log-ins, tokens, permissions, and the keys that all secrets hang on."""

from typing import Final

from dashtam_core.identity import (
    _administration,
    _erasure,
    _factors,
    _following,
    _notices,
    _registration,
    _sessions,
    _tokens,
)
from dashtam_core.identity._access import Ed25519AccessTokens
from dashtam_core.identity._administration import (
    ChangeUser,
    CreateUser,
    ListUsers,
    RetireKeys,
    RevokeTokens,
    RotateKey,
)
from dashtam_core.identity._bindings import bindings
from dashtam_core.identity._claims import Claims, Unproven, network
from dashtam_core.identity._entities import (
    Credential,
    CredentialId,
    CredentialKind,
    EmailAddress,
    Role,
    User,
    UserStatus,
)
from dashtam_core.identity._erasure import EraseUser, ExportUser, People, UserErased, forgetting
from dashtam_core.identity._errors import IdentityCode, IdentityRefused
from dashtam_core.identity._factors import (
    ConfirmFactor,
    EnrollFactor,
    FactorSecret,
    FactorView,
    ListFactors,
    RemoveFactor,
)
from dashtam_core.identity._following import FOLLOWING, FollowAccounts, FollowSecurity
from dashtam_core.identity._hashing import Argon2Hasher, PasswordHasher, Verdict
from dashtam_core.identity._keyring import Keyring, MasterKey, open_root
from dashtam_core.identity._mail import Mail, Mailer
from dashtam_core.identity._notices import (
    EmailChanged,
    FactorChanged,
    Mailing,
    PasswordChanged,
    RefreshTokenReplayed,
    UserRegistered,
    UserStatusChanged,
)
from dashtam_core.identity._permissions import (
    ACCOUNTS_READ,
    ACCOUNTS_WRITE,
    KEYS_ROTATE,
    OPERATOR,
    OWNER,
    PROFILE_READ,
    PROFILE_WRITE,
    SESSIONS_WRITE,
    TOKENS_WRITE,
    USERS_ERASE,
    USERS_MANAGE,
    Authorize,
    ExternalSubject,
)
from dashtam_core.identity._registration import (
    ChangeEmail,
    ChangePassword,
    DeactivateUser,
    GetMyUser,
    RegisterUser,
    RequestPasswordReset,
    ResetPassword,
    VerifyEmail,
)
from dashtam_core.identity._repositories import (
    Allowance,
    Credentials,
    PeopleUnit,
    Rate,
    RateLimiter,
    RootKeys,
    Users,
)
from dashtam_core.identity._sessions import (
    EndSessions,
    ListSessions,
    LogIn,
    RefreshSession,
    SessionTokens,
    SessionView,
)
from dashtam_core.identity._smtp import SmtpMailer
from dashtam_core.identity._tokens import (
    ApiTokenView,
    Authenticate,
    CreateApiToken,
    ListApiTokens,
    NewApiToken,
    RevokeApiToken,
)

# fmt: off
__all__ = [
    "ACCOUNTS_READ", "ACCOUNTS_WRITE", "EVENTS", "FOLLOWING", "KEYS_ROTATE", "OPERATOR", "OWNER", "PROFILE_READ",
    "PROFILE_WRITE", "ROUTES", "SESSIONS_WRITE", "TOKENS_WRITE", "USERS_ERASE", "USERS_MANAGE", "Allowance",
    "ApiTokenView", "Argon2Hasher", "Authenticate", "Authorize", "ChangeEmail", "ChangePassword", "ChangeUser",
    "Claims", "ConfirmFactor", "CreateApiToken", "CreateUser", "Credential", "CredentialId", "CredentialKind",
    "Credentials", "DeactivateUser", "Ed25519AccessTokens", "EmailAddress", "EmailChanged", "EndSessions",
    "EnrollFactor", "EraseUser", "ExportUser", "ExternalSubject", "FactorChanged", "FactorSecret", "FactorView",
    "FollowAccounts", "FollowSecurity", "GetMyUser", "IdentityCode", "IdentityRefused", "Keyring", "ListApiTokens",
    "ListFactors", "ListSessions", "ListUsers", "LogIn", "Mail", "Mailer", "Mailing", "MasterKey", "NewApiToken",
    "PasswordChanged", "PasswordHasher", "People", "PeopleUnit", "Rate", "RateLimiter", "RefreshSession",
    "RefreshTokenReplayed", "RegisterUser", "RemoveFactor", "RequestPasswordReset", "ResetPassword", "RetireKeys",
    "RevokeApiToken", "RevokeTokens", "Role", "RootKeys", "RotateKey", "SessionTokens", "SessionView",
    "SmtpMailer", "Unproven", "User", "UserErased", "UserRegistered", "UserStatus", "UserStatusChanged", "Users",
    "Verdict", "VerifyEmail", "bindings", "forgetting", "network", "open_root",
]
# fmt: on

EVENTS: Final = (*_notices.EVENTS, UserErased)
ROUTES: Final = (
    *_registration.ROUTES,
    *_sessions.ROUTES,
    *_factors.ROUTES,
    *_tokens.ROUTES,
    *_administration.ROUTES,
    *_erasure.ROUTES,
    *_following.ROUTES,
)
