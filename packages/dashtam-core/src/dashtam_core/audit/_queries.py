"""What an auditor asks of the trail. Looking at it leaves an entry too (PCI DSS 4.0, 10.2.1.3).

Everything is done while preparing, in transactions of the log's own: what reads a whole trail holds no transaction
open, and no connection.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import attrs

from dashtam_core.audit._checkpoint import (
    AuditCode,
    AuditRefused,
    Checkpoint,
    SignedCheckpoint,
    VerifierKey,
    open_checkpoint,
)
from dashtam_core.audit._entries import EntryId, RecordedEntry, instant_text
from dashtam_core.audit._export import write_export
from dashtam_core.audit._merkle import consistency_proof, inclusion_proof
from dashtam_core.audit._ports import AuditLog, EntryFilter, Leaf
from dashtam_core.audit._sealing import Sealing
from dashtam_core.audit._vault import PersonalVault
from dashtam_core.audit._verify import Verified, Verifier, log_records
from dashtam_core.kernel import Failure, Page, Permission, Result, Success, UnavailableError, map_success
from dashtam_core.messaging import Command, Notes, PreparedAnswer, Query

_log: Final = logging.getLogger(__name__)

AUDIT_READ: Final = Permission("audit:read")
MAX_ENTRIES: Final = 1000

_PATIENCE: Final = 50
_MOMENT_SECONDS: Final = 0.1


@attrs.frozen
class ReadableEntry:
    """An entry with what is personal about it, None where there is nothing or the person was erased.

    None as well where it is not what was sealed: the list goes on, and verifying the log names the entry.
    """

    entry: RecordedEntry
    personal: Mapping[str, Any] | None


@attrs.frozen
class InclusionProof:
    """That one entry is in the log of a checkpoint (RFC 9162, section 2.1.3), for whoever has the log's key."""

    leaf: Leaf
    proof: tuple[bytes, ...]
    checkpoint: SignedCheckpoint
    key: VerifierKey


@attrs.frozen
class LogState:
    """The latest checkpoint, the key it is verified with, and the proof that it continues an earlier one."""

    checkpoint: SignedCheckpoint
    key: VerifierKey
    proof: tuple[bytes, ...] = ()
    """RFC 9162, section 2.1.4; empty unless it was asked for."""


@attrs.frozen
class ListAuditEntries(Query[Page[ReadableEntry], AuditRefused]):
    """Entries of everybody, the latest first. `cursor` is the `next_cursor` of the page before."""

    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_trail"
    audited: ClassVar[bool] = True
    wanted: EntryFilter = attrs.field(factory=EntryFilter)
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class SealAuditLog(Command[LogState, AuditRefused]):
    """Seal what was recorded until now. Keep the checkpoint elsewhere: it convicts whoever changes the log later.

    With `since`, a checkpoint that was kept, the answer also proves that the log only grew from there.
    """

    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_trail"
    since: str | None = None


@attrs.frozen
class VerifyAuditLog(Query[Verified, AuditRefused]):
    """Whether the log still is what its checkpoints vouch for, and `published`, one that was kept elsewhere."""

    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_trail"
    audited: ClassVar[bool] = True
    published: str | None = None


@attrs.frozen
class ProveAuditEntry(Query[InclusionProof, AuditRefused]):
    """The proof that an entry is in the log."""

    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_entry"
    audited: ClassVar[bool] = True
    entry_id: EntryId

    @property
    def resource_id(self) -> str | None:
        return str(self.entry_id)


@attrs.frozen
class ExportAuditLog(Query[int, AuditRefused]):
    """Hands the whole log to `write`, line by line, to be verified without the store. Answers how many entries."""

    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_trail"
    audited: ClassVar[bool] = True
    write: Callable[[str], object]


@attrs.frozen
class ListAuditEntriesHandler(PreparedAnswer[ListAuditEntries, Page[ReadableEntry], AuditRefused]):
    log: AuditLog
    vault: PersonalVault

    async def prepare(self, query: ListAuditEntries, /) -> Result[Page[ReadableEntry], AuditRefused]:
        if not 1 <= query.limit <= MAX_ENTRIES:
            return _refused(
                AuditCode.QUERY_INVALID,
                f"a page has 1 to {MAX_ENTRIES} entries, not {query.limit}: ask for the rest by its cursor",
            )
        after = None if query.cursor is None else _position(query.cursor)
        if query.cursor is not None and after is None:
            return _refused(AuditCode.QUERY_INVALID, "this cursor is not one of this list: start without a cursor")
        found = await self.log.entries(query.wanted, after=after, limit=query.limit + 1)
        shown = found[: query.limit]
        more = _position_text(shown[-1]) if len(found) > query.limit else None
        return Success(Page([await self._readable(entry) for entry in shown], more))

    async def _readable(self, entry: RecordedEntry) -> ReadableEntry:
        if entry.personal is None:
            return ReadableEntry(entry, None)
        try:
            opened = await self.vault.open(entry.user_id, entry.personal)
        except ValueError:
            opened = None
        return ReadableEntry(entry, None if opened is None else json.loads(opened))


