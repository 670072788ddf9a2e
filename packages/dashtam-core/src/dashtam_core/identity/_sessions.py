"""Logging in and staying so: sessions, their access tokens, and refresh tokens that are good once."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from dashtam_core.identity._access import ACCESS_SECONDS, Ed25519AccessTokens
from dashtam_core.identity._claims import Claims, Guessing, Unproven
from dashtam_core.identity._entities import (
    Credential,
    CredentialId,
    CredentialKind,
    Role,
    User,
    UserStatus,
    digest,
    new_secret,
)
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._factors import Factors
from dashtam_core.identity._hashing import PasswordHasher
from dashtam_core.identity._notices import RefreshTokenReplayed
from dashtam_core.identity._permissions import PROFILE_READ, PROFILE_WRITE, SESSIONS_WRITE
from dashtam_core.identity._repositories import Credentials, Users
from dashtam_core.kernel import Clock, Failure, Origin, Permission, Result, Subject, Success
from dashtam_core.messaging import Command, Notes, Outgoing, Query, UnitOfWork, dump_json, load_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IDLE: Final = timedelta(days=7)
"""How long a session lasts that is not refreshed."""
LONGEST: Final = timedelta(days=30)
"""How long any session lasts: then one logs in again."""
MAX_SESSIONS: Final = 20
"""A person's sessions at one time; one more ends the oldest."""
GRACE: Final = timedelta(seconds=10)
"""How long a refresh token that was used gives the same successor again, for two who asked at once."""

_ONCE: Final = bytes(12)
"""The nonce of a key that encrypts one thing."""
_SESSIONS: Final = (CredentialKind.SESSION,)


@attrs.frozen
class SessionTokens:
    """What logging in gives: send the access token with each request, and refresh before it ends."""

    session_id: CredentialId
    access_token: str = attrs.field(repr=False)
    refresh_token: str = attrs.field(repr=False)
    """Good once, for the next two of these."""
    expires_in: int = ACCESS_SECONDS
    """How long the access token is good for, in seconds."""


@attrs.frozen
class SessionDetails:
    """What is kept of a session beside its times."""

    role: Role
    user_agent: str | None
    ip_address: str | None


@attrs.frozen
class SessionView:
    """A session as its person sees it."""

    session_id: CredentialId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime | None
    user_agent: str | None
    ip_address: str | None
    current: bool


@attrs.frozen
class Opening:
    """Opens sessions and goes on with them."""

    credentials: Credentials
    access: Ed25519AccessTokens
    clock: Clock
    origin: Origin

    async def open(self, user: User, /) -> SessionTokens:
        """A new session; the oldest end if there are too many."""
        who, kind, now = user.user_id, CredentialKind.SESSION, self.clock.now()
        data = dump_json(SessionDetails(user.role, self.origin.user_agent, self.origin.ip_address))
        ends = now + LONGEST
        session = Credential(user_id=who, kind=kind, created_at=now, expires_at=ends, used_at=now, data=data)
        await self.credentials.add(session)
        open_now = await self.credentials.list(kind)
        if len(open_now) > MAX_SESSIONS:
            await self.credentials.drop(_SESSIONS, [each.credential_id for each in open_now[:-MAX_SESSIONS]])
        return await self.go_on(session, new_secret(user.user_id, "refresh"))

    async def go_on(self, session: Credential, refresh_token: str, /) -> SessionTokens:
        """The next tokens of a session, of which this will be the refresh token."""
        now = self.clock.now()
        token = Credential(
            user_id=session.user_id,
            kind=CredentialKind.REFRESH_TOKEN,
            secret_hash=digest(refresh_token),
            session_id=session.credential_id,
            created_at=now,
            expires_at=min(now + IDLE, session.expires_at or now + LONGEST),
        )
        await self.credentials.add(token)
        return self.tokens(session, refresh_token)

    def tokens(self, session: Credential, refresh_token: str, /) -> SessionTokens:
        access = self.access.issue(session.user_id, session.credential_id, self.clock.now())
        return SessionTokens(session.credential_id, access, refresh_token)


