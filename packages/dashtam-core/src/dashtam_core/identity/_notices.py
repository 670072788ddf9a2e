"""What happens to a person's account, and the mails that tell them of it.

Mails are sent by a durable subscriber: a token is made when its mail is, so that none is ever kept in clear,
nobody waits for a mail server, and how long an answer takes tells nothing of an address.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

import attrs

from dashtam_core.identity import _mail
from dashtam_core.identity._claims import Claims
from dashtam_core.identity._entities import (
    Credential,
    CredentialId,
    CredentialKind,
    EmailAddress,
    User,
    UserStatus,
    digest,
    new_secret,
)
from dashtam_core.identity._mail import Mail, Mailer
from dashtam_core.identity._repositories import PeopleUnit
from dashtam_core.kernel import Clock, UserId
from dashtam_core.messaging import Category, DomainEvent, DurableSubscription

LINK_LASTS: Final[dict[CredentialKind, timedelta]] = {
    CredentialKind.EMAIL_VERIFICATION: timedelta(hours=12),
    CredentialKind.PASSWORD_RESET: timedelta(minutes=30),
}
"""How long what was mailed can be used."""


@attrs.frozen(kw_only=True)
class AccountEvent(DomainEvent):
    """Something happened to this person's account."""

    user_id: UserId


@attrs.frozen(kw_only=True)
class UserRegistered(AccountEvent):
    """Somebody registered; the address is not proven yet."""


@attrs.frozen(kw_only=True)
class EmailChangeRequested(AccountEvent):
    """A person wants another address, which is to be proven first."""

    private: ClassVar[frozenset[str]] = frozenset({"email"})
    email: EmailAddress


@attrs.frozen(kw_only=True)
class EmailChanged(AccountEvent):
    """Another address is a person's own now."""

    category: ClassVar[Category | None] = Category.SECURITY
    private: ClassVar[frozenset[str]] = frozenset({"before"})
    before: EmailAddress


@attrs.frozen(kw_only=True)
class PasswordResetRequested(AccountEvent):
    """Somebody says they forgot the password; of nobody in particular if no account has the address."""


@attrs.frozen(kw_only=True)
class PasswordChanged(AccountEvent):
    """The password is another one, and all sessions were ended."""

    category: ClassVar[Category | None] = Category.SECURITY


@attrs.frozen(kw_only=True)
class FactorChanged(AccountEvent):
    """A second factor was turned on, or taken off."""

    category: ClassVar[Category | None] = Category.SECURITY
    added: bool


@attrs.frozen(kw_only=True)
class UserStatusChanged(AccountEvent):
    """An account was locked, deactivated or made active again."""

    category: ClassVar[Category | None] = Category.SECURITY
    status: UserStatus


@attrs.frozen(kw_only=True)
class RefreshTokenReplayed(AccountEvent):
    """A refresh token came a second time, long after it had been used: its session was ended, for it is stolen."""

    category: ClassVar[Category | None] = Category.SECURITY
    session_id: CredentialId


_TOLD: Final[Mapping[type[AccountEvent], Callable[[Any, str], Mail]]] = {
    EmailChanged: lambda event, to: _mail.email_changed(event.before.text, to),
    FactorChanged: lambda event, to: _mail.factor_changed(
        to, f"A second factor was {'turned on for' if event.added else 'removed from'} your account."
    ),
    PasswordChanged: lambda _, to: _mail.password_changed(to),
    RefreshTokenReplayed: lambda _, to: _mail.session_stolen(to),
    UserStatusChanged: lambda event, to: _mail.status_changed(to, event.status),
}
"""The mails that tell of what happened, to the address that is given."""

EVENTS: Final = (UserRegistered, EmailChangeRequested, PasswordResetRequested, *_TOLD)


@attrs.frozen
class Mailing:
    """Sends what an account's events call for."""

    mailer: Mailer
    verify_url: str | None
    """Where a link leads, with `{token}` in it. Without one the mail names the token alone."""
    reset_url: str | None
    claims: Claims
    clock: Clock

    def subscriptions(self) -> Sequence[DurableSubscription]:
        name = "mail"
        return (
            UserRegistered.delivered_to(name, self._address_given),
            EmailChangeRequested.delivered_to(name, self._address_given),
            PasswordResetRequested.delivered_to(name, self._reset_requested),
            *(event.delivered_to(name, self._told) for event in _TOLD),
        )

    async def _address_given(self, event: UserRegistered | EmailChangeRequested, unit: PeopleUnit) -> None:
        async with unit.users.acting_for(event.user_id):
            user = await unit.users.find()
            if user is None:
                return
            email = event.email if isinstance(event, EmailChangeRequested) else user.email
            owner = await unit.users.look_up(self.claims.lookup_key(email.folded))
            if owner not in {None, user.user_id}:
                await self.mailer.send(_mail.address_taken(email.text))
                return
            token = await self._issue(CredentialKind.EMAIL_VERIFICATION, user, unit, email.text)
            await self.mailer.send(_mail.verification(email.text, token, self.verify_url))

    async def _reset_requested(self, event: PasswordResetRequested, unit: PeopleUnit) -> None:
        async with unit.users.acting_for(event.user_id):
            user = await unit.users.find()
            if user is not None and user.status is UserStatus.ACTIVE:
                token = await self._issue(CredentialKind.PASSWORD_RESET, user, unit)
                await self.mailer.send(_mail.password_reset(user.email.text, token, self.reset_url))

    async def _told(self, event: AccountEvent, unit: PeopleUnit) -> None:
        """Everything else that happens to an account is told to its owner, who may not be the one who did it."""
        async with unit.users.acting_for(event.user_id):
            user = await unit.users.find()
        if user is not None:
            await self.mailer.send(_TOLD[type(event)](event, user.email.text))

    async def _issue(self, kind: CredentialKind, user: User, unit: PeopleUnit, data: str = "") -> str:
        whose, now = user.user_id, self.clock.now()
        token, ends = new_secret(whose, "mail"), now + LINK_LASTS[kind]
        link = Credential(
            user_id=whose, kind=kind, secret_hash=digest(token), created_at=now, expires_at=ends, data=data
        )
        await unit.credentials.add(link)
        return token
