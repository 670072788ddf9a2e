"""Answers to queries, kept for a while in the form they are sent in, and never from before a person's last change.

Each person's answers are kept for one version of their data. A command takes the version away before its
transaction and gives a new one after it: meanwhile nothing is kept or served, and what an earlier read brings too
late is for a version that is gone. While the cache cannot be told of a change, the store answers its person.
"""

import asyncio
import hashlib
import math
import os
import random
import struct
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from dashtam_core.kernel import Failure, Success, UnavailableError, UserId
from dashtam_core.messaging._codec import dump
from dashtam_core.messaging._messages import Command, Query
from dashtam_core.messaging._pipeline import Answer, Call, Next

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEPT_SECONDS: Final = 60.0
"""The longest that an answer is kept; where a process was cut off or killed, also how long one may be outdated."""
_VERSION_SECONDS: Final = 86_400.0
_CHANGING_SECONDS: Final = 900.0
_CHANGING: Final = b"changing"
_MADE: Final = struct.Struct(">dd")
_NONCE: Final = 12
_VERSION: Final = 16
_LARGEST: Final = 256 * 1024
"""Bytes of an answer beyond which it is not kept."""


class Cache(Protocol):
    """Keeps bytes for a while, for all processes of a deployment. It may forget anything at any time.

    Every method raises `UnavailableError` where it does not answer, or takes nothing: whoever asks does without.
    """

    async def get(self, key: str, /) -> bytes | None:
        """What is kept under a key; None where nothing is, or no more."""
        ...

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        """`get` of each, in their order and at one moment."""
        ...

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        """Keep this for so long, in the place of what was there."""
        ...

    async def delete(self, *keys: str) -> None:
        """Forget what is kept under these keys."""
        ...


@attrs.frozen
class Rendering:
    """How an edge sends an answer: a name for the form, which changes with it, and what writes it."""

    name: str
    write: Callable[[Any], bytes]


@attrs.frozen
class _Kept:
    body: bytes
    seconds: float
    """What it took to make."""
    until: float

    @property
    def due(self) -> bool:
        """Whether to make it anew: the likelier the nearer its end, so that not all who ask do so at once."""
        ahead = -self.seconds * math.log(1.0 - random.random())  # noqa: S311 - spreads work, guards nothing
        return time.time() + ahead >= self.until


