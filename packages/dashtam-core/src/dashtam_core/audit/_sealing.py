"""Sealing: every entry gets its place in the tree, and the tree a signed checkpoint."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Final

import attrs

from dashtam_core.audit._checkpoint import Checkpoint, Signer, sign
from dashtam_core.audit._entries import AuditEntry, EntryId, Phase, RecordedEntry, leaf_hash
from dashtam_core.audit._merkle import Frontier
from dashtam_core.audit._ports import AuditLog, SealedBatch
from dashtam_core.audit._stages import LONGEST_SECONDS
from dashtam_core.kernel import Clock, new_id

BATCH: Final = 1000
"""Entries under one checkpoint, at most."""
LOST_AFTER: Final = timedelta(seconds=2 * LONGEST_SECONDS)
"""An attempt this old has no outcome any more: what runs for half as long cannot commit."""


@attrs.frozen
class Sealing:
    """Seals what was recorded, and closes attempts whose outcome nobody will hear of."""

    log: AuditLog
    make_signer: Callable[[], Signer]
    clock: Clock

    @cached_property
    def signer(self) -> Signer:
        """Who signs: made when it is first needed, for it takes the extra `crypto`."""
        return self.make_signer()

    async def seal(self) -> int | None:
        """Seals all there is to seal; answers how many entries, None if another process is at it."""
        total = 0
        while True:
            sealed = await self.log.seal(self._seal, limit=BATCH)
            if sealed is None:
                return total or None
            total += sealed
            if sealed < BATCH:
                return total

    async def sweep(self, lost_after: timedelta = LOST_AFTER) -> int:
        """Closes attempts older than `lost_after` as INDETERMINATE; answers how many."""
        return await self.log.sweep(self._lost, before=self.clock.now() - lost_after)

    def _seal(self, frontier: Frontier, entries: Sequence[RecordedEntry]) -> SealedBatch:
        grown = Frontier(frontier.size, frontier.peaks)
        hashes = [leaf_hash(entry) for entry in entries]
        for each in hashes:
            grown.append(each)
        checkpoint = Checkpoint(self.signer.name, grown.size, grown.root())
        return SealedBatch(hashes, grown, sign(checkpoint, self.signer))

    def _lost(self, attempt: RecordedEntry) -> AuditEntry:
        said = {field.name: getattr(attempt, field.name) for field in attrs.fields(AuditEntry)}
        said |= {"entry_id": EntryId(new_id()), "phase": Phase.INDETERMINATE, "occurred_at": self.clock.now()}
        return AuditEntry(**said)
