"""Personal data in the audit trail, readable only while the person's key exists: who is erased is unreadable.

Each person has a random 256-bit key, kept wrapped by the master key (AES-256-GCM both). Encrypted data names its
key, and is bound to its person, so that nothing can be passed off as somebody else's.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID, uuid4

import attrs

from dashtam_core.audit._checkpoint import CryptographyMissingError
from dashtam_core.audit._ports import PersonKey, PersonKeys
from dashtam_core.kernel import Subject, UnavailableCode, UnavailableError, UserId

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12
_KEY_ID: Final = 16
_TAG: Final = 16
_CACHED: Final = 10_000
_CACHED_SECONDS: Final = 300.0
_NOT_SEALED: Final = (
    "personal data of {}, or the key to it, is not as it was sealed: somebody changed it, or "
    "DASHTAM_KEY is another than it was: set it to that one"
)


type Seal = Callable[[bytes], bytes]
"""Puts data of one person into a form that only `open` reads, and nobody once the person is erased."""


class PersonalVault(Protocol):
    """Where personal data of audit entries is readable, until its person is erased."""

    async def sealing(self, user_id: UserId, /, *, fresh: bool = False) -> Seal:
        """What seals data of this person. Takes the store where a key is to be found or made, so ask early.

        `fresh` takes it in any case, so that how long it lasts does not tell whether the person was here lately.
        """
        ...

    async def open(self, user_id: UserId, sealed: bytes, /) -> bytes | None:
        """What was sealed; None if the person has been erased since.

        Raises:
            ValueError: it is not what was sealed for this person, or the master key is not the one of then.
        """
        ...

    def forget(self, user_id: UserId, /) -> None:
        """Drop what is remembered of the person's key: it was destroyed."""
        ...


class KeyedUnit(Protocol):
    @property
    def person_keys(self) -> PersonKeys: ...


type Units = Callable[[Subject], AbstractAsyncContextManager[KeyedUnit]]


@attrs.frozen
class _Key:
    key_id: UUID
    cipher: "AESGCM"
    until: float


class KeyVault:
    """Encrypts with the keys in the store. A destroyed key is forgotten by other processes within five minutes."""

    def __init__(self, units: Units, key_encryption_key: bytes) -> None:
        self._units = units
        self._key_encryption_key = key_encryption_key
        self._keys: OrderedDict[UserId, _Key] = OrderedDict()

    @cached_property
    def _wrapping(self) -> "AESGCM":
        return _cipher(self._key_encryption_key)

    async def sealing(self, user_id: UserId, /, *, fresh: bool = False) -> Seal:
        key = (None if fresh else self._remembered(user_id)) or await self._stored(user_id)

        def seal(data: bytes) -> bytes:
            nonce = os.urandom(_NONCE)
            return key.key_id.bytes + nonce + key.cipher.encrypt(nonce, data, user_id.bytes)

        return seal

    async def open(self, user_id: UserId, sealed: bytes, /) -> bytes | None:
        if len(sealed) < _KEY_ID + _NONCE + _TAG:
            raise ValueError(_NOT_SEALED.format(user_id))
        key_id = UUID(bytes=sealed[:_KEY_ID])
        key = self._remembered(user_id)
        if key is None or key.key_id != key_id:
            async with self._units(_only(user_id)) as unit:
                stored = await unit.person_keys.find(key_id)
            if stored is None:
                return None
            key = self._remember(user_id, stored)
        return _decrypted(key.cipher, sealed[_KEY_ID:], user_id)

    def forget(self, user_id: UserId, /) -> None:
        self._keys.pop(user_id, None)

    async def _stored(self, user_id: UserId) -> _Key:
        async with self._units(_only(user_id)) as unit:
            stored = await unit.person_keys.current() or await unit.person_keys.add(self._new(user_id))
        try:
            return self._remember(user_id, stored)
        except ValueError as error:
            raise UnavailableError(UnavailableCode.MASTER_KEY_WRONG, str(error)) from error

    def _remembered(self, user_id: UserId) -> _Key | None:
        known = self._keys.get(user_id)
        return known if known is not None and time.monotonic() < known.until else None

    def _new(self, user_id: UserId) -> PersonKey:
        nonce = os.urandom(_NONCE)
        return PersonKey(uuid4(), nonce + self._wrapping.encrypt(nonce, os.urandom(32), user_id.bytes))

    def _remember(self, user_id: UserId, stored: PersonKey) -> _Key:
        cipher = _cipher(_decrypted(self._wrapping, stored.wrapped, user_id))
        key = self._keys[user_id] = _Key(stored.key_id, cipher, time.monotonic() + _CACHED_SECONDS)
        if len(self._keys) > _CACHED:
            self._keys.popitem(last=False)
        return key


def _decrypted(cipher: "AESGCM", sealed: bytes, user_id: UserId) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], user_id.bytes)
    except InvalidTag as error:
        raise ValueError(_NOT_SEALED.format(user_id)) from error


def _cipher(key: bytes) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise CryptographyMissingError(
            "audit entries with personal data need the package cryptography: pip install 'dashtam-core[crypto]'"
        ) from error
    return AESGCM(key)


def _only(user_id: UserId) -> Subject:
    return Subject(user_id, frozenset())
