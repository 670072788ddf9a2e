"""Keys for hashing and signing, each derived from one master secret for one purpose."""

import hashlib
import hmac
from typing import Final, Protocol

import attrs

MIN_KEY_CHARACTERS: Final = 32


class Keyring(Protocol):
    def derive(self, purpose: str, /) -> bytes:
        """32 bytes that are always the same for this purpose and tell nothing of any other."""
        ...


@attrs.frozen
class MasterKey:
    """A keyring over one secret of at least 32 random bytes. Whoever loses it can no longer match accounts."""

    secret: bytes = attrs.field(repr=False, validator=attrs.validators.min_len(MIN_KEY_CHARACTERS))

    def derive(self, purpose: str, /) -> bytes:
        return hmac.digest(self.secret, b"dashtam/1/" + purpose.encode(), hashlib.sha256)