@attrs.frozen
class LogIn(Unproven, Command[SessionTokens, IdentityRefused]):
    """Open a session with address and password, and with a code of the second factor where there is one.

    Whether the address, the password or the account's state is wrong is not said.
    """

    resource_type: ClassVar[str] = "session"
    email: str
    password: str = attrs.field(repr=False)
    code: str | None = attrs.field(default=None, repr=False)
    """Of the authenticator, or a recovery code."""
    instead_of: str | None = attrs.field(default=None, repr=False)
    """The refresh token of a session that this one takes the place of, as when one proves anew who one is."""

    async def claimant(self, claims: Claims, /) -> Subject:
        return await claims.by_email(self.email)


@attrs.frozen
class _Proven:
    password: Credential
    rehashed: str | None
    second: Credential | None
    """The second factor as it will be once this code is spent; None if there is none, or a recovery code."""


@attrs.frozen
class LogInHandler:
    users: Users
    credentials: Credentials
    unit: UnitOfWork
    hasher: PasswordHasher
    guessing: Guessing
    factors: Factors
    opening: Opening
    notes: Notes

    async def prepare(self, command: LogIn, /) -> Result[_Proven, IdentityRefused]:
        """The password against the hash that is kept, or against one that nobody has: it takes the same time."""
        if isinstance(limited := await self.guessing.check("log-in", command.email), Failure):
            return limited
        async with self.unit:
            kept = await self.credentials.list(CredentialKind.PASSWORD)
            factor = await self.factors.active()
        verdict = await self.hasher.verify(kept[0].data if kept else None, command.password)
        if not verdict.ok:
            return _WRONG
        second = await self.factors.matched(factor, command.code)
        if isinstance(second, Failure):
            return second
        rehashed = await self.hasher.hash(command.password) if verdict.stale else None
        return Success(_Proven(kept[0], rehashed, second.unwrap()))

    async def apply(self, command: LogIn, proven: _Proven, /) -> Result[SessionTokens, IdentityRefused]:
        user = await self.users.find(alone=True)
        unchanged = await self.credentials.get(proven.password.credential_id)
        if user is None or user.status is not UserStatus.ACTIVE or unchanged is None:
            return _WRONG
        spent = await self.factors.spend(proven.second, command.code)
        if isinstance(spent, Failure):
            return spent
        if proven.rehashed:
            await self.credentials.change(attrs.evolve(unchanged, data=proven.rehashed))
        await self._end(command.instead_of)
        tokens = await self.opening.open(user)
        self.notes.about(tokens.session_id, factor=spent.unwrap())
        return Success(tokens)

    async def _end(self, refresh_token: str | None) -> None:
        before = refresh_token and await self.credentials.find(CredentialKind.REFRESH_TOKEN, digest(refresh_token))
        if before and before.session_id:
            await self.credentials.drop(_SESSIONS, [before.session_id])


@attrs.frozen
class RefreshSession(Unproven, Command[SessionTokens, IdentityRefused]):
    """The next tokens of a session. A refresh token is good once; one that comes back later ends its session."""

    resource_type: ClassVar[str] = "session"
    refresh_token: str = attrs.field(repr=False)

    async def claimant(self, claims: Claims, /) -> Subject:
        return await claims.by_secret(self.refresh_token)


