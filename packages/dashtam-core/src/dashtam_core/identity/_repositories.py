"""What identity asks of a store that keeps people: themselves, their credentials, limits, and the root key."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol

import attrs

from dashtam_core.identity._entities import Credential, CredentialId, CredentialKind, User
from dashtam_core.kernel import UserId


class Users(Protocol):
    """The acting person's account, and the way from an address to its person."""

    async def find(self, *, alone: bool = False) -> User | None:
        """The acting person's account. `alone`: no other unit that asks so goes on before this one has ended."""
        ...

    async def add(self, user: User, /) -> None:
        """Keep the account of the acting person, who has none."""
        ...

    async def change(self, user: User, /) -> None:
        """Keep everything of it but its id and `created_at` anew."""
        ...

    async def look_up(self, address_key: bytes, /) -> UserId | None:
        """Whose this address is, among all people. Keys are 32 bytes that tell nothing of the address."""
        ...

    async def claim(self, address_key: bytes, /) -> bool:
        """Make this address the acting person's only one; False, and nothing done, if it is somebody else's."""
        ...

    async def page(self, *, after: UserId | None, limit: int) -> Sequence[User]:
        """Everybody's accounts, in the order of their ids."""
        ...

    def acting_for(self, user_id: UserId, /) -> AbstractAsyncContextManager[None]:
        """While it lasts, the unit's `users` and `credentials` are this person's. For administrators."""
        ...


class Credentials(Protocol):
    """The acting person's credentials."""

    async def add(self, credential: Credential, /) -> None:
        """Keep a credential of the acting person."""
        ...

    async def get(self, credential_id: CredentialId, /) -> Credential | None:
        """The one with this id."""
        ...

    async def find(self, kind: CredentialKind, secret_hash: bytes, /) -> Credential | None:
        """The one of this kind with this hash."""
        ...

    async def claim(
        self, kind: CredentialKind, secret_hash: bytes, at: datetime, data: str | None = None, /
    ) -> Credential | None:
        """Use one that was not used and is good at `at`, and set its `data` if given: of several at once, one.

        Answers it as it is from now on; None if there is none to be used.
        """
        ...

    async def change(self, credential: Credential, /) -> None:
        """Keep `data`, `used_at` and `expires_at` of one that is there anew."""
        ...

    async def list(self, kind: CredentialKind, /) -> Sequence[Credential]:
        """All of this kind, in the order they were made."""
        ...

    async def drop(self, kinds: Collection[CredentialKind], ids: Collection[CredentialId] | None = None, /) -> int:
        """Delete those of these kinds, or only those with these ids, and all that belongs to a session among them.

        Answers how many were deleted, without what belonged to sessions.
        """
        ...

    async def drop_everybodys(self, kinds: Collection[CredentialKind], /) -> int:
        """`drop` for all people at once. For administrators."""
        ...


class PeopleUnit(Protocol):
    """What identity uses of a unit of work."""

    @property
    def users(self) -> Users: ...

    @property
    def credentials(self) -> Credentials: ...


_ROUNDING: Final = 1e-6


@attrs.frozen
class Rate:
    """So many at once, and after that one each `seconds`."""

    burst: int
    seconds: float


@attrs.frozen
class Allowance:
    """Whether something may happen now, and how often more. Times are in seconds."""

    wait: float
    """Until it may; 0.0: it may now, and was counted."""
    left: int = 0
    """How often more at once, by the key with the least room."""
    full_in: float = 0.0
    """Until that key has all its room again."""

    @classmethod
    def counted(cls, rates: Mapping[str, Rate], full_in: Mapping[str, float], /) -> "Allowance":
        """What is left of each key that was counted, from when it has all its room again."""
        room = {
            key: (max(0, int(rate.burst - full_in[key] / rate.seconds + _ROUNDING)), full_in[key])
            for key, rate in rates.items()
        }
        return cls(0.0, *min(room.values(), default=(0, 0.0)))


class RateLimiter(Protocol):
    """Counts what may happen only so often, for all processes of a deployment together."""

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        """Count one for each key, if all of them have room; else count none, and say when all may have.

        By the generic cell rate algorithm (ITU-T I.371). Of many at once no more get in than one by one.
        """
        ...


class RootKeys(Protocol):
    """The root key of the store, wrapped by one key-encryption key or, while that is replaced, by two."""

    async def wrappings(self) -> Mapping[str, bytes]:
        """What is kept, by the id of the key that opens it."""
        ...

    async def add(self, key_id: str, wrapped: bytes, /, *, beside: Collection[str]) -> bool:
        """Keep one more wrapping if those kept so far are just `beside`; of several at once, one."""
        ...

    async def drop(self, key_id: str, /) -> None:
        """Delete a wrapping, unless it is the only one."""
        ...
