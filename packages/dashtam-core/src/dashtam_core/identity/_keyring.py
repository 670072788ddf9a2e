"""Keys: everything secret hangs on one root key, which is kept wrapped by a key that can be replaced.

The root key never changes, for what is hashed with it must be found again. What opens it is the key-encryption key
of the deployment (NIST SP 800-57): to rotate that, the root key is wrapped once more, and nothing else is touched.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from dashtam_core.audit import CryptographyMissingError
from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._repositories import RootKeys
from dashtam_core.kernel import UnavailableCode, UnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIN_KEY_CHARACTERS: Final = 32
FORMER: Final = "former"
"""In place of a wrapping: the store was used when its key was the root key itself."""

_NONCE: Final = 12
_MISSING: Final = "a store that lasts needs the package cryptography: pip install 'dashtam-core[crypto]'"


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


async def open_root(keys: RootKeys, key: str) -> MasterKey:
    """The keyring over the root key that `key` opens. In a new store it is made, of random bytes.

    Of a store from before there were root keys it is `key` itself, until that is rotated.

    Raises:
        UnavailableError: the root key was wrapped by another key.
    """
    wrappings = await keys.wrappings()
    if FORMER in wrappings:
        return MasterKey(key.encode())
    if not wrappings:
        await keys.add(key_id(key), _wrapped(key, secrets.token_bytes(32)), beside=())
        wrappings = await keys.wrappings()  # somebody else may have been first
    return MasterKey(_unwrapped(key, wrappings))


async def rotate(keys: RootKeys, old: str, new: str) -> None:
    """Has the root key opened by `new` too. Both open it until `retire`, so that processes can change one by one.

    Raises:
        UnavailableError: `old` does not open it, or somebody else rotates now.
    """
    wrappings = await keys.wrappings()
    if FORMER in wrappings:
        await keys.add(key_id(old), _wrapped(old, old.encode()), beside=[*wrappings])
        await keys.drop(FORMER)
        wrappings = await keys.wrappings()
    root = _unwrapped(old, wrappings)
    if key_id(new) not in wrappings and not await keys.add(key_id(new), _wrapped(new, root), beside=[*wrappings]):
        why = "somebody else rotates the key at this moment: look at what they did, then try again"
        raise UnavailableError(IdentityCode.KEY_ROTATING, why)


async def retire(keys: RootKeys, key: str) -> int:
    """Leaves `key` as the only one that opens the root key; answers how many others did."""
    wrappings = await keys.wrappings()
    _unwrapped(key, wrappings)
    others = [each for each in wrappings if each != key_id(key)]
    for each in others:
        await keys.drop(each)
    return len(others)


def key_id(key: str) -> str:
    """What a key-encryption key is called: tells nothing of it."""
    return hashlib.sha256(b"dashtam/key/" + _wrapping_key(key)).hexdigest()[:16]


def _wrapping_key(key: str) -> bytes:
    return MasterKey(key.encode()).derive("root-key")


def _wrapped(key: str, root: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + _cipher(key).encrypt(nonce, root, b"dashtam/root")


def _unwrapped(key: str, wrappings: Mapping[str, bytes]) -> bytes:
    cipher, wrapped = _cipher(key), wrappings.get(key_id(key), b"")
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], b"dashtam/root")
    except (InvalidTag, ValueError):
        why = "DASHTAM_KEY is not the key that this store was opened with: set it to that one"
        raise UnavailableError(UnavailableCode.MASTER_KEY_WRONG, why) from None


def _cipher(key: str) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise CryptographyMissingError(_MISSING) from error
    return AESGCM(_wrapping_key(key))
