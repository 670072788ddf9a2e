"""What the audit trail asks of a store."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs

from dashtam_core import messaging
from dashtam_core.audit._entries import AuditEntry, EntryId, Phase, RecordedEntry
from dashtam_core.audit._merkle import Frontier
from dashtam_core.kernel import UserId


class AuditTrail(Protocol):
    """The entries of one unit of work."""

    def add(self, entry: AuditEntry, /) -> None:
        """Hand over an entry, to be written in the unit's transaction at its end."""
        ...


class AuditedUnit(messaging.UnitOfWork, Protocol):
    """A unit of work whose transaction carries audit entries."""

    @property
    def trail(self) -> AuditTrail: ...


@attrs.frozen(kw_only=True)
class EntryFilter:
    """Which entries are wanted; None takes all. Recorded from `since` on, and before `until`."""

    user_id: UserId | None = None
    action: str | None = None
    phase: Phase | None = None
    resource_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    stray: bool = False
    """Only entries that have no leaf and that sealing has gone past: put in by somebody else."""


@attrs.frozen
class Leaf:
    """One entry's place in the tree, and the entry unless it was retired."""

    index: int
    leaf_hash: bytes
    entry_id: EntryId
    recorded_at: datetime
    entry: RecordedEntry | None


@attrs.frozen
class SealedBatch:
    """Hashes for entries in the order they were given, the tree with them, and the checkpoint over it."""

    leaf_hashes: Sequence[bytes]
    frontier: Frontier
    checkpoint: str


type Sealer = Callable[[Frontier, Sequence[RecordedEntry]], SealedBatch]


@attrs.frozen
class SealingLag:
    """Entries that no checkpoint covers yet, and how old the oldest of them is."""

    unsealed: int
    oldest_seconds: float


class AuditLog(Protocol):
    """The whole trail, of all people, in transactions of its own. Nothing in it can be changed or taken out."""

    async def record(self, entries: Sequence[AuditEntry], /) -> None:
        """Append entries; committed when this returns."""
        ...

    async def entries(
        self, wanted: EntryFilter, /, *, after: tuple[datetime, EntryId] | None, limit: int
    ) -> Sequence[RecordedEntry]:
        """Entries by the store's clock, the latest first; `after` is the last of the page before."""
        ...

    async def seal(self, sealer: Sealer, /, *, limit: int) -> int | None:
        """Gives `sealer` up to `limit` entries that have no leaf yet, in the tree's order, and keeps its answer.

        One at a time, in all processes together. Answers how many were sealed; None if somebody else is at it.
        Entries of a unit that is still open are left for later, or waited for by a store that has one writer.
        `sealer` may be called in another thread. Raises `UnavailableError` with the code `audit_tampered` where a
        leaf stands that no checkpoint covers.
        """
        ...

    def leaves(self, *, size: int, only: EntryId | None = None) -> AsyncIterator[Sequence[Leaf]]:
        """The first `size` leaves in the tree's order, some at a time; or of those only the one of an entry."""
        ...

    async def leaf_hashes(self, size: int, /) -> Sequence[bytes]:
        """The first `size` leaves' hashes."""
        ...

    async def checkpoints(self, *, last: bool = False) -> Sequence[tuple[int, str]]:
        """Each signed checkpoint by its size, in order; or only the last."""
        ...

    async def sweep(self, close: Callable[[RecordedEntry], AuditEntry], /, *, before: datetime) -> int:
        """Appends what `close` makes of each attempt recorded before `before` that has no outcome."""
        ...

    async def lag(self) -> SealingLag: ...


@attrs.frozen
class PersonKey:
    """A key of one person, wrapped by the master key."""

    key_id: UUID
    wrapped: bytes = attrs.field(repr=False)


class PersonKeys(Protocol):
    """The keys of the acting subject, in one unit of work. Erasing the person destroys them."""

    async def current(self) -> PersonKey | None:
        """The key that new data is encrypted with, if there is one yet."""
        ...

    async def add(self, key: PersonKey, /) -> PersonKey:
        """Keep the person's first key; answers the one that counts, which may be another's who came first."""
        ...

    async def find(self, key_id: UUID, /) -> PersonKey | None:
        """This key, unless it was destroyed."""
        ...
