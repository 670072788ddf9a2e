"""What administrators do to other people's accounts, never to their data, and operators to the service's key."""

from typing import ClassVar, Final
from uuid import UUID

import attrs

from dashtam_core import kernel
from dashtam_core.audit import Sealing
from dashtam_core.identity._claims import Claims
from dashtam_core.identity._entities import CredentialKind, EmailAddress, Role, User, UserStatus
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._keyring import Keyring, key_id, retire, rotate
from dashtam_core.identity._notices import PasswordResetRequested, UserStatusChanged
from dashtam_core.identity._permissions import KEYS_ROTATE, USERS_MANAGE
from dashtam_core.identity._registration import GIVES_ACCESS, Passwords, Registration
from dashtam_core.identity._repositories import Credentials, RootKeys, Users
from dashtam_core.messaging import Command, Notes, Outgoing, Query

type _Prepared = tuple[EmailAddress, str | None]

_STATUSES: Final = frozenset({UserStatus.ACTIVE, UserStatus.LOCKED})
_SCOPE: Final = "users"


class _OfUsers:
    __slots__ = ()
    permission: ClassVar[kernel.Permission] = USERS_MANAGE
    resource_type: ClassVar[str] = "user"


@attrs.frozen
class ListUsers(_OfUsers, Query[kernel.Page[User], IdentityRefused | kernel.ValueRefused]):
    """Everybody's accounts, the oldest first."""

    audited: ClassVar[bool] = True
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class ListUsersHandler:
    users: Users
    keyring: Keyring

    async def apply(
        self, query: ListUsers, /
    ) -> kernel.Result[kernel.Page[User], IdentityRefused | kernel.ValueRefused]:
        cursors = kernel.Cursors(self.keyring.derive("cursor"))
        after: kernel.UserId | None = None
        if query.cursor is not None:
            read = cursors.read(query.cursor, scope=_SCOPE)
            if isinstance(read, kernel.Failure):
                return read
            after = kernel.UserId(UUID(read.unwrap()))
        limit = min(max(query.limit, 1), 500)
        found = await self.users.page(after=after, limit=limit + 1)
        more = found[limit - 1].user_id if len(found) > limit else None
        return kernel.Success(
            kernel.Page(found[:limit], None if more is None else cursors.write(str(more), scope=_SCOPE))
        )


@attrs.frozen
class CreateUser(_OfUsers, Command[User, IdentityRefused]):
    """Make an account for somebody, whose address counts as proven.

    Without a password they are mailed a link to choose one.
    """

    replayable: ClassVar[bool] = False
    email: str
    password: str | None = attrs.field(default=None, repr=False)
    role: Role = Role.USER


@attrs.frozen
class CreateUserHandler:
    registration: Registration
    outgoing: Outgoing
    users: Users
    passwords: Passwords
    claims: Claims
    clock: kernel.Clock
    notes: Notes

    async def prepare(self, command: CreateUser, /) -> kernel.Result[_Prepared, IdentityRefused]:
        address = EmailAddress.parse(command.email)
        if isinstance(address, kernel.Failure):
            return address
        email = address.unwrap()
        if command.password is None:
            return kernel.map_success(self.registration.check(registering=False), lambda _: (email, None))
        return kernel.map_success(
            await self.passwords.hashed(command.password, email), lambda encoded: (email, encoded)
        )

    async def apply(self, command: CreateUser, prepared: _Prepared, /) -> kernel.Result[User, IdentityRefused]:
        email, encoded = prepared
        user = User(kernel.UserId(kernel.new_id()), email, command.role, UserStatus.ACTIVE, self.clock.now())
        async with self.users.acting_for(user.user_id):
            if not await self.users.claim(self.claims.lookup_key(email.folded)):
                why = "an account has this address: log in to that one, or use another address"
                return refused(IdentityCode.EMAIL_TAKEN, why)
            await self.users.add(user)
            if encoded is not None:
                await self.passwords.keep(encoded, user.user_id)
        if encoded is None:
            self.outgoing.emit(PasswordResetRequested(user_id=user.user_id))
        self.notes.about(user.user_id, role=user.role.value)
        return kernel.Success(user)


@attrs.frozen
class ChangeUser(_OfUsers, Command[User, IdentityRefused]):
    """Lock an account, open it again, or give it another role. Its sessions end; a lock stops its API tokens."""

    resource_field: ClassVar[str] = "user_id"
    replayable: ClassVar[bool] = False
    user_id: kernel.UserId
    status: UserStatus | None = None
    """ACTIVE or LOCKED; None leaves it."""
    role: Role | None = None
    """None leaves it."""


