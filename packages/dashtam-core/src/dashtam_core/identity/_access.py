"""Access tokens: JWTs signed with Ed25519 (RFC 7519, 8037, 9068), that a process reads without asking the store.

The keys are derived from the keyring, one for each 30 days, so that there is none to store, to hand to other
processes or to lose: all who have the master key have them, and whoever loses it has worse to mend. A token is
accepted if it is, byte for byte, what `issue` would have written: no header is believed, no claim is optional.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Final
from uuid import UUID

import attrs

from dashtam_core.audit import CryptographyMissingError
from dashtam_core.kernel import UserId, new_id

ACCESS_SECONDS: Final = 600
"""How long a token is good for."""

_SKEW_SECONDS: Final = 5
_PERIOD_SECONDS: Final = 30 * 24 * 60 * 60
_MAX_CHARACTERS: Final = 2_048
_REMEMBERED: Final = 4_096
_MISSING: Final = "access tokens need the packages PyJWT and cryptography: pip install 'dashtam-core[crypto]'"
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{85}[AQgw]")


@attrs.frozen
class AccessClaims:
    """Who logged in, and in which session."""

    user_id: UserId
    session_id: UUID


@attrs.frozen
class _Key:
    header: str
    """The first part of every token it signs."""
    signed: Callable[[bytes], str] = attrs.field(repr=False)
    verified: Callable[[str], bytes]


@attrs.frozen
class Ed25519AccessTokens:
    """Tokens of one deployment, whose keyring's `derive` it is; `issuer` and `audience` are in each of them.

    Machines' clocks may differ by five seconds. A key lives as long as a token signed with it may.
    """

    derive: Callable[[str], bytes] = attrs.field(repr=False)
    issuer: str
    audience: str
    _keys: dict[int, _Key] = attrs.field(factory=dict[int, _Key], init=False, repr=False, eq=False)

    def issue(self, user_id: UserId, session_id: UUID, now: datetime, /) -> str:
        """A token for this session, good for `ACCESS_SECONDS`."""
        issued_at = int(now.timestamp())
        payload = self._payload(AccessClaims(user_id, session_id), issued_at, str(new_id()))
        return self._key(issued_at).signed(payload)

    def read(self, token: str, now: datetime, /) -> AccessClaims | None:
        """What a token of ours says; None for any other text, and for one that is no longer good."""
        form = _FORM.fullmatch(token) if len(token) <= _MAX_CHARACTERS else None
        live = [self._key(now.timestamp() + each) for each in (_SKEW_SECONDS, -ACCESS_SECONDS)]
        key = next((key for key in live if form and key.header == form[1]), None)
        if form is None or key is None:
            return None
        from jwt import InvalidTokenError

        try:
            payload = key.verified(token)
        except InvalidTokenError:
            return None
        return self._claims(payload, key, now.timestamp()) if _base64(payload) == form[2] else None

    def _claims(self, payload: bytes, key: _Key, now: float) -> AccessClaims | None:
        """What a payload that this key signed says, if it is good now and is what we write."""
        try:
            said = json.loads(payload)
            claims = AccessClaims(UserId(UUID(said["sub"])), UUID(said["sid"]))
            issued_at = int(said["iat"])
            written = self._payload(claims, issued_at, str(said["jti"]))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return None
        good = issued_at - _SKEW_SECONDS <= now < issued_at + ACCESS_SECONDS and self._key(issued_at) is key
        return claims if good and written == payload else None

    def _payload(self, claims: AccessClaims, issued_at: int, token_id: str) -> bytes:
        who = {"iss": self.issuer, "aud": self.audience, "sub": str(claims.user_id), "sid": str(claims.session_id)}
        when = {"iat": issued_at, "nbf": issued_at, "exp": issued_at + ACCESS_SECONDS}
        return json.dumps({**who, **when, "jti": token_id}, separators=(",", ":")).encode()

    def _key(self, at: float) -> _Key:
        """The key of the period that a time is in."""
        period = int(at // _PERIOD_SECONDS)
        if period not in self._keys:
            self._keys[period] = _key_of(self.derive(f"access-token/{period}"))
        return self._keys[period]


def _key_of(seed: bytes) -> _Key:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from jwt import PyJWS
    except ImportError as error:
        raise CryptographyMissingError(_MISSING) from error
    private, jws = Ed25519PrivateKey.from_private_bytes(seed), PyJWS(["EdDSA"])
    public = private.public_key()
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64(public.public_bytes_raw())}"}}'
    header = {"typ": "at+jwt", "kid": _base64(hashlib.sha256(jwk.encode()).digest())}
    signed = partial(jws.encode, key=private, algorithm="EdDSA", headers=header)
    # A token comes with each request of its ten minutes: its signature is looked at once, its time each time.
    verified = lru_cache(_REMEMBERED)(partial(jws.decode, key=public, algorithms=["EdDSA"]))
    return _Key(signed(b"").partition(".")[0], signed, verified)


def _base64(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return urlsafe_b64encode(data).decode().rstrip("=")