@attrs.frozen
class SealAuditLogHandler(PreparedAnswer[SealAuditLog, LogState, AuditRefused]):
    log: AuditLog
    sealing: Sealing

    async def prepare(self, command: SealAuditLog, /) -> Result[LogState, AuditRefused]:
        sealed = await _sealed(self.log, self.sealing)
        if isinstance(sealed, Failure):
            return sealed
        note, now, key = sealed.unwrap()
        if command.since is None:
            return Success(LogState(note, key))
        match open_checkpoint(command.since, key):
            case Failure() as failure:
                return failure
            case Success(earlier) if earlier.tree_size > now.tree_size:
                return _refused(
                    AuditCode.AUDIT_TAMPERED,
                    f"the log has {now.tree_size} entries, and {earlier.tree_size} when that checkpoint was made: "
                    "entries were taken out, or an older copy of the store is in place. "
                    "Keep the log as it is, and compare it with an export or a backup",
                )
            case Success(earlier):
                proof = consistency_proof(await self.log.leaf_hashes(now.tree_size), earlier.tree_size)
                return Success(LogState(note, key, proof))


@attrs.frozen
class VerifyAuditLogHandler(PreparedAnswer[VerifyAuditLog, Verified, AuditRefused]):
    log: AuditLog
    sealing: Sealing
    notes: Notes

    async def prepare(self, query: VerifyAuditLog, /) -> Result[Verified, AuditRefused]:
        sealed = await _sealed(self.log, self.sealing)
        if isinstance(sealed, Failure):
            return sealed
        _, now, key = sealed.unwrap()
        verifier = Verifier(key, published=query.published)
        checkpoints = [each for each in await self.log.checkpoints() if each[0] <= now.tree_size]
        async for record in log_records(self.log.leaves(size=now.tree_size), checkpoints):
            verifier.read(record)
            if verifier.failure is not None:
                break
        self.notes.context["tree_size"] = now.tree_size
        verdict = verifier.finish()
        return verdict if isinstance(verdict, Failure) else await self._whole(verdict)

    async def _whole(self, verdict: Success[Verified]) -> Result[Verified, AuditRefused]:
        """The verdict on the tree, unless there is an entry that is in no tree."""
        stray = await self.log.entries(EntryFilter(stray=True), after=None, limit=1)
        if not stray:
            return verdict
        return _refused(
            AuditCode.AUDIT_TAMPERED,
            f"the audit log was tampered with: the entry {stray[0].entry_id} is in no tree although sealing has "
            "gone past it, so it was put in. Keep the log as it is, and compare it with an export or a backup",
        )


@attrs.frozen
class ProveAuditEntryHandler(PreparedAnswer[ProveAuditEntry, InclusionProof, AuditRefused]):
    log: AuditLog
    sealing: Sealing

    async def prepare(self, query: ProveAuditEntry, /) -> Result[InclusionProof, AuditRefused]:
        sealed = await _sealed(self.log, self.sealing)
        if isinstance(sealed, Failure):
            return sealed
        note, now, key = sealed.unwrap()
        found = [leaf async for some in self.log.leaves(size=now.tree_size, only=query.entry_id) for leaf in some]
        if not found:
            return _refused(
                AuditCode.ENTRY_UNKNOWN,
                f"the log has no entry {query.entry_id}: copy its id from `dashtam audit list`",
            )
        hashes = await self.log.leaf_hashes(now.tree_size)
        return Success(InclusionProof(found[0], inclusion_proof(hashes, found[0].index), note, key))


@attrs.frozen
class ExportAuditLogHandler(PreparedAnswer[ExportAuditLog, int, AuditRefused]):
    log: AuditLog
    sealing: Sealing
    notes: Notes

    async def prepare(self, query: ExportAuditLog, /) -> Result[int, AuditRefused]:
        sealed = await _sealed(self.log, self.sealing)
        if isinstance(sealed, Failure):
            return sealed
        _, now, key = sealed.unwrap()
        checkpoints = [each for each in await self.log.checkpoints() if each[0] <= now.tree_size]
        async for line in write_export(log_records(self.log.leaves(size=now.tree_size), checkpoints), key):
            query.write(line + "\n")
        self.notes.context["tree_size"] = now.tree_size
        return Success(now.tree_size)


async def _sealed(
    log: AuditLog, sealing: Sealing
) -> Result[tuple[SignedCheckpoint, Checkpoint, VerifierKey], AuditRefused]:
    """The latest checkpoint, after everything recorded until now was sealed."""
    key = VerifierKey.of(sealing.signer)
    try:
        for _ in range(_PATIENCE):
            if await sealing.seal() is not None:
                break
            await asyncio.sleep(_MOMENT_SECONDS)  # another process seals right now
    except UnavailableError as error:
        if error.code is not AuditCode.AUDIT_TAMPERED:
            raise
        return _refused(AuditCode.AUDIT_TAMPERED, error.message)
    last = await log.checkpoints(last=True)
    if not last:
        return _refused(AuditCode.SEALING_BUSY, "another process seals the log right now: try again in a moment")
    _, note = last[0]
    return map_success(open_checkpoint(note, key), lambda checkpoint: (SignedCheckpoint(note), checkpoint, key))


def _position(cursor: str) -> tuple[datetime, EntryId] | None:
    instant, _, entry_id = cursor.partition("/")
    try:
        return datetime.fromisoformat(instant), EntryId(UUID(entry_id))
    except ValueError:
        return None


def _position_text(entry: RecordedEntry) -> str:
    return f"{instant_text(entry.recorded_at)}/{entry.entry_id}"


def _refused(code: AuditCode, message: str) -> Failure[AuditRefused]:
    return Failure(AuditRefused(code, message))


ROUTES: Final = (
    ListAuditEntries.prepared_by(ListAuditEntriesHandler),
    SealAuditLog.prepared_by(SealAuditLogHandler),
    VerifyAuditLog.prepared_by(VerifyAuditLogHandler),
    ProveAuditEntry.prepared_by(ProveAuditEntryHandler),
    ExportAuditLog.prepared_by(ExportAuditLogHandler),
)