class QueryCache:
    """The stage before the transaction that answers from the cache what can be: queries that say `cached`.

    Only what an edge renders is kept, encrypted with `key` (32 bytes) and bound to its person and version. Without
    a cache everything comes from the store.
    """

    def __init__(self, cache: Cache | None = None, key: bytes = b"") -> None:
        self._cache = cache
        self._cipher = _cipher(key) if cache else None
        self._flights: dict[bytes, asyncio.Future[Answer | None]] = {}
        self._owed: dict[UserId, float] = {}
        """Of whom the cache could not be told, and when."""

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if isinstance(call.message, Command):
            changing = self._cache is not None and call.message.changes_data
            return await (self._change(call, proceed) if changing else proceed(call))
        cached = isinstance(call.message, Query) and call.message.cached and not call.message.audited
        if self._cache is None or call.render is None or not cached:
            return _rendered(await proceed(call), call.render)
        return await self._read(self._cache, call, call.render, proceed)

    async def changed(self, user_id: UserId, /) -> None:
        """A person's data is another now: nothing kept of it is served any more. Never fails."""
        await self._tell(user_id, os.urandom(_VERSION), _VERSION_SECONDS)

    async def _change(self, call: Call, proceed: Next) -> Answer:
        await self._tell(call.subject.user_id, _CHANGING, _CHANGING_SECONDS)
        try:
            return await proceed(call)
        finally:
            await self.changed(call.subject.user_id)

    async def _read(self, cache: Cache, call: Call, render: Rendering, proceed: Next) -> Answer:
        what = _digest(call, render)
        found = await self._find(cache, call.subject.user_id, what)
        if found is None:
            return _rendered(await proceed(call), render)
        version, kept = found
        while (flight := self._flights.get(version + what)) is not None:
            if kept is not None:
                return Success(kept.body)
            await asyncio.wait([flight])
            if not flight.cancelled():
                made = flight.result()
                return _rendered(await proceed(call), render) if made is None else made
        if kept is not None and not kept.due:
            return Success(kept.body)
        return await self._make(cache, call, render, proceed, version + what)

    async def _find(self, cache: Cache, user_id: UserId, what: bytes) -> tuple[bytes, _Kept | None] | None:
        """The version of a person's data and what is kept for it; None: ask the store, and keep nothing."""
        if self._is_owed(user_id) and not await self._tell(user_id, os.urandom(_VERSION), _VERSION_SECONDS):
            return None
        try:
            version, sealed = await cache.get_many([_version_key(user_id), _key(user_id, what)])
            while version is None and (begun := self._flights.get(user_id.bytes)) is not None:
                await asyncio.wait([begun])
                version, sealed = await cache.get_many([_version_key(user_id), _key(user_id, what)])
            if version is None:
                version = os.urandom(_VERSION)  # before the data is read, so that a change meanwhile takes it away
                with self._flight(user_id.bytes):
                    await cache.set(_version_key(user_id), version, seconds=_VERSION_SECONDS)
        except UnavailableError:
            return None
        return (version, self._opened(sealed, version + what)) if len(version) == _VERSION else None

    async def _make(self, cache: Cache, call: Call, render: Rendering, proceed: Next, wanted: bytes) -> Answer:
        """Asks the store once for all who ask the same meanwhile, and keeps what it says."""
        with self._flight(wanted) as flight:
            began = time.perf_counter()
            answer = _rendered(await proceed(call), render)
            flight.set_result(answer)
            took = time.perf_counter() - began
            left = KEPT_SECONDS - took  # for the data is as old as that
            if isinstance(answer, Success) and len(answer.unwrap()) <= _LARGEST and left > 0:
                sealed = self._sealed(_Kept(answer.unwrap(), took, time.time() + left), wanted)
                with suppress(UnavailableError):
                    await cache.set(_key(call.subject.user_id, wanted[_VERSION:]), sealed, seconds=left)
        return answer

    @contextmanager
    def _flight(self, wanted: bytes) -> Generator[asyncio.Future[Answer | None]]:
        """For those who want the same meanwhile: the answer, None without one; cancelled, another goes on."""
        flight = self._flights[wanted] = asyncio.get_running_loop().create_future()
        try:
            yield flight
        except asyncio.CancelledError:
            flight.cancel()
            raise
        finally:
            del self._flights[wanted]
            if not flight.done():
                flight.set_result(None)

    async def _tell(self, user_id: UserId, version: bytes, seconds: float) -> bool:
        """Whether the cache knows now."""
        if self._cache is None:
            return True
        owed, told = self._owed.get(user_id), False
        try:
            with suppress(UnavailableError):
                await self._cache.set(_version_key(user_id), version, seconds=seconds)
                told = True
        finally:  # whoever is cut off here does not know whether the cache does
            if not told:
                self._owe(user_id)
            elif self._owed.get(user_id) is owed:  # what failed meanwhile is of a later change
                self._owed.pop(user_id, None)
        return told

    def _owe(self, user_id: UserId) -> None:
        """Remembers that it could not be told of this person, until what was kept before now is gone by itself."""
        self._owed.pop(user_id, None)
        self._owed[user_id] = time.monotonic()
        while not self._is_owed(earliest := next(iter(self._owed))):
            del self._owed[earliest]

    def _is_owed(self, user_id: UserId) -> bool:
        return time.monotonic() - self._owed.get(user_id, -math.inf) <= KEPT_SECONDS

    def _sealed(self, kept: _Kept, bound_to: bytes) -> bytes:
        assert self._cipher is not None, "there is a cache"
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, _MADE.pack(kept.seconds, kept.until) + kept.body, bound_to)

    def _opened(self, sealed: bytes | None, bound_to: bytes) -> _Kept | None:
        """None also for what is of an earlier version, of somebody else, not from here, or past its time."""
        from cryptography.exceptions import InvalidTag

        assert self._cipher is not None, "there is a cache"
        try:
            made = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to) if sealed else b""
        except (InvalidTag, ValueError):
            return None
        kept = _Kept(made[_MADE.size :], *_MADE.unpack_from(made)) if made else None
        return kept if kept is not None and time.time() < kept.until else None


def _rendered(answer: Answer, render: Rendering | None) -> Answer:
    if render is None or isinstance(answer, Failure):
        return answer
    return Success(render.write(answer.unwrap()))


def _digest(call: Call, render: Rendering) -> bytes:
    said = f"{call.subject.user_id}/{call.message.action}/{render.name}/{dump(call.message)}"
    return hashlib.sha256(said.encode()).digest()


def _version_key(user_id: UserId) -> str:
    return f"v1/version/{user_id}"


def _key(user_id: UserId, what: bytes) -> str:
    return f"v1/answer/{user_id}/{what.hex()[:32]}"


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
