"""Who somebody says they are before it is proven, and how often they may guess.

Until then their message runs on that person's rows alone.
"""

import hashlib
import hmac
import ipaddress
import unicodedata
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final

import attrs

from dashtam_core.identity._access import Ed25519AccessTokens
from dashtam_core.identity._entities import EmailAddress, owner_of
from dashtam_core.identity._errors import IdentityCode, IdentityRefused, refused
from dashtam_core.identity._repositories import PeopleUnit, Rate, RateLimiter
from dashtam_core.kernel import ANONYMOUS, PUBLIC, Clock, Origin, Permission, Result, Subject, Success, UserId

PER_ADDRESS: Final = Rate(burst=60, seconds=2.0)
"""Attempts from one IPv4 address or one IPv6 network of 64 bits, at whatever account."""
PER_SITE: Final = Rate(burst=240, seconds=0.5)
"""The same from one IPv6 network of 48 bits, which holds 65,536 of those and is one site's."""
PER_PAIR: Final = Rate(burst=10, seconds=30.0)
"""Attempts at one account from one address."""
PER_ACCOUNT: Final = Rate(burst=50, seconds=6.0)
"""Attempts at one account from anywhere: who is not its owner keeps the owner out only from many addresses."""
MAILS: Final = Rate(burst=5, seconds=600.0)
"""Mails that anybody may have sent to one address."""


@attrs.frozen
class Claims:
    """Finds the person that a message of nobody in particular is about. Proves nothing, and permits nothing."""

    units: Callable[[Subject], AbstractAsyncContextManager[PeopleUnit]]
    key: bytes = attrs.field(repr=False)
    access: Ed25519AccessTokens
    clock: Clock

    async def by_email(self, text: str) -> Subject:
        """Whose address this is; nobody, in the same time, if it is nobody's."""
        address = EmailAddress.parse(text)
        folded = address.unwrap().folded if isinstance(address, Success) else text
        async with self.units(ANONYMOUS) as unit:
            return _subject(await unit.users.look_up(self.lookup_key(folded)))

    async def by_secret(self, secret: str) -> Subject:
        """Whom a secret of ours names, if they have an account: others leave no trace under a made-up id."""
        named = _subject(owner_of(secret))
        async with self.units(named) as unit:
            return ANONYMOUS if await unit.users.find() is None else named

    def by_bearer(self, token: str) -> Subject:
        """Whom an access token is signed for, with their session, or whom an API token names."""
        if "." not in token:
            return _subject(owner_of(token))
        claims = self.access.read(token, self.clock.now())
        return ANONYMOUS if claims is None else Subject(claims.user_id, frozenset(), claims.session_id)

    def lookup_key(self, text: str) -> bytes:
        """What an address, or a short code, is kept and found as: it tells nothing of the text without our key."""
        return hmac.digest(self.key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


class Unproven:
    """Mixed into a message of somebody who has yet to prove who they are. It may hold a secret: none is kept."""

    __slots__ = ()
    permission: ClassVar[Permission] = PUBLIC
    resource_type: ClassVar[str] = "user"
    replayable: ClassVar[bool] = False
    changes_data: ClassVar[bool] = False

    async def claimant(self, claims: Claims, /) -> Subject:  # noqa: ARG002 - who registers is nobody so far
        """On whose rows it runs, nobody's at first. This permits nothing: the handler asks for what proves it."""
        return ANONYMOUS


@attrs.frozen
class Guessing:
    """The limits on guessing, for the message at hand."""

    limiter: RateLimiter
    claims: Claims
    origin: Origin

    async def check(
        self, what: str, whom: str, *, at_account: Rate = PER_ACCOUNT
    ) -> Result[None, IdentityRefused]:
        """Counts an attempt. `whom` is an address or a secret's owner as it was given, known here or not."""
        near, site = (network(self.origin.ip_address, bits) for bits in (64, 48))
        # In the form that mail servers read a domain in, and no longer than an address: normalizing takes time.
        named = unicodedata.normalize("NFKC", whom.strip()[:254]).casefold()
        key = f"{what}:{self.claims.lookup_key(named).hex()[:32]}"
        # Of IPv4 the first two are one, and the stricter counts.
        wanted = {f"{what}@{site}": PER_SITE, f"{what}@{near}": PER_ADDRESS, f"{key}@{near}": PER_PAIR}
        allowed = await self.limiter.take({**(wanted if near else {}), key: at_account})
        if not allowed.wait:
            return Success(None)
        seconds = max(1, round(allowed.wait + 0.5))
        why = f"too many attempts: wait {seconds} seconds before the next one"
        return refused(IdentityCode.TOO_MANY_ATTEMPTS, why, retry_after=seconds)


def network(address: str | None, of_six: int = 64) -> str:
    """What attempts from an address are counted under: whoever has one of IPv6 has 2**64, and often more."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    bits = of_six if parsed.version == 6 and mapped is None else 32  # noqa: PLR2004 - IPv6
    return str(ipaddress.ip_network((mapped or parsed, bits), strict=False))


def _subject(user_id: UserId | None) -> Subject:
    return ANONYMOUS if user_id is None else Subject(user_id, frozenset())
