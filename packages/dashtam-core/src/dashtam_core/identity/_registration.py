"""Coming here: registering, proving the address, and what a person does with password and address later."""

from typing import ClassVar, Final

import attrs

from dashtam_core.identity import _notices
from dashtam_core.identity._claims import MAILS, Claims, Guessing, Unproven
from dashtam_core.identity._entities import (
    Credential,
    CredentialKind,
    EmailAddress,
    Role,
    User,
    UserStatus,
    digest,
)
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._factors import NO_ACCOUNT, Factors
from dashtam_core.identity._hashing import PasswordHasher
from dashtam_core.identity._passwords import Blocklist, check_password
from dashtam_core.identity._permissions import PROFILE_READ, PROFILE_WRITE, SESSIONS_WRITE
from dashtam_core.identity._repositories import Credentials, Users
from dashtam_core.kernel import Clock, Failure, Permission, Result, Subject, Success, UserId, map_success, new_id
from dashtam_core.messaging import Command, Notes, Outgoing, Query, UnitOfWork

GIVES_ACCESS: Final = (CredentialKind.SESSION, CredentialKind.API_TOKEN, CredentialKind.PASSWORD_RESET)
"""What lets somebody in without the password."""
_CLOSED: Final = (UserStatus.LOCKED, UserStatus.DEACTIVATED)
_ENDS_WITH_PASSWORD: Final = (CredentialKind.PASSWORD, CredentialKind.SESSION, CredentialKind.PASSWORD_RESET)


@attrs.frozen
class Passwords:
    """Checks and hashes passwords, and keeps their hashes."""

    hasher: PasswordHasher
    blocklist: Blocklist
    users: Users
    credentials: Credentials
    factors: Factors
    clock: Clock
    unit: UnitOfWork

    async def hashed(
        self, password: str, email: EmailAddress, *, factor: bool = False
    ) -> Result[str, IdentityRefused]:
        about = (email.folded, *email.folded.split("@"))
        checked = check_password(password, second_factor=factor, about=about, blocklist=self.blocklist)
        if isinstance(checked, Failure):
            return checked
        return Success(await self.hasher.hash(checked.unwrap()))

    async def hashed_anew(self, password: str) -> Result[str, IdentityRefused]:
        """The same for the acting person, whose account says what it may be."""
        async with self.unit:
            user, factor = await self.users.find(), await self.factors.active()
        return NO_ACCOUNT if user is None else await self.hashed(password, user.email, factor=factor is not None)

    async def proven(self, password: str) -> Credential | None:
        """The acting person's password, if this is it."""
        async with self.unit:
            kept = await self.credentials.list(CredentialKind.PASSWORD)
        verdict = await self.hasher.verify(kept[0].data if kept else None, password)
        return kept[0] if verdict.ok else None

    async def keep(self, encoded: str, user_id: UserId) -> None:
        """In place of the one before; whoever came in with that one is out."""
        await self.credentials.drop(_ENDS_WITH_PASSWORD)
        kind, now = CredentialKind.PASSWORD, self.clock.now()
        await self.credentials.add(Credential(user_id=user_id, kind=kind, created_at=now, data=encoded))


@attrs.frozen
class Registration:
    """What a deployment lets anybody do who has not logged in."""

    is_open: bool = True
    """Whether anybody may register, or only those whom an administrator makes an account for."""
    sends_mail: bool = True

    def check(self, *, registering: bool) -> Result[None, IdentityRefused]:
        if registering and not self.is_open:
            why = "registration is closed here: ask whoever runs this service for an account"
            return refused(IdentityCode.REGISTRATION_CLOSED, why)
        if not self.sends_mail:
            why = "this service sends no mail, which this takes: whoever runs it sets DASHTAM_MAIL_URL"
            return refused(IdentityCode.MAIL_NOT_CONFIGURED, why)
        return Success(None)


@attrs.frozen
class RegisterUser(Unproven, Command[None, IdentityRefused]):
    """Make an account that is usable once its address is proven by what is mailed there.

    The answer is the same if the address has an account: only its owner learns that, by mail.
    """

    email: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class RegisterUserHandler:
    registration: Registration
    users: Users
    passwords: Passwords
    guessing: Guessing
    clock: Clock
    outgoing: Outgoing
    notes: Notes

    async def prepare(self, command: RegisterUser, /) -> Result[tuple[EmailAddress, str], IdentityRefused]:
        if isinstance(closed := self.registration.check(registering=True), Failure):
            return closed
        address = EmailAddress.parse(command.email)
        if isinstance(address, Failure):
            return address
        if isinstance(limited := await self.guessing.check("mail", command.email, at_account=MAILS), Failure):
            return limited
        email = address.unwrap()
        return map_success(await self.passwords.hashed(command.password, email), lambda encoded: (email, encoded))

    async def apply(self, _: RegisterUser, prepared: tuple[EmailAddress, str], /) -> Result[None, IdentityRefused]:
        email, encoded = prepared
        user_id = UserId(new_id())
        async with self.users.acting_for(user_id):
            await self.users.add(User(user_id, email, Role.USER, UserStatus.UNVERIFIED, self.clock.now()))
            await self.passwords.keep(encoded, user_id)
        self.notes.about(user_id)
        self.outgoing.emit(_notices.UserRegistered(user_id=user_id))
        return Success(None)


