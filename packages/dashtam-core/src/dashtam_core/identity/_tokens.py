"""Personal API tokens: 256 random bits, shown once, stored as their SHA-256."""

import hashlib
import secrets
from datetime import datetime
from typing import ClassVar, Final, NewType, Protocol
from uuid import UUID

import attrs

from dashtam_core.identity._permissions import TOKENS_WRITE
from dashtam_core.kernel import (
    PUBLIC,
    Clock,
    DomainError,
    ErrorCode,
    ErrorKind,
    Failure,
    Permission,
    Result,
    Subject,
    Success,
    UserId,
    new_id,
)
from dashtam_core.messaging import Command, Notes, Query

TokenId = NewType("TokenId", UUID)

_PREFIX: Final = "dashtam_"
_MAX_NAME: Final = 100


class IdentityCode(ErrorCode):
    TOKEN_UNKNOWN = "token_unknown", ErrorKind.UNAUTHENTICATED
    TOKEN_NAME_INVALID = "token_name_invalid", ErrorKind.INVALID


@attrs.frozen
class IdentityRefused(DomainError[IdentityCode]):
    """A question of who somebody is that was not answered to their liking."""


@attrs.define(eq=False)
class ApiToken:
    """The record of a token. The token itself is not in it and cannot be had from it."""

    token_id: TokenId
    user_id: UserId
    name: str
    token_hash: bytes = attrs.field(repr=False)
    permissions: frozenset[Permission]
    """What it may do: never more than its maker could."""
    created_at: datetime


class ApiTokens(Protocol):
    """The tokens in the store."""

    async def add(self, token: ApiToken, /) -> None:
        """Keep a token of the acting subject."""
        ...

    async def find(self, token_hash: bytes, /) -> ApiToken | None:
        """The token with this hash, whosever it is: asked before anybody is authenticated."""
        ...


@attrs.frozen
class CreateApiToken(Command[str, IdentityRefused]):
    """Make a bearer token that may do what the acting subject may. The answer is the token, shown this once."""

    permission: ClassVar[Permission] = TOKENS_WRITE
    resource_type: ClassVar[str] = "api_token"
    replayable: ClassVar[bool] = False
    name: str


@attrs.frozen
class CreateApiTokenHandler:
    tokens: ApiTokens
    subject: Subject
    clock: Clock
    notes: Notes

    async def apply(self, command: CreateApiToken, /) -> Result[str, IdentityRefused]:
        name = command.name.strip()
        if not 1 <= len(name) <= _MAX_NAME:
            return Failure(
                IdentityRefused(IdentityCode.TOKEN_NAME_INVALID, f"name the token in 1 to {_MAX_NAME} characters")
            )
        secret = _PREFIX + secrets.token_urlsafe(32)
        token_id = TokenId(new_id())
        self.notes.about(token_id, permissions=sorted(self.subject.permissions))
        await self.tokens.add(
            ApiToken(
                token_id=token_id,
                user_id=self.subject.user_id,
                name=name,
                token_hash=_hash(secret),
                permissions=self.subject.permissions,
                created_at=self.clock.now(),
            )
        )
        return Success(secret)


@attrs.frozen
class Authenticate(Query[Subject, IdentityRefused]):
    """Whose bearer token this is."""

    permission: ClassVar[Permission] = PUBLIC
    resource_type: ClassVar[str] = "api_token"
    token: str = attrs.field(repr=False)


@attrs.frozen
class AuthenticateHandler:
    tokens: ApiTokens

    async def apply(self, query: Authenticate, /) -> Result[Subject, IdentityRefused]:
        token = await self.tokens.find(_hash(query.token))
        if token is None:
            return Failure(
                IdentityRefused(
                    IdentityCode.TOKEN_UNKNOWN,
                    "this token is not known: check that it was copied whole, or make one with `dashtam token`",
                )
            )
        return Success(Subject(token.user_id, token.permissions))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


ROUTES: Final = (CreateApiToken.handled_by(CreateApiTokenHandler), Authenticate.handled_by(AuthenticateHandler))
