"""Bearer tokens: personal API tokens, shown once and stored as their SHA-256, and whom any token stands for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

import attrs

from dashtam_core.identity._claims import Claims, Unproven
from dashtam_core.identity._entities import (
    Credential,
    CredentialId,
    CredentialKind,
    UserStatus,
    digest,
    new_secret,
)
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._permissions import NOT_FOR_TOKENS, PROFILE_READ, RECENT_ONLY, ROLES, TOKENS_WRITE
from dashtam_core.identity._repositories import Credentials, Users
from dashtam_core.identity._sessions import SessionDetails
from dashtam_core.kernel import Clock, Permission, Result, Subject, Success
from dashtam_core.messaging import Command, Notes, Query, dump_json, load_json

RECENT: Final = timedelta(minutes=15)
"""How long after a log-in a session may do what takes a recent one."""
MAX_TOKENS: Final = 100
"""A person's API tokens at one time."""
LONGEST_DAYS: Final = 3_650

_MAX_NAME: Final = 100
_KIND: Final = (CredentialKind.API_TOKEN,)


@attrs.frozen
class TokenDetails:
    """What is kept of an API token beside its times."""

    name: str
    permissions: frozenset[Permission]


@attrs.frozen
class ApiTokenView:
    """An API token as its person sees it: the token itself is shown but once."""

    token_id: CredentialId
    name: str
    permissions: Sequence[Permission]
    created_at: datetime
    expires_at: datetime | None


@attrs.frozen
class NewApiToken:
    token_id: CredentialId
    token: str = attrs.field(repr=False)


@attrs.frozen
class CreateApiToken(Command[NewApiToken, IdentityRefused]):
    """Make a bearer token for programs. It may do what is named, and at no time more than its person."""

    permission: ClassVar[Permission] = TOKENS_WRITE
    resource_type: ClassVar[str] = "api_token"
    replayable: ClassVar[bool] = False
    name: str
    permissions: frozenset[Permission] | None = None
    """None: all that the acting subject has and an API token may carry."""
    days: int | None = None
    """How long it is good for; None: until it is revoked."""


@attrs.frozen
class CreateApiTokenHandler:
    users: Users
    credentials: Credentials
    subject: Subject
    clock: Clock
    notes: Notes

    async def apply(self, command: CreateApiToken, /) -> Result[NewApiToken, IdentityRefused]:
        name, may = command.name.strip(), self.subject.permissions - NOT_FOR_TOKENS
        permissions = may if command.permissions is None else command.permissions
        if wrong := _wrong(name, permissions - may, command.days):
            return refused(*wrong)
        await self.users.find(alone=True)
        if len(await self.credentials.list(CredentialKind.API_TOKEN)) >= MAX_TOKENS:
            why = f"you have {MAX_TOKENS} API tokens: revoke one that is not needed any more"
            return refused(IdentityCode.TOKENS_TOO_MANY, why)
        me, now, kind = self.subject.user_id, self.clock.now(), CredentialKind.API_TOKEN
        secret, data = new_secret(me, "api"), dump_json(TokenDetails(name, permissions))
        ends = None if command.days is None else now + timedelta(days=command.days)
        token = Credential(
            user_id=me, kind=kind, secret_hash=digest(secret), created_at=now, expires_at=ends, data=data
        )
        await self.credentials.add(token)
        # Looked at last: whoever ends all sessions from here on waits, and then ends this token too.
        if (session := self.subject.session_id) and await self.credentials.get(CredentialId(session)) is None:
            return refused(IdentityCode.TOKEN_UNKNOWN, "your session was ended meanwhile: log in again")
        self.notes.about(token.credential_id, permissions=sorted(permissions))
        return Success(NewApiToken(token.credential_id, secret))


def _wrong(name: str, excess: frozenset[Permission], days: int | None) -> tuple[IdentityCode, str] | None:
    if not (1 <= len(name) <= _MAX_NAME and name.isprintable()):
        return IdentityCode.TOKEN_NAME_INVALID, f"name the token in 1 to {_MAX_NAME} printable characters"
    if excess:
        why = f"an API token of yours cannot carry {', '.join(sorted(excess))[:200]}: leave that out"
        return IdentityCode.TOKEN_SCOPE_INVALID, why
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        why = f"give the days a token is good for, 1 to {LONGEST_DAYS}; or none"
        return IdentityCode.TOKEN_LIFETIME_INVALID, why
    return None