@attrs.frozen
class VerifyEmail(Unproven, Command[None, IdentityRefused]):
    """Prove an address with what was mailed there, and with the password of the account that it is for.

    The password keeps anybody from having an account of their own verified by who only reads the mail.
    """

    token: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)

    async def claimant(self, claims: Claims, /) -> Subject:
        return await claims.by_secret(self.token)


@attrs.frozen
class VerifyEmailHandler:
    users: Users
    credentials: Credentials
    passwords: Passwords
    guessing: Guessing
    claims: Claims
    subject: Subject
    clock: Clock
    outgoing: Outgoing

    async def prepare(self, command: VerifyEmail, /) -> Result[Credential, IdentityRefused]:
        if isinstance(limited := await self.guessing.check("verify", str(self.subject.user_id)), Failure):
            return limited
        proven = await self.passwords.proven(command.password)
        return Success(proven) if proven else _LINK_SPENT

    async def apply(self, command: VerifyEmail, proven: Credential, /) -> Result[None, IdentityRefused]:
        kind, now = CredentialKind.EMAIL_VERIFICATION, self.clock.now()
        used = await self.credentials.claim(kind, digest(command.token), now)
        user, unchanged = await self.users.find(alone=True), await self.credentials.get(proven.credential_id)
        if used is None or user is None or unchanged is None or user.status in _CLOSED:
            return _LINK_SPENT
        before, user.email = user.email, EmailAddress(used.data)
        if not await self.users.claim(self.claims.lookup_key(user.email.folded)):
            why = "another account has this address by now: log in to that one, or use another address"
            return refused(IdentityCode.EMAIL_TAKEN, why)
        user.status = UserStatus.ACTIVE
        await self.users.change(user)
        await self.credentials.drop((CredentialKind.PASSWORD_RESET,))  # they went to the address of before
        if before != user.email:
            self.outgoing.emit(_notices.EmailChanged(user_id=user.user_id, before=before))
        return Success(None)


@attrs.frozen
class ChangeEmail(Command[None, IdentityRefused]):
    """Take another address once it is proven by what is mailed there."""

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "user"
    email: str


@attrs.frozen
class ChangeEmailHandler:
    registration: Registration
    users: Users
    guessing: Guessing
    subject: Subject
    outgoing: Outgoing

    async def prepare(self, command: ChangeEmail, /) -> Result[EmailAddress, IdentityRefused]:
        if isinstance(closed := self.registration.check(registering=False), Failure):
            return closed
        limited = await self.guessing.check("mail", command.email, at_account=MAILS)
        return limited if isinstance(limited, Failure) else EmailAddress.parse(command.email)

    async def apply(self, _: ChangeEmail, email: EmailAddress, /) -> Result[None, IdentityRefused]:
        if await self.users.find() is None:
            return NO_ACCOUNT
        self.outgoing.emit(_notices.EmailChangeRequested(user_id=self.subject.user_id, email=email))
        return Success(None)


@attrs.frozen
class ChangePassword(Command[None, IdentityRefused]):
    """Take another password. Every session is ended, this one too: log in with the new one."""

    permission: ClassVar[Permission] = SESSIONS_WRITE
    resource_type: ClassVar[str] = "user"
    replayable: ClassVar[bool] = False
    current: str = attrs.field(repr=False)
    new: str = attrs.field(repr=False)


@attrs.frozen
class ChangePasswordHandler:
    passwords: Passwords
    guessing: Guessing
    subject: Subject
    outgoing: Outgoing

    async def prepare(self, command: ChangePassword, /) -> Result[tuple[Credential, str], IdentityRefused]:
        if isinstance(limited := await self.guessing.check("password", str(self.subject.user_id)), Failure):
            return limited
        if (current := await self.passwords.proven(command.current)) is None:
            return _PASSWORD_WRONG
        hashed = await self.passwords.hashed_anew(command.new)
        return hashed if isinstance(hashed, Failure) else Success((current, hashed.unwrap()))

    async def apply(self, _: ChangePassword, prepared: tuple[Credential, str], /) -> Result[None, IdentityRefused]:
        current, encoded = prepared
        await self.passwords.users.find(alone=True)
        if await self.passwords.credentials.get(current.credential_id) is None:
            return _PASSWORD_WRONG  # it was replaced meanwhile, as by who reset it to keep somebody out
        await self.passwords.keep(encoded, self.subject.user_id)
        self.outgoing.emit(_notices.PasswordChanged(user_id=self.subject.user_id))
        return Success(None)


