"""People who log in here, their credentials, limits and the root key, in memory."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from dashtam_core.identity import Allowance, Credential, CredentialId, CredentialKind, Rate, User, UserStatus
from dashtam_core.kernel import Clock, SystemClock, UserId

if TYPE_CHECKING:
    from dashtam_core.memory._store import MemoryUnit

_KEPT_FOR: Final = timedelta(days=1)
"""How long a person may stay unverified, and an expired credential be found."""
_ROOM: Final = 1_000


@attrs.define
class IdentityData:
    """Everything that is kept of people who log in here, and the root key."""

    users: dict[UserId, User] = attrs.field(factory=dict[UserId, User])
    addresses: dict[bytes, UserId] = attrs.field(factory=dict[bytes, UserId])
    credentials: dict[UserId, dict[CredentialId, Credential]] = attrs.field(
        factory=dict[UserId, dict[CredentialId, Credential]]
    )
    hashes: dict[tuple[CredentialKind, bytes], CredentialId] = attrs.field(
        factory=dict[tuple[CredentialKind, bytes], CredentialId]
    )
    wrappings: dict[str, bytes] = attrs.field(factory=dict[str, bytes])


@attrs.frozen
class MemoryUsers:
    unit: "MemoryUnit"

    async def find(self, *, alone: bool = False) -> User | None:  # noqa: ARG002 - units run one after another
        found = self.unit.store.identity.users.get(self.unit.acting)
        return found and attrs.evolve(found)

    async def add(self, user: User, /) -> None:
        assert user.user_id == self.unit.acting, "an account is the acting person's"
        added = self.unit.put(self.unit.store.identity.users, user.user_id, attrs.evolve(user))
        assert added, "a person has one account"

    async def change(self, user: User, /) -> None:
        kept = self.unit.store.identity.users.get(self.unit.acting)
        if kept is None or user.user_id != self.unit.acting:
            raise LookupError("an account that is changed is the acting person's")
        changed = attrs.evolve(user, created_at=kept.created_at)
        self.unit.replace(self.unit.store.identity.users, user.user_id, changed)

    async def look_up(self, address_key: bytes, /) -> UserId | None:
        return self.unit.store.identity.addresses.get(address_key)

    async def claim(self, address_key: bytes, /) -> bool:
        if await self.look_up(address_key) not in {None, self.unit.acting}:
            return False
        _drop_addresses(self.unit, self.unit.acting)
        return self.unit.put(self.unit.store.identity.addresses, address_key, self.unit.acting)

    async def page(self, *, after: UserId | None, limit: int) -> Sequence[User]:
        users = self.unit.store.identity.users
        ids = sorted(id_ for id_ in users if after is None or id_ > after)
        return [attrs.evolve(users[id_]) for id_ in ids[:limit]]

    @asynccontextmanager
    async def acting_for(self, user_id: UserId, /) -> AsyncGenerator[None]:
        before, self.unit.acting = self.unit.acting, user_id
        try:
            yield
        finally:
            self.unit.acting = before


@attrs.frozen
class MemoryCredentials:
    unit: "MemoryUnit"

    @property
    def _mine(self) -> dict[CredentialId, Credential]:
        return self.unit.store.identity.credentials.setdefault(self.unit.acting, {})

    async def add(self, credential: Credential, /) -> None:
        assert credential.user_id == self.unit.acting, "a credential is the acting person's"
        assert credential.session_id is None or credential.session_id in self._mine, "and so is its session"
        if credential.secret_hash is not None:
            known_by = credential.kind, credential.secret_hash
            new = self.unit.put(self.unit.store.identity.hashes, known_by, credential.credential_id)
            assert new, "256 random bits do not repeat"
        added = self.unit.put(self._mine, credential.credential_id, credential)
        assert added, "ids do not repeat"

    async def get(self, credential_id: CredentialId, /) -> Credential | None:
        return self._mine.get(credential_id)

    async def find(self, kind: CredentialKind, secret_hash: bytes, /) -> Credential | None:
        credential_id = self.unit.store.identity.hashes.get((kind, secret_hash))
        return None if credential_id is None else self._mine.get(credential_id)

    async def claim(
        self, kind: CredentialKind, secret_hash: bytes, at: datetime, data: str | None = None, /
    ) -> Credential | None:
        found = await self.find(kind, secret_hash)
        if found is None or found.used_at is not None or not found.good_at(at):
            return None
        used = attrs.evolve(found, used_at=at, data=found.data if data is None else data)
        self.unit.replace(self._mine, used.credential_id, used)
        return used

    async def change(self, credential: Credential, /) -> None:
        kept = self._mine.get(credential.credential_id)
        if kept is not None:
            said = {name: getattr(credential, name) for name in ("data", "used_at", "expires_at")}
            self.unit.replace(self._mine, kept.credential_id, attrs.evolve(kept, **said))

    async def list(self, kind: CredentialKind, /) -> Sequence[Credential]:
        found = [each for each in self._mine.values() if each.kind is kind]
        return sorted(found, key=lambda each: (each.created_at, each.credential_id))

    async def drop(self, kinds: Collection[CredentialKind], ids: Collection[CredentialId] | None = None, /) -> int:
        of = [each for each in self._mine.values() if each.kind in kinds]
        return _drop(self.unit, [each for each in of if ids is None or each.credential_id in ids])

    async def drop_everybodys(self, kinds: Collection[CredentialKind], /) -> int:
        everybodys = self.unit.store.identity.credentials.values()
        return _drop(self.unit, [each for table in everybodys for each in table.values() if each.kind in kinds])


class MemoryRateLimiter:
    """Counts for one process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self.until: dict[str, datetime] = {}
        """When each key has all its room again."""
        self._room = _ROOM

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        now = self._clock.now()
        self._clear(now)
        # Never later than after a whole burst: a clock that was set back locks nobody out.
        until = {
            key: max(now, min(self.until.get(key, now), now + _seconds(rate) * rate.burst))
            for key, rate in wanted.items()
        }
        waits = [until[key] - now - _seconds(rate) * (rate.burst - 1) for key, rate in wanted.items()]
        wait = max(waits, default=timedelta())
        if wait > timedelta():
            self.until |= {key: until[key] for key in wanted if key in self.until}
            return Allowance(wait.total_seconds())
        self.until |= {key: until[key] + _seconds(rate) for key, rate in wanted.items()}
        full_in = {key: (self.until[key] - now).total_seconds() for key in wanted}
        return Allowance.counted(wanted, full_in)

    def _clear(self, now: datetime) -> None:
        """Forgets what has no more to say, once there is twice as much as was left the last time."""
        if len(self.until) >= self._room:
            self.until = {key: until for key, until in self.until.items() if until > now}
            self._room = max(_ROOM, 2 * len(self.until))


