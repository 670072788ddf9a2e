import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure


class ProviderCode(ErrorCode):
    """Why a provider brought nothing. Nothing of such a sync is stored, and the cursor before it still counts."""

    PROVIDER_UNKNOWN = "provider_unknown", ErrorKind.NOT_FOUND
    CREDENTIAL_REFUSED = "credential_refused", ErrorKind.INVALID
    """The person has to connect again: the credential is wrong, expired or revoked."""
    PROVIDER_CURSOR_INVALID = "provider_cursor_invalid", ErrorKind.INVALID
    """The provider does not go on from this cursor: start again without one."""
    PROVIDER_LIMITED = "provider_limited", ErrorKind.UNAVAILABLE
    PROVIDER_UNAVAILABLE = "provider_unavailable", ErrorKind.UNAVAILABLE
    PROVIDER_UNREADABLE = "provider_unreadable", ErrorKind.UNAVAILABLE
    """It answered, but not in the way its documentation says."""


@attrs.frozen
class ProviderFailed(DomainError[ProviderCode]):
    """A provider that brought nothing. `retry_after` is in seconds, where the provider says how long to wait."""

    retry_after: float | None = None


def failed(code: ProviderCode, message: str) -> Failure[ProviderFailed]:
    return Failure(ProviderFailed(code, message))
