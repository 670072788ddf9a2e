"""Verification: that the log still is what was signed, leaf by leaf, in memory that does not grow with it."""

import hashlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import attrs

from dashtam_core.audit._checkpoint import AuditCode, AuditRefused, Checkpoint, VerifierKey, open_checkpoint
from dashtam_core.audit._entries import EntryId, Json, Phase, RecordedEntry, leaf_hash
from dashtam_core.audit._merkle import HASH_SIZE, Frontier
from dashtam_core.audit._ports import Leaf
from dashtam_core.kernel import Failure, Result, Success

if TYPE_CHECKING:
    from hashlib import _Hash

RETIRE_ACTION: Final = "retire_audit_entries"
"""The action whose SUCCEEDED entry allows earlier entries to be missing.

Its context holds `before`, an RFC 3339 instant: what was recorded before it may be missing. With `digest` as well,
the SHA-256 of the leaf hashes of all entries that are missing, those retired earlier too, in the tree's order and
as lower-case hexadecimal digits, no others may be: a leaf's time is in no hash, so who forges it could hide more.
"""


@attrs.frozen
class Verified:
    """A log that is what its last checkpoint vouches for."""

    entries: int
    """How many are there and unchanged."""
    retired: int
    """How many are gone, as the log itself says."""
    tree_size: int
    """All of them."""
    root: bytes


class Verifier:
    """Finds what was changed in a log: reads it in the tree's order, each checkpoint after the leaves it counts.

    Everything has to be under a checkpoint signed with the key. `published` is a checkpoint kept elsewhere:
    without it, nobody can tell that the end was cut off together with its checkpoints, or that the key's owner has
    signed another history. Nothing is read after the first failure.
    """

    def __init__(self, key: VerifierKey, *, published: str | None = None) -> None:
        self._key = key
        self._frontier = Frontier()
        self._sealed = 0
        self._entries = 0
        self._previous: EntryId | None = None
        self._missing = _Missing()
        self._published: Checkpoint | None = None
        self.failure: AuditRefused | None = None
        """The first thing found wrong so far."""
        if published is not None:
            self._publish(published)

    def read(self, record: Leaf | str, /) -> None:
        """Take the next leaf, or signed checkpoint."""
        if self.failure is None:
            self.failure = self._leaf(record) if isinstance(record, Leaf) else self._checkpoint(record)

    def finish(self) -> Result[Verified, AuditRefused]:
        """The verdict, once all was read."""
        failure = self.failure or self._end()
        if failure is not None:
            return Failure(failure)
        return Success(Verified(self._entries, self._missing.count, self._frontier.size, self._frontier.root()))

    def _publish(self, text: str) -> None:
        match open_checkpoint(text, self._key):
            case Failure(error):
                self.failure = error
            case Success(checkpoint):
                self._published = checkpoint
                self.failure = self._against_published()

    def _leaf(self, leaf: Leaf) -> AuditRefused | None:
        index = self._frontier.size
        if leaf.index != index:
            why = "is missing" if leaf.index > index else "is out of order"
            return tampered(f"entry {index} {why}: the leaf in its place has index {leaf.index}")
        if len(leaf.leaf_hash) != HASH_SIZE:
            return tampered(f"the hash of entry {index} ({leaf.entry_id}) is cut short or padded")
        if leaf.entry is None:
            self._missing.add(leaf)
        elif changed := self._changed(leaf, leaf.entry):
            return tampered(f"entry {index} ({leaf.entry_id}) {changed}")
        self._frontier.append(leaf.leaf_hash)
        return self._against_published()

    def _changed(self, leaf: Leaf, entry: RecordedEntry) -> str | None:
        try:
            computed = leaf_hash(entry)
        except ValueError as error:
            return f"holds what no entry can: {error}"
        if computed != leaf.leaf_hash:
            return "was changed: it does not have the hash that was sealed"
        if (entry.entry_id, entry.recorded_at) != (leaf.entry_id, leaf.recorded_at):
            return f"was filed as another: it is {entry.entry_id} of {entry.recorded_at}"
        if entry.entry_id == self._previous:
            return "is there twice"
        self._previous = entry.entry_id
        self._entries += 1
        if entry.action == RETIRE_ACTION and entry.phase is Phase.SUCCEEDED:
            self._missing.retire(entry)
        return None

    def _checkpoint(self, text: str) -> AuditRefused | None:
        size = self._frontier.size
        match open_checkpoint(text, self._key):
            case Failure(error):
                return tampered(f"the checkpoint after {size} entries is not the log's own: {error.message}")
            case Success(checkpoint) if checkpoint.tree_size > size:
                return _cut_off(size, checkpoint, "a checkpoint")
            case Success(checkpoint) if checkpoint.tree_size < size:
                return tampered(
                    f"a checkpoint over {checkpoint.tree_size} entries comes after {size}: "
                    f"entries were put in, or checkpoints out of order"
                )
            case Success(checkpoint) if checkpoint.root != self._frontier.root():
                return tampered(
                    f"one of the entries {self._sealed} to {size - 1} is not what was sealed, or was put in or "
                    f"taken out: the checkpoint over {size} entries vouches for others"
                )
            case _:
                self._sealed = size
                return None

    def _against_published(self) -> AuditRefused | None:
        published, grown = self._published, self._frontier
        if published is None or published.tree_size != grown.size or published.root == grown.root():
            return None
        return tampered(
            f"one of the first {published.tree_size} entries is not what the published checkpoint vouches for, "
            "although the log's own checkpoints agree with it: the log was written anew"
        )

    def _end(self) -> AuditRefused | None:
        size = self._frontier.size
        if size > self._sealed:
            return tampered(f"the entries {self._sealed} to {size - 1} are under no signed checkpoint")
        if self._published is not None and self._published.tree_size > size:
            return _cut_off(size, self._published, "the published checkpoint")
        return self._missing.verdict()


