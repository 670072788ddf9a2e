"""How the parts of this room are made, unless a deployment or an embedder says otherwise."""

import sys
from typing import Final

from dashtam_core.container import Binding, provide
from dashtam_core.identity._access import Ed25519AccessTokens
from dashtam_core.identity._claims import Claims, Guessing
from dashtam_core.identity._factors import Factors
from dashtam_core.identity._hashing import Argon2Hasher, PasswordHasher
from dashtam_core.identity._keyring import Keyring
from dashtam_core.identity._mail import ConsoleMailer, Mailer
from dashtam_core.identity._notices import Mailing
from dashtam_core.identity._passwords import Blocklist
from dashtam_core.identity._registration import Passwords, Registration
from dashtam_core.identity._sessions import Opening
from dashtam_core.identity._smtp import SmtpMailer
from dashtam_core.kernel import Clock, KernelCode, UnavailableError
from dashtam_core.settings import Settings

_TOKENS_OF: Final = "dashtam"


def bindings(settings: Settings, *, mails: bool) -> tuple[Binding, ...]:
    """What people who log in here take, beside what a store brings. `mails`: whether there is a mailer."""
    file = settings.password_blocklist

    def access_tokens(keyring: Keyring) -> Ed25519AccessTokens:
        return Ed25519AccessTokens(keyring.derive, issuer=_TOKENS_OF, audience=_TOKENS_OF)

    def blocklist() -> Blocklist:
        return Blocklist() if file is None else Blocklist.of(file)

    def mailing(mailer: Mailer, claims: Claims, clock: Clock) -> Mailing:
        return Mailing(mailer, settings.verify_url, settings.reset_url, claims, clock)

    async def close(_: PasswordHasher) -> None:
        hasher.close()

    return (
        provide(Ed25519AccessTokens).by(access_tokens),
        provide(Blocklist).by(blocklist),
        provide(Factors).by(Factors),
        provide(Guessing).by(Guessing),
        provide(Mailer).by(lambda: _mailer(settings.mail_url or "", settings.mail_from)),
        provide(Mailing).by(mailing),
        provide(Opening).by(Opening),
        provide(PasswordHasher).value(hasher := Argon2Hasher(), closing=close),
        provide(Passwords).by(Passwords),
        provide(Registration).value(Registration(settings.registration, mails)),
    )


def _mailer(url: str, sender: str) -> Mailer:
    if url.startswith("console:"):
        return ConsoleMailer(sys.stderr)
    try:
        return SmtpMailer.of(url, sender)
    except ValueError as error:
        why = f"DASHTAM_MAIL_URL or DASHTAM_MAIL_FROM cannot be used: {error}"
        raise UnavailableError(KernelCode.SETTING_INVALID, why) from None
