"""What identity refuses, by code."""

import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure


class IdentityCode(ErrorCode):
    TOKEN_UNKNOWN = "token_unknown", ErrorKind.UNAUTHENTICATED
    TOKEN_REPLAYED = "token_replayed", ErrorKind.UNAUTHENTICATED
    TOKEN_NAME_INVALID = "token_name_invalid", ErrorKind.INVALID
    TOKEN_SCOPE_INVALID = "token_scope_invalid", ErrorKind.INVALID
    TOKEN_LIFETIME_INVALID = "token_lifetime_invalid", ErrorKind.INVALID
    TOKENS_TOO_MANY = "tokens_too_many", ErrorKind.CONFLICT
    LINK_SPENT = "link_spent", ErrorKind.INVALID
    CREDENTIALS_WRONG = "credentials_wrong", ErrorKind.UNAUTHENTICATED
    CODE_REQUIRED = "code_required", ErrorKind.UNAUTHENTICATED
    CODE_REFUSED = "code_refused", ErrorKind.UNAUTHENTICATED
    CODE_WRONG = "code_wrong", ErrorKind.INVALID
    TOO_MANY_ATTEMPTS = "too_many_attempts", ErrorKind.TOO_MANY
    REGISTRATION_CLOSED = "registration_closed", ErrorKind.FORBIDDEN
    EMAIL_INVALID = "email_invalid", ErrorKind.INVALID
    EMAIL_TAKEN = "email_taken", ErrorKind.CONFLICT
    PASSWORD_TOO_SHORT = "password_too_short", ErrorKind.INVALID
    PASSWORD_TOO_LONG = "password_too_long", ErrorKind.INVALID
    PASSWORD_COMMON = "password_common", ErrorKind.INVALID
    PASSWORD_INVALID = "password_invalid", ErrorKind.INVALID
    PASSWORD_WRONG = "password_wrong", ErrorKind.INVALID
    FACTOR_UNKNOWN = "factor_unknown", ErrorKind.NOT_FOUND
    FACTOR_PRESENT = "factor_present", ErrorKind.CONFLICT
    LOG_IN_AGAIN = "log_in_again", ErrorKind.FORBIDDEN
    SESSION_UNKNOWN = "session_unknown", ErrorKind.NOT_FOUND
    API_TOKEN_UNKNOWN = "api_token_unknown", ErrorKind.NOT_FOUND
    USER_UNKNOWN = "user_unknown", ErrorKind.NOT_FOUND
    OWN_ACCOUNT = "own_account", ErrorKind.CONFLICT
    HASHING_BUSY = "hashing_busy", ErrorKind.UNAVAILABLE
    MAIL_NOT_CONFIGURED = "mail_not_configured", ErrorKind.UNAVAILABLE
    MAIL_UNAVAILABLE = "mail_unavailable", ErrorKind.UNAVAILABLE
    KEY_ROTATING = "key_rotating", ErrorKind.UNAVAILABLE
    IDENTITY_NOT_KEPT = "identity_not_kept", ErrorKind.UNAVAILABLE


@attrs.frozen
class IdentityRefused(DomainError[IdentityCode]):
    """A question of who somebody is that was not answered to their liking."""


def refused(code: IdentityCode, why: str, /, *, retry_after: float | None = None) -> Failure[IdentityRefused]:
    return Failure(IdentityRefused(code, why, retry_after=retry_after))