@attrs.define
class _Missing:
    """The leaves whose entry is gone, and whether the log says why."""

    count: int = 0
    newest: Leaf | None = None
    """Of those that no retirement speaks for yet, the one recorded last: who speaks for it speaks for all."""
    strays: bool = False
    digest: "_Hash" = attrs.field(factory=hashlib.sha256)

    def add(self, leaf: Leaf) -> None:
        self.count += 1
        self.digest.update(leaf.leaf_hash)
        if self.newest is None or leaf.recorded_at > self.newest.recorded_at:
            self.newest = leaf

    def retire(self, entry: RecordedEntry) -> None:
        before = _instant(entry.context.get("before"))
        if before is None:
            return
        if self.newest is not None and self.newest.recorded_at < before:
            self.newest = None
        digest = entry.context.get("digest")
        self.strays = digest is not None and digest != self.digest.hexdigest()

    def verdict(self) -> AuditRefused | None:
        if self.newest is not None:
            which = f"entry {self.newest.index} ({self.newest.entry_id})"
            return tampered(f"{which} is missing, and no later entry says that it was retired")
        if self.strays:
            return tampered(f"the {self.count} entries that are gone are not those that were retired")
        return None


async def log_records(
    leaves: AsyncIterable[Sequence[Leaf]], checkpoints: Iterable[tuple[int, str]], /
) -> AsyncIterator[Leaf | str]:
    """What a verifier reads: the leaves in the tree's order, each signed checkpoint after as many as its size."""
    waiting = deque(sorted(checkpoints))
    async for some in leaves:
        for leaf in some:
            while waiting and waiting[0][0] <= leaf.index:
                yield waiting.popleft()[1]
            yield leaf
    for _, checkpoint in waiting:
        yield checkpoint


def _cut_off(size: int, checkpoint: Checkpoint, which: str) -> AuditRefused:
    whole = checkpoint.tree_size
    return tampered(f"{whole - size} entries are missing from {size} on: {which} counts {whole}")


def tampered(what: str) -> AuditRefused:
    return AuditRefused(
        AuditCode.AUDIT_TAMPERED,
        f"the audit log was tampered with: {what}. "
        "Keep the log as it is, and compare it with an export or a backup",
    )


def _instant(value: Json) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if instant.utcoffset() is None else instant