@attrs.frozen
class ChangeUserHandler:
    users: Users
    credentials: Credentials
    subject: kernel.Subject
    outgoing: Outgoing
    notes: Notes

    async def apply(self, command: ChangeUser, /) -> kernel.Result[User, IdentityRefused]:
        if command.user_id == self.subject.user_id:
            why = "an administrator changes no account of their own: ask another administrator"
            return refused(IdentityCode.OWN_ACCOUNT, why)
        async with self.users.acting_for(command.user_id):
            user = await self.users.find(alone=True)
            if user is None or command.status not in {None, *_STATUSES} or user.status is UserStatus.UNVERIFIED:
                return _UNKNOWN
            before, user.role, user.status = user.status, command.role or user.role, command.status or user.status
            await self.users.change(user)
            await self.credentials.drop((CredentialKind.SESSION, CredentialKind.PASSWORD_RESET))
        self.notes.about(user.user_id, role=user.role.value, status=user.status.value)
        if user.status is not before:
            self.outgoing.emit(UserStatusChanged(user_id=user.user_id, status=user.status))
        return kernel.Success(user)


@attrs.frozen
class RevokeTokens(_OfUsers, Command[int, IdentityRefused]):
    """End the sessions of one person or of everybody, and revoke their API tokens; answers how many there were."""

    resource_field: ClassVar[str] = "user_id"
    user_id: kernel.UserId | None = None
    """None: everybody's."""


@attrs.frozen
class RevokeTokensHandler:
    users: Users
    credentials: Credentials
    notes: Notes

    async def apply(self, command: RevokeTokens, /) -> kernel.Result[int, IdentityRefused]:
        if command.user_id is None:
            revoked = await self.credentials.drop_everybodys(GIVES_ACCESS)
        else:
            async with self.users.acting_for(command.user_id):
                if await self.users.find() is None:
                    return _UNKNOWN
                revoked = await self.credentials.drop(GIVES_ACCESS)
        self.notes.context["revoked"] = revoked
        return kernel.Success(revoked)


class _OfTheKey:
    permission: ClassVar[kernel.Permission] = KEYS_ROTATE
    resource_type: ClassVar[str] = "key"
    replayable: ClassVar[bool] = False


@attrs.frozen
class RotateKey(_OfTheKey, Command[None, IdentityRefused]):
    """Have the store opened by a new key beside the old one."""

    old: str = attrs.field(repr=False)
    new: str = attrs.field(repr=False)


@attrs.frozen
class RotateKeyHandler:
    keys: RootKeys
    sealing: Sealing
    notes: Notes

    async def prepare(self, command: RotateKey, /) -> kernel.Result[None, IdentityRefused]:
        last = await self.sealing.log.checkpoints(last=True)
        if last and not last[0][1].startswith(self.sealing.signer.name):
            why = "the audit trail was sealed under another key than DASHTAM_KEY: set it to that one"
            raise kernel.UnavailableError(kernel.UnavailableCode.MASTER_KEY_WRONG, why)
        await rotate(self.keys, command.old, command.new)
        return kernel.Success(None)

    async def apply(self, command: RotateKey, _: None, /) -> kernel.Result[None, IdentityRefused]:
        self.notes.about(key_id(command.new), replaces=key_id(command.old))
        return kernel.Success(None)


@attrs.frozen
class RetireKeys(_OfTheKey, Command[int, IdentityRefused]):
    """Leave this key as the only one that opens the store; answers how many others did."""

    key: str = attrs.field(repr=False)


@attrs.frozen
class RetireKeysHandler:
    keys: RootKeys
    notes: Notes

    async def prepare(self, command: RetireKeys, /) -> kernel.Result[int, IdentityRefused]:
        return kernel.Success(await retire(self.keys, command.key))

    async def apply(self, command: RetireKeys, retired: int, /) -> kernel.Result[int, IdentityRefused]:
        self.notes.about(key_id(command.key), retired=retired)
        return kernel.Success(retired)


_UNKNOWN: Final = refused(IdentityCode.USER_UNKNOWN, "no account has this id, or none to be changed so: list them")

ROUTES: Final = (
    ListUsers.handled_by(ListUsersHandler),
    CreateUser.prepared_by(CreateUserHandler),
    ChangeUser.handled_by(ChangeUserHandler),
    RevokeTokens.handled_by(RevokeTokensHandler),
    RotateKey.prepared_by(RotateKeyHandler),
    RetireKeys.prepared_by(RetireKeysHandler),
)
