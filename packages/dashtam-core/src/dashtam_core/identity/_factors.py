"""The second factor: a time-based code (RFC 6238), and ten recovery codes for when the authenticator is lost."""

from base64 import b32encode
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

import attrs

from dashtam_core.audit import PersonalVault
from dashtam_core.identity import _totp
from dashtam_core.identity._claims import Claims, Guessing
from dashtam_core.identity._entities import Credential, CredentialId, CredentialKind
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._notices import FactorChanged
from dashtam_core.identity._permissions import PROFILE_READ, PROFILE_WRITE
from dashtam_core.identity._repositories import Credentials, Users
from dashtam_core.kernel import Clock, Failure, Permission, Result, Subject, Success
from dashtam_core.messaging import Command, Notes, Outgoing, Query, UnitOfWork, dump_json, load_json

_ISSUER: Final = "Dashtam"
_BOTH: Final = (CredentialKind.TOTP, CredentialKind.RECOVERY_CODE)


@attrs.frozen
class TotpDetails:
    """What is kept of an authenticator: its secret under the person's key, and the period of the last code."""

    sealed: bytes = attrs.field(repr=False)
    step: int | None = None


@attrs.frozen
class FactorView:
    factor_id: CredentialId
    confirmed: bool
    created_at: datetime
    recovery_codes_left: int


@attrs.frozen
class FactorSecret:
    """What an authenticator needs; shown this once. `secret` is in base 32, `uri` is what a QR code shows."""

    factor_id: CredentialId
    secret: str = attrs.field(repr=False)
    uri: str = attrs.field(repr=False)


@attrs.frozen
class Factors:
    """The acting person's second factor, as log-ins and its own commands use it."""

    credentials: Credentials
    vault: PersonalVault
    claims: Claims
    subject: Subject
    clock: Clock

    async def active(self) -> Credential | None:
        """The factor that a log-in needs, if there is one."""
        return next((each for each in await self.credentials.list(CredentialKind.TOTP) if each.used_at), None)

    async def matched(
        self, factor: Credential | None, code: str | None
    ) -> Result[Credential | None, IdentityRefused]:
        """The factor with this code noted as used; None if there is no factor, or the code may be a recovery code.

        Takes the store to itself, so ask outside a transaction.
        """
        if factor is None:
            return Success(None)
        if not code:
            why = "this account has a second factor: send the code of your authenticator, or a recovery code"
            return refused(IdentityCode.CODE_REQUIRED, why)
        details: TotpDetails = load_json(factor.data, TotpDetails)
        secret = await self.vault.open(self.subject.user_id, details.sealed)
        step = secret and _totp.matching_step(secret, code, self.clock.now(), details.step)
        if not step:
            return Success(None)
        return Success(attrs.evolve(factor, data=dump_json(attrs.evolve(details, step=step))))

    async def spend(self, matched: Credential | None, code: str | None) -> Result[str, IdentityRefused]:
        """Uses the code up, in the transaction at hand; answers which factor it was. A used one is refused."""
        factor = await self.active()
        if factor is None:
            return Success("none")
        if matched is None:
            key = self.recovery_key(code or "")
            spent = await self.credentials.claim(CredentialKind.RECOVERY_CODE, key, self.clock.now())
            return Success("recovery code") if spent else _REFUSED
        before: TotpDetails = load_json(factor.data, TotpDetails)
        after: TotpDetails = load_json(matched.data, TotpDetails)
        if factor.credential_id != matched.credential_id or (before.step or 0) >= (after.step or 0):
            return _REFUSED
        await self.credentials.change(attrs.evolve(matched, used_at=factor.used_at))
        return Success("totp")

    def recovery_key(self, code: str) -> bytes:
        return self.claims.lookup_key(f"recovery/{self.subject.user_id}/{_totp.normalized_code(code)}")


@attrs.frozen
class ListFactors(Query[Sequence[FactorView], IdentityRefused]):
    """The acting person's second factor, if any, and one that is being set up."""

    permission: ClassVar[Permission] = PROFILE_READ
    resource_type: ClassVar[str] = "factor"


@attrs.frozen
class ListFactorsHandler:
    credentials: Credentials

    async def apply(self, _: ListFactors, /) -> Result[Sequence[FactorView], IdentityRefused]:
        codes = await self.credentials.list(CredentialKind.RECOVERY_CODE)
        left = sum(each.used_at is None for each in codes)
        found = await self.credentials.list(CredentialKind.TOTP)
        return Success([_view(each, left) for each in found])


def _view(factor: Credential, codes_left: int) -> FactorView:
    on = factor.used_at is not None
    return FactorView(factor.credential_id, on, factor.created_at, codes_left if on else 0)


@attrs.frozen
class EnrollFactor(Command[FactorSecret, IdentityRefused]):
    """Begin to set up an authenticator. It counts once a code of it was given to `ConfirmFactor`."""

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "factor"
    replayable: ClassVar[bool] = False