@attrs.frozen
class RefreshSessionHandler:
    credentials: Credentials
    opening: Opening
    subject: Subject
    clock: Clock
    outgoing: Outgoing
    notes: Notes

    async def apply(self, command: RefreshSession, /) -> Result[SessionTokens, IdentityRefused]:
        now, token = self.clock.now(), command.refresh_token
        successor = new_secret(self.subject.user_id, "refresh")
        kind, secret_hash = CredentialKind.REFRESH_TOKEN, digest(token)
        claimed = await self.credentials.claim(
            kind, secret_hash, now, _under(token).encrypt(_ONCE, successor.encode(), None).hex()
        )
        known = claimed or await self.credentials.find(kind, secret_hash)
        session = known and known.session_id and await self.credentials.get(known.session_id)
        if not (known and session and session.good_at(now)):
            return _UNKNOWN
        self.notes.about(session.credential_id)
        if claimed:
            await self.credentials.change(attrs.evolve(session, used_at=now))
            return Success(await self.opening.go_on(session, successor))
        if known.used_at is None:
            return _UNKNOWN
        if now < known.used_at + GRACE:
            successor = _under(token).decrypt(_ONCE, bytes.fromhex(known.data), None).decode()
            return Success(self.opening.tokens(session, successor))
        return self._replayed(session)

    def _replayed(self, session: Credential) -> Result[SessionTokens, IdentityRefused]:
        id_ = session.credential_id
        event = RefreshTokenReplayed(user_id=self.subject.user_id, session_id=id_)
        self.outgoing.even_if_failed(event, effect=lambda: self.credentials.drop(_SESSIONS, [id_]))
        why = "this refresh token was used before, so it may be stolen: the session was ended, log in again"
        return refused(IdentityCode.TOKEN_REPLAYED, why)


@attrs.frozen
class ListSessions(Query[Sequence[SessionView], IdentityRefused]):
    """The acting person's sessions, the oldest first."""

    permission: ClassVar[Permission] = PROFILE_READ
    resource_type: ClassVar[str] = "session"


@attrs.frozen
class ListSessionsHandler:
    credentials: Credentials
    subject: Subject
    clock: Clock

    async def apply(self, _: ListSessions, /) -> Result[Sequence[SessionView], IdentityRefused]:
        found = await self.credentials.list(CredentialKind.SESSION)
        return Success([self._view(each) for each in found if each.good_at(self.clock.now())])

    def _view(self, session: Credential) -> SessionView:
        details: SessionDetails = load_json(session.data, SessionDetails)
        return SessionView(
            session.credential_id,
            session.created_at,
            session.used_at or session.created_at,
            session.expires_at,
            details.user_agent,
            details.ip_address,
            session.credential_id == self.subject.session_id,
        )


@attrs.frozen
class EndSessions(Command[int, IdentityRefused]):
    """Log out: end one session, or all; its tokens are refused from now on. Answers how many were ended."""

    permission: ClassVar[Permission] = SESSIONS_WRITE
    resource_type: ClassVar[str] = "session"
    resource_field: ClassVar[str] = "session_id"
    session_id: CredentialId | None = None


@attrs.frozen
class EndSessionsHandler:
    credentials: Credentials
    subject: Subject
    notes: Notes

    async def apply(self, command: EndSessions, /) -> Result[int, IdentityRefused]:
        one = command.session_id
        if (one is None or one != self.subject.session_id) and not self.subject.may(PROFILE_WRITE):
            why = "to end other sessions than this one takes a log-in of the last 15 minutes: log in again"
            return refused(IdentityCode.LOG_IN_AGAIN, why)
        ended = await self.credentials.drop(_SESSIONS, None if one is None else [one])
        if one is not None and not ended:
            why = "no session of yours has this id: it may have ended already, list them"
            return refused(IdentityCode.SESSION_UNKNOWN, why)
        self.notes.context["ended"] = ended
        return Success(ended)


def _under(token: str) -> "AESGCM":
    """What only who has the token opens. Its key is used once, as the token is."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hashlib.sha256(b"dashtam/successor/" + token.encode("utf-8", "surrogatepass")).digest())


_WRONG: Final = refused(
    IdentityCode.CREDENTIALS_WRONG,
    "address and password do not fit, or the account is not active: check both, or reset the password",
)
_UNKNOWN: Final = refused(
    IdentityCode.TOKEN_UNKNOWN, "this refresh token is not known or has expired: log in again"
)

ROUTES: Final = (
    LogIn.prepared_by(LogInHandler),
    RefreshSession.handled_by(RefreshSessionHandler),
    ListSessions.handled_by(ListSessionsHandler),
    EndSessions.handled_by(EndSessionsHandler),
)
