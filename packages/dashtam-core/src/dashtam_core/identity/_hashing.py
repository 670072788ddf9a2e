"""Hashing passwords with Argon2id (RFC 9106) in threads of their own, with a queue that has an end."""

import asyncio
import os
import re
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from dashtam_core.audit import CryptographyMissingError
from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._passwords import password_bytes
from dashtam_core.kernel import UnavailableError

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

_ENCODED: Final = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,2},p=\d{1,2}\$[\w+/]{11,64}\$[\w+/]{22,86}", re.ASCII
)
_MISSING: Final = "passwords need the package argon2-cffi: pip install 'dashtam-core[crypto]'"
_DAMAGED: Final = "the stored hash of a password is damaged: restore it from a backup, or reset the password"
_BUSY: Final = "too many passwords are being checked: try again in a few seconds"
_SALT: Final = 16
_HASH: Final = 32


@attrs.frozen
class Verdict:
    ok: bool
    stale: bool
    """Whether it is ok and should be hashed anew, since its hash was made with other parameters."""


class PasswordHasher(Protocol):
    """Turns a password into what may be stored, and tells whether one is what was stored."""

    async def hash(self, password: str, /) -> str:
        """The PHC string to store; `UnavailableError` with HASHING_BUSY while too many wait."""
        ...

    async def verify(self, encoded: str | None, password: str, /) -> Verdict:
        """Whether this password was hashed to that. None, for nobody, takes the same time and is never ok.

        Raises as `hash` does, and `ValueError` for what is no hash of ours: it is damaged.
        """
        ...


@attrs.define(eq=False)
class Argon2Hasher:
    """Argon2id with the parameters that OWASP recommends. Cancelling who waits frees the place in the queue."""

    memory_kib: int = 19 * 1024
    time_cost: int = 2
    parallelism: int = 1
    threads: int = 2
    waiting: int = 32
    """How many passwords may wait for a thread, beyond those being hashed."""
    _asked: int = attrs.field(default=0, init=False)

    async def hash(self, password: str, /) -> str:
        return await self._run(lambda: self._argon2.hash(password_bytes(password)))

    async def verify(self, encoded: str | None, password: str, /) -> Verdict:
        plain = password_bytes(password)
        asked = encoded if encoded is not None and plain else self._decoy
        ok = await self._run(lambda: self._matches(asked, plain)) and asked is encoded
        return Verdict(ok, stale=ok and self._argon2.check_needs_rehash(asked))

    def close(self) -> None:
        """Ends the threads once what they hash is hashed; nothing new begins."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, "dashtam-hashing")

    @cached_property
    def _argon2(self) -> "Argon2":
        try:
            from argon2 import PasswordHasher as Argon2
        except ImportError as error:
            raise CryptographyMissingError(_MISSING) from error
        return Argon2(self.time_cost, self.memory_kib, self.parallelism, hash_len=_HASH, salt_len=_SALT)

    @cached_property
    def _decoy(self) -> str:
        """A hash that no password has, made without hashing any: the first to ask for it waits no longer."""
        salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (_SALT, _HASH))
        cost = f"m={self.memory_kib},t={self.time_cost},p={self.parallelism}"
        return f"$argon2id$v=19${cost}${salt}${digest}"

    def _matches(self, encoded: str, plain: bytes) -> bool:
        if _ENCODED.fullmatch(encoded) is None:
            raise ValueError(_DAMAGED)
        argon2 = self._argon2
        from argon2.exceptions import VerificationError, VerifyMismatchError

        try:
            return argon2.verify(encoded, plain)
        except VerifyMismatchError:
            return False
        except VerificationError as error:
            raise ValueError(_DAMAGED) from error

    async def _run[T](self, work: Callable[[], T]) -> T:
        if self._asked >= self.threads + self.waiting:
            raise UnavailableError(IdentityCode.HASHING_BUSY, _BUSY)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._asked -= 1
