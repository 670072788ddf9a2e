"""People who log in here, and what proves that it is they."""

import hashlib
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

import attrs

from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.kernel import Result, Success, UserId, new_id

CredentialId = NewType("CredentialId", UUID)

_PART: Final = r"[^\s@<>,;:\"()\[\]\\\x00-\x20\x7f]"
_ADDRESS: Final = re.compile(rf"(?=.{{6,254}}$){_PART}{{1,64}}@([^\W_][\w-]{{0,62}}\.)+[^\W_][\w-]{{0,62}}")
_SECRET: Final = re.compile(r"dashtam_[a-z]+_([A-Za-z0-9_-]{64})", re.ASCII)
_SECRET_BYTES: Final = 32


class Role(StrEnum):
    """What a person may do; the permissions of each are in `ROLES`."""

    ADMIN = "ADMIN"
    USER = "USER"
    READ_ONLY = "READ_ONLY"


class UserStatus(StrEnum):
    UNVERIFIED = "UNVERIFIED"
    """Registered, and the address not proven yet: nobody can log in, and in a day nothing is left of it."""
    ACTIVE = "ACTIVE"
    LOCKED = "LOCKED"
    """By an administrator."""
    DEACTIVATED = "DEACTIVATED"
    """By themself. All they have stays, and an administrator makes them active again."""


@attrs.frozen
class EmailAddress:
    """An address as RFC 5321 takes it, no longer than 254 characters; two spellings in other case are one."""

    text: str

    @classmethod
    def parse(cls, text: str, /) -> "Result[EmailAddress, IdentityRefused]":
        trimmed = text.strip()
        if _ADDRESS.fullmatch(trimmed) and trimmed.isprintable():
            local, _, domain = trimmed.rpartition("@")
            return Success(cls(f"{local}@{domain.lower()}"))
        why = "this is no e-mail address: write it like name@example.org, in 254 characters at most"
        return refused(IdentityCode.EMAIL_INVALID, why)

    @property
    def folded(self) -> str:
        """What it is known by, however it is spelled."""
        return self.text.casefold()

    def __str__(self) -> str:
        return self.text


@attrs.define(eq=False)
class User:
    """A person with an account here. What they log in with is among their credentials."""

    user_id: UserId
    email: EmailAddress
    role: Role
    status: UserStatus
    created_at: datetime


class CredentialKind(StrEnum):
    """What proves who somebody is. `data` is in each kind's own form."""

    PASSWORD = "PASSWORD"  # noqa: S105 - the kind, not one
    """`data` is its hash, in the encoding of PHC strings."""
    SESSION = "SESSION"
    """Its id is in access tokens; `used_at` is when one was last given out."""
    REFRESH_TOKEN = "REFRESH_TOKEN"  # noqa: S105 - the kind, not one
    """Of one session. Once used, `data` is what only the token itself turns into its successor."""
    API_TOKEN = "API_TOKEN"  # noqa: S105 - the kind, not one
    EMAIL_VERIFICATION = "EMAIL_VERIFICATION"
    """`data` is the address that it proves."""
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105 - the kind, not one
    TOTP = "TOTP"
    """A second factor; it counts from its `used_at` on."""
    RECOVERY_CODE = "RECOVERY_CODE"


@attrs.frozen(kw_only=True)
class Credential:
    """One thing that proves who somebody is. The secret itself is not in it and cannot be had from it."""

    credential_id: CredentialId = attrs.field(factory=lambda: CredentialId(new_id()))
    user_id: UserId
    kind: CredentialKind
    secret_hash: bytes | None = attrs.field(default=None, repr=False)
    """Of a secret of 256 random bits: what it is found by."""
    session_id: CredentialId | None = None
    """The session it belongs to, and ends with."""
    created_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None
    data: str = attrs.field(default="", repr=False)

    def good_at(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


def new_secret(user_id: UserId, kind: str) -> str:
    """A secret of 256 random bits that names its person, so that nobody else's rows are looked through for it."""
    return f"dashtam_{kind}_" + urlsafe_b64encode(user_id.bytes + secrets.token_bytes(_SECRET_BYTES)).decode()


def owner_of(secret: str) -> UserId | None:
    """Whose secret this would be; None if it cannot be one of ours. Proves nothing."""
    found = _SECRET.fullmatch(secret)
    return found and UserId(UUID(bytes=urlsafe_b64decode(found[1])[:16]))


def digest(secret: str) -> bytes:
    """What a secret of 256 random bits is stored and found as."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