@attrs.frozen
class MemoryRootKeys:
    kept: dict[str, bytes] = attrs.field(factory=dict[str, bytes])

    async def wrappings(self) -> Mapping[str, bytes]:
        return dict(self.kept)

    async def add(self, key_id: str, wrapped: bytes, /, *, beside: Collection[str]) -> bool:
        if set(self.kept) != set(beside) or key_id in self.kept:
            return False
        self.kept[key_id] = wrapped
        return True

    async def drop(self, key_id: str, /) -> None:
        if len(self.kept) > 1:
            self.kept.pop(key_id, None)


def forget(unit: "MemoryUnit", user_id: UserId) -> None:
    """Takes out a person's account, address and credentials."""
    if user_id in unit.store.identity.users:
        unit.drop(unit.store.identity.users, user_id)
    _drop_addresses(unit, user_id)
    _drop(unit, [*unit.store.identity.credentials.get(user_id, {}).values()])


def clear(unit: "MemoryUnit") -> None:
    """Takes out who has not verified an address for a day, and what expired a day ago."""
    before = unit.now() - _KEPT_FOR
    for user in [*unit.store.identity.users.values()]:
        if user.status is UserStatus.UNVERIFIED and user.created_at < before:
            forget(unit, user.user_id)
            if user.user_id in unit.store.people:
                unit.drop(unit.store.people, user.user_id)
    everybodys = [each for table in unit.store.identity.credentials.values() for each in table.values()]
    _drop(unit, [each for each in everybodys if each.expires_at is not None and each.expires_at < before])


def _drop(unit: "MemoryUnit", chosen: Sequence[Credential]) -> int:
    """Takes them out with what belongs to the sessions among them, which is not counted."""
    ended = {each.credential_id for each in chosen}
    for user_id in {each.user_id for each in chosen}:
        mine = unit.store.identity.credentials[user_id]
        for each in [*mine.values()]:
            if each.credential_id in ended or each.session_id in ended:
                unit.drop(mine, each.credential_id)
                if each.secret_hash is not None:
                    unit.drop(unit.store.identity.hashes, (each.kind, each.secret_hash))
    return sum(each.session_id not in ended for each in chosen)


def _drop_addresses(unit: "MemoryUnit", user_id: UserId) -> None:
    addresses = unit.store.identity.addresses
    for key in [key for key, owner in addresses.items() if owner == user_id]:
        unit.drop(addresses, key)


def _seconds(rate: Rate) -> timedelta:
    return timedelta(seconds=rate.seconds)