@attrs.frozen
class EnrollFactorHandler:
    users: Users
    credentials: Credentials
    factors: Factors
    vault: PersonalVault
    subject: Subject
    clock: Clock
    notes: Notes

    async def prepare(self, _: EnrollFactor, /) -> Result[tuple[bytes, bytes], IdentityRefused]:
        secret = _totp.new_secret()
        return Success((secret, (await self.vault.sealing(self.subject.user_id))(secret)))

    async def apply(self, _: EnrollFactor, made: tuple[bytes, bytes], /) -> Result[FactorSecret, IdentityRefused]:
        secret, sealed = made
        user = await self.users.find(alone=True)
        if user is None:
            return NO_ACCOUNT
        if await self.factors.active():
            why = "this account has a second factor already: remove it first"
            return refused(IdentityCode.FACTOR_PRESENT, why)
        await self.credentials.drop(_BOTH)
        data, now = dump_json(TotpDetails(sealed)), self.clock.now()
        factor = Credential(user_id=user.user_id, kind=CredentialKind.TOTP, created_at=now, data=data)
        await self.credentials.add(factor)
        self.notes.about(factor.credential_id)
        uri = _totp.provisioning_uri(secret, user.email.text, _ISSUER)
        return Success(FactorSecret(factor.credential_id, b32encode(secret).decode(), uri))


@attrs.frozen
class RecoveryCodes:
    """Ten codes in place of an authenticator's, good once each; shown this once."""

    recovery_codes: Sequence[str] = attrs.field(repr=False)


@attrs.frozen
class ConfirmFactor(Command[RecoveryCodes, IdentityRefused]):
    """Turn a second factor on with a code of it."""

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "factor"
    resource_field: ClassVar[str] = "factor_id"
    replayable: ClassVar[bool] = False
    factor_id: CredentialId
    code: str = attrs.field(repr=False)


@attrs.frozen
class ConfirmFactorHandler:
    users: Users
    credentials: Credentials
    unit: UnitOfWork
    factors: Factors
    guessing: Guessing
    subject: Subject
    clock: Clock
    outgoing: Outgoing

    async def prepare(self, command: ConfirmFactor, /) -> Result[Credential, IdentityRefused]:
        if isinstance(limited := await self.guessing.check("factor", str(self.subject.user_id)), Failure):
            return limited
        async with self.unit:
            factor = await self.credentials.get(command.factor_id)
        if factor is None or factor.kind is not CredentialKind.TOTP or factor.used_at:
            return _UNKNOWN
        matched = (await self.factors.matched(factor, command.code)).value_or(None)
        return Success(matched) if matched else _WRONG

    async def apply(self, _: ConfirmFactor, matched: Credential, /) -> Result[RecoveryCodes, IdentityRefused]:
        await self.users.find(alone=True)
        # Neither a factor that was taken back meanwhile nor a session that was ended turns one on.
        session = CredentialId(self.subject.session_id or matched.credential_id)
        kept = [await self.credentials.get(each) for each in (matched.credential_id, session)]
        if None in kept or await self.factors.active():
            return _UNKNOWN
        now, codes = self.clock.now(), _totp.new_recovery_codes()
        await self.credentials.change(attrs.evolve(matched, used_at=now))
        for code in codes:
            key, kind = self.factors.recovery_key(code), CredentialKind.RECOVERY_CODE
            spare = Credential(user_id=matched.user_id, kind=kind, secret_hash=key, created_at=now)
            await self.credentials.add(spare)
        self.outgoing.emit(FactorChanged(user_id=self.subject.user_id, added=True))
        return Success(RecoveryCodes(codes))


@attrs.frozen
class RemoveFactor(Command[None, IdentityRefused]):
    """Take a second factor off, and its recovery codes with it."""

    permission: ClassVar[Permission] = PROFILE_WRITE
    resource_type: ClassVar[str] = "factor"
    resource_field: ClassVar[str] = "factor_id"
    factor_id: CredentialId


@attrs.frozen
class RemoveFactorHandler:
    credentials: Credentials
    subject: Subject
    outgoing: Outgoing

    async def apply(self, command: RemoveFactor, /) -> Result[None, IdentityRefused]:
        factor = await self.credentials.get(command.factor_id)
        if factor is None or factor.kind is not CredentialKind.TOTP:
            return _UNKNOWN
        await self.credentials.drop(_BOTH)
        if factor.used_at:
            self.outgoing.emit(FactorChanged(user_id=self.subject.user_id, added=False))
        return Success(None)


NO_ACCOUNT: Final = refused(IdentityCode.USER_UNKNOWN, "you have no account here: another system says who you are")
_UNKNOWN: Final = refused(
    IdentityCode.FACTOR_UNKNOWN, "no second factor of yours has this id, or not any more: list them"
)
_WRONG: Final = refused(
    IdentityCode.CODE_WRONG, "this is not the code of now: look at the authenticator and its clock"
)
_REFUSED: Final = refused(
    IdentityCode.CODE_REFUSED, "this code is wrong or was used: send the next one, or a recovery code"
)

ROUTES: Final = (
    ListFactors.handled_by(ListFactorsHandler),
    EnrollFactor.prepared_by(EnrollFactorHandler),
    ConfirmFactor.prepared_by(ConfirmFactorHandler),
    RemoveFactor.handled_by(RemoveFactorHandler),
)