@attrs.frozen
class RequestPasswordReset(Unproven, Command[None, IdentityRefused]):
    """Have a link mailed with which a forgotten password is replaced, if an account has the address."""

    email: str

    async def claimant(self, claims: Claims, /) -> Subject:
        return await claims.by_email(self.email)


@attrs.frozen
class RequestPasswordResetHandler:
    registration: Registration
    guessing: Guessing
    subject: Subject
    outgoing: Outgoing

    async def prepare(self, command: RequestPasswordReset, /) -> Result[None, IdentityRefused]:
        if isinstance(closed := self.registration.check(registering=False), Failure):
            return closed
        return await self.guessing.check("reset", command.email, at_account=MAILS)

    async def apply(self, _: RequestPasswordReset, __: None, /) -> Result[None, IdentityRefused]:
        self.outgoing.emit(_notices.PasswordResetRequested(user_id=self.subject.user_id))
        return Success(None)


@attrs.frozen
class ResetPassword(Unproven, Command[None, IdentityRefused]):
    """Replace a forgotten password with what was mailed. Sessions and API tokens end; a second factor stays."""

    token: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)

    async def claimant(self, claims: Claims, /) -> Subject:
        return await claims.by_secret(self.token)


@attrs.frozen
class ResetPasswordHandler:
    users: Users
    credentials: Credentials
    passwords: Passwords
    clock: Clock
    unit: UnitOfWork
    outgoing: Outgoing

    async def prepare(self, command: ResetPassword, /) -> Result[str, IdentityRefused]:
        """A link that is spent costs no hashing."""
        async with self.unit:
            link = await self.credentials.find(CredentialKind.PASSWORD_RESET, digest(command.token))
        if link is None or link.used_at or not link.good_at(self.clock.now()):
            return _LINK_SPENT
        return await self.passwords.hashed_anew(command.password)

    async def apply(self, command: ResetPassword, encoded: str, /) -> Result[None, IdentityRefused]:
        kind, now = CredentialKind.PASSWORD_RESET, self.clock.now()
        used = await self.credentials.claim(kind, digest(command.token), now)
        user = await self.users.find(alone=True)
        if used is None or user is None or user.status is not UserStatus.ACTIVE:
            return _LINK_SPENT
        await self.credentials.drop(GIVES_ACCESS)
        await self.passwords.keep(encoded, user.user_id)
        self.outgoing.emit(_notices.PasswordChanged(user_id=user.user_id))
        return Success(None)


@attrs.frozen
class GetMyUser(Query[User, IdentityRefused]):
    """The acting person's own account."""

    permission: ClassVar[Permission] = PROFILE_READ
    resource_type: ClassVar[str] = "user"


@attrs.frozen
class GetMyUserHandler:
    users: Users

    async def apply(self, _: GetMyUser, /) -> Result[User, IdentityRefused]:
        user = await self.users.find()
        return NO_ACCOUNT if user is None else Success(user)


@attrs.frozen
class DeactivateUser(Command[None, IdentityRefused]):
    """Close the acting person's account: nobody gets in, what they have stays, an administrator can reopen it."""

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "user"
    replayable: ClassVar[bool] = False


@attrs.frozen
class DeactivateUserHandler:
    users: Users
    credentials: Credentials
    outgoing: Outgoing

    async def apply(self, _: DeactivateUser, /) -> Result[None, IdentityRefused]:
        user = await self.users.find(alone=True)
        if user is None:
            return NO_ACCOUNT
        user.status = UserStatus.DEACTIVATED
        await self.users.change(user)
        await self.credentials.drop(GIVES_ACCESS)
        self.outgoing.emit(_notices.UserStatusChanged(user_id=user.user_id, status=user.status))
        return Success(None)


_PASSWORD_WRONG: Final = refused(
    IdentityCode.PASSWORD_WRONG, "this is not your password of now: try again, or reset it"
)
_LINK_SPENT: Final = refused(
    IdentityCode.LINK_SPENT, "this link was used, is too old, or does not go with this password: ask for a new one"
)

ROUTES: Final = (
    RegisterUser.prepared_by(RegisterUserHandler),
    VerifyEmail.prepared_by(VerifyEmailHandler),
    ChangeEmail.prepared_by(ChangeEmailHandler),
    ChangePassword.prepared_by(ChangePasswordHandler),
    RequestPasswordReset.prepared_by(RequestPasswordResetHandler),
    ResetPassword.prepared_by(ResetPasswordHandler),
    GetMyUser.handled_by(GetMyUserHandler),
    DeactivateUser.handled_by(DeactivateUserHandler),
)
