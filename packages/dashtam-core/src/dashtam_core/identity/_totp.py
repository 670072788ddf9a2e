"""Second factors: codes of an authenticator app (TOTP, RFC 6238) and recovery codes for when it is lost."""

import hashlib
import hmac
import secrets
from base64 import b32encode
from datetime import datetime
from typing import Final
from urllib.parse import quote

STEP_SECONDS: Final = 30
DIGITS: Final = 6
RECOVERY_CODES: Final = 10

_SECRET_BYTES: Final = 20
_WINDOW: Final = 1
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD: Final = str.maketrans("OIL", "011", " -")
_GROUPS: Final = 7


def new_secret() -> bytes:
    """160 random bits, as long as the hash they key (RFC 4226)."""
    return secrets.token_bytes(_SECRET_BYTES)


def provisioning_uri(secret: bytes, account: str, issuer: str) -> str:
    """What authenticator apps read as a QR code. It holds the secret: show it once, to its owner alone."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    return f"otpauth://totp/{label}?secret={b32encode(secret).decode()}&issuer={quote(issuer, safe='')}"


def matching_step(secret: bytes, code: str, now: datetime, after: int | None) -> int | None:
    """The time step whose code this is, up to one off; None if it is none, or of a step no later than `after`.

    Keep the answer and give it as `after` the next time: then no code is good twice.
    """
    present = int(now.timestamp()) // STEP_SECONDS
    given = normalized_code(code).encode("utf-8", "surrogatepass")
    steps = range(present - _WINDOW, present + _WINDOW + 1)
    found = [step for step in steps if hmac.compare_digest(_code(secret, step), given)]
    return next((step for step in reversed(found) if after is None or step > after), None)


def new_recovery_codes() -> list[str]:
    """Ten codes of 140 random bits each, in Crockford's base 32, which has no letters that look like digits."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]


def normalized_code(text: str) -> str:
    """A code as it is compared: without spaces and hyphens, in capitals, and O, I and L read as digits."""
    return text.upper().translate(_MISREAD)


def _group() -> str:
    return "".join(secrets.choice(_CROCKFORD) for _ in range(4))


def _code(secret: bytes, step: int) -> bytes:
    """The code of one time step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, signed=True), hashlib.sha1)
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return b"%0*d" % (DIGITS, number % 10**DIGITS)