@attrs.frozen
class ListApiTokens(Query[Sequence[ApiTokenView], IdentityRefused]):
    """The acting person's API tokens, the oldest first."""

    permission: ClassVar[Permission] = PROFILE_READ
    resource_type: ClassVar[str] = "api_token"


@attrs.frozen
class ListApiTokensHandler:
    credentials: Credentials
    clock: Clock

    async def apply(self, _: ListApiTokens, /) -> Result[Sequence[ApiTokenView], IdentityRefused]:
        found = await self.credentials.list(CredentialKind.API_TOKEN)
        return Success([_view(each) for each in found if each.good_at(self.clock.now())])


def _view(token: Credential) -> ApiTokenView:
    details: TokenDetails = load_json(token.data, TokenDetails)
    permissions = sorted(details.permissions)
    return ApiTokenView(token.credential_id, details.name, permissions, token.created_at, token.expires_at)


@attrs.frozen
class RevokeApiToken(Command[None, IdentityRefused]):
    """Make an API token worthless."""

    permission: ClassVar[Permission] = TOKENS_WRITE
    resource_type: ClassVar[str] = "api_token"
    resource_field: ClassVar[str] = "token_id"
    token_id: CredentialId


@attrs.frozen
class RevokeApiTokenHandler:
    credentials: Credentials

    async def apply(self, command: RevokeApiToken, /) -> Result[None, IdentityRefused]:
        if await self.credentials.drop(_KIND, [command.token_id]):
            return Success(None)
        why = "no API token of yours has this id: it may be revoked already, list them"
        return refused(IdentityCode.API_TOKEN_UNKNOWN, why)


@attrs.frozen
class Authenticate(Unproven, Query[Subject, IdentityRefused]):
    """Whose bearer token this is, and what they may do now: of a session that was not ended, or an API token."""

    resource_type: ClassVar[str] = "token"
    token: str = attrs.field(repr=False)

    async def claimant(self, claims: Claims, /) -> Subject:
        return claims.by_bearer(self.token)


@attrs.frozen
class AuthenticateHandler:
    users: Users
    credentials: Credentials
    subject: Subject
    clock: Clock

    async def apply(self, query: Authenticate, /) -> Result[Subject, IdentityRefused]:
        if self.subject.session_id:
            permissions = await self._of_session(CredentialId(self.subject.session_id))
        else:
            permissions = await self._of_api_token(digest(query.token))
        if permissions is None:
            why = (
                "this token is not known or good no more: log in again, or make an API token with `dashtam token`"
            )
            return refused(IdentityCode.TOKEN_UNKNOWN, why)
        return Success(attrs.evolve(self.subject, permissions=permissions))

    async def _of_session(self, session_id: CredentialId) -> frozenset[Permission] | None:
        """Whatever takes a right from a person ends their sessions, so that a session says what they may."""
        session, now = await self.credentials.get(session_id), self.clock.now()
        if session is None or session.kind is not CredentialKind.SESSION or not session.good_at(now):
            return None
        details: SessionDetails = load_json(session.data, SessionDetails)
        permissions = ROLES[details.role]
        return permissions if now < session.created_at + RECENT else permissions - RECENT_ONLY

    async def _of_api_token(self, secret_hash: bytes) -> frozenset[Permission] | None:
        token = await self.credentials.find(CredentialKind.API_TOKEN, secret_hash)
        if token is None or not token.good_at(self.clock.now()):
            return None
        details: TokenDetails = load_json(token.data, TokenDetails)
        user = await self.users.find()
        if user is None:  # somebody whom another system knows
            return details.permissions
        return details.permissions & ROLES[user.role] if user.status is UserStatus.ACTIVE else None


ROUTES: Final = (
    CreateApiToken.handled_by(CreateApiTokenHandler),
    ListApiTokens.handled_by(ListApiTokensHandler),
    RevokeApiToken.handled_by(RevokeApiTokenHandler),
    Authenticate.handled_by(AuthenticateHandler),
)
