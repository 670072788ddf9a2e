"""The audit trail in memory."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import attrs

from dashtam_core import audit

if TYPE_CHECKING:
    from dashtam_core.memory._store import MemoryStore, MemoryUnit

_CHUNK = 1000


@attrs.define
class TrailData:
    """Everything the trail keeps, in the order it was recorded."""

    entries: list[audit.RecordedEntry] = attrs.field(factory=list[audit.RecordedEntry])
    leaf_hashes: list[bytes] = attrs.field(factory=list[bytes])
    checkpoints: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    frontier: audit.Frontier = attrs.field(factory=audit.Frontier)

    def append(self, entry: audit.AuditEntry, recorded_at: datetime) -> None:
        said: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
        said |= {"context": _kept(entry.context), "recorded_at": recorded_at}
        self.entries.append(audit.RecordedEntry(**said))


_FIELDS = tuple(field.name for field in attrs.fields(audit.AuditEntry))


@attrs.frozen
class MemoryAuditLog:
    store: "MemoryStore"

    @property
    def _data(self) -> TrailData:
        return self.store.trail

    async def record(self, entries: Sequence[audit.AuditEntry], /) -> None:
        for entry in entries:
            self._data.append(entry, self.store.clock.now())

    async def entries(
        self, wanted: audit.EntryFilter, /, *, after: tuple[datetime, audit.EntryId] | None, limit: int
    ) -> Sequence[audit.RecordedEntry]:
        found = [entry for entry in self._data.entries if _meets(entry, wanted)]
        found.sort(key=_order, reverse=True)
        return [entry for entry in found if after is None or _order(entry) < after][:limit]

    async def seal(self, sealer: audit.Sealer, /, *, limit: int) -> int | None:
        data = self._data
        start = len(data.leaf_hashes)
        entries = data.entries[start : start + limit]
        if entries:
            batch = sealer(data.frontier, entries)
            data.leaf_hashes.extend(batch.leaf_hashes)
            data.frontier = batch.frontier
            data.checkpoints.append((batch.frontier.size, batch.checkpoint))
        return len(entries)

    async def leaves(
        self, *, size: int, only: audit.EntryId | None = None
    ) -> AsyncGenerator[Sequence[audit.Leaf]]:
        for first in range(0, size, _CHUNK):
            chunk = [self._leaf(index) for index in range(first, min(first + _CHUNK, size))]
            yield [leaf for leaf in chunk if only in {None, leaf.entry_id}]

    async def leaf_hashes(self, size: int, /) -> Sequence[bytes]:
        return self._data.leaf_hashes[:size]

    async def checkpoints(self, *, last: bool = False) -> Sequence[tuple[int, str]]:
        return self._data.checkpoints[-1:] if last else list(self._data.checkpoints)

    async def sweep(self, close: Callable[[audit.RecordedEntry], audit.AuditEntry], /, *, before: datetime) -> int:
        ended = {entry.attempt_id for entry in self._data.entries if entry.phase.ends}
        opened = [
            entry for entry in self._data.entries if entry.attempt_id not in ended and entry.recorded_at < before
        ]
        await self.record([close(entry) for entry in opened])
        return len(opened)

    async def lag(self) -> audit.SealingLag:
        unsealed = self._data.entries[len(self._data.leaf_hashes) :]
        oldest = (self.store.clock.now() - unsealed[0].recorded_at).total_seconds() if unsealed else 0.0
        return audit.SealingLag(len(unsealed), oldest)

    def _leaf(self, index: int) -> audit.Leaf:
        entry = self._data.entries[index]
        return audit.Leaf(index, self._data.leaf_hashes[index], entry.entry_id, entry.recorded_at, entry)


@attrs.frozen
class MemoryPersonKeys:
    unit: "MemoryUnit"

    async def current(self) -> audit.PersonKey | None:
        return next(iter(self.unit.person.keys.values()), None)

    async def add(self, key: audit.PersonKey, /) -> audit.PersonKey:
        current = await self.current()
        if current is not None:
            return current
        self.unit.put(self.unit.person.keys, key.key_id, key)
        return key

    async def find(self, key_id: UUID, /) -> audit.PersonKey | None:
        return self.unit.person.keys.get(key_id)


def _kept(value: Any) -> Any:
    """A copy of what JSON knows, which nobody else can change."""
    if isinstance(value, Mapping):
        return {key: _kept(each) for key, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_kept(each) for each in cast("Sequence[Any]", value)]
    return value


def _order(entry: audit.RecordedEntry) -> tuple[datetime, audit.EntryId]:
    return entry.recorded_at, entry.entry_id


def _meets(entry: audit.RecordedEntry, wanted: audit.EntryFilter) -> bool:
    return (
        not wanted.stray  # here, every entry is sealed in its turn
        and wanted.user_id in {None, entry.user_id}
        and wanted.action in {None, entry.action}
        and wanted.phase in {None, entry.phase}
        and wanted.resource_id in {None, entry.resource_id}
        and (wanted.since is None or wanted.since <= entry.recorded_at)
        and (wanted.until is None or entry.recorded_at < wanted.until)
    )
