"""What an auditor asks of the trail. Looking at it leaves an entry too (PCI DSS 4.0, 10.2.1.3).

Everything is done while preparing, in transactions of the log's own: what reads a whole trail holds no transaction
open, and no connection.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import attrs

from dashtam_core.audit._checkpoint import (
    AuditCode,
    AuditRefused,
    SignedCheckpoint,
    VerifierKey,
    open_checkpoint,
    refused,
)
from dashtam_core.audit._entries import EntryId, RecordedEntry, instant_text
from dashtam_core.audit._export import write_export
from dashtam_core.audit._merkle import consistency_proof, inclusion_proof
from dashtam_core.audit._ports import AuditLog, EntryFilter, Leaf
from dashtam_core.audit._sealing import Sealing
from dashtam_core.audit._vault import PersonalVault
from dashtam_core.audit._verify import Verified, Verifier, log_records, tampered
from dashtam_core.kernel import Failure, Page, Permission, Result, Success, UnavailableError
from dashtam_core.messaging import Command, Notes, PreparedAnswer, Query

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


class _OfTheTrail:
    """What holds of everything that is asked of the trail."""

    __slots__ = ()
    permission: ClassVar[Permission] = AUDIT_READ
    resource_type: ClassVar[str] = "audit_trail"
    audited: ClassVar[bool] = True


@attrs.frozen
class ListAuditEntries(_OfTheTrail, Query[Page[ReadableEntry], AuditRefused]):
    """Entries of everybody, the latest first. `cursor` is the `next_cursor` of the page before."""

    wanted: EntryFilter = attrs.field(factory=EntryFilter)
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class SealAuditLog(_OfTheTrail, Command[LogState, AuditRefused]):
    """Seal what was recorded until now. Keep the checkpoint elsewhere: it convicts whoever changes the log later.

    With `since`, a checkpoint that was kept, the answer also proves that the log only grew from there.
    """

    since: str | None = None


@attrs.frozen
class VerifyAuditLog(_OfTheTrail, Query[Verified, AuditRefused]):
    """Whether the log still is what its checkpoints vouch for, and `published`, one that was kept elsewhere."""

    published: str | None = None


@attrs.frozen
class ProveAuditEntry(_OfTheTrail, Query[InclusionProof, AuditRefused]):
    """The proof that an entry is in the log."""

    resource_type: ClassVar[str] = "audit_entry"
    resource_field: ClassVar[str] = "entry_id"
    entry_id: EntryId


@attrs.frozen
class ExportAuditLog(_OfTheTrail, Query[int, AuditRefused]):
    """Hands the whole log to `write`, line by line, to be verified without the store. Answers how many entries."""

    write: Callable[[str], object]


@attrs.frozen
class ListAuditEntriesHandler(PreparedAnswer[ListAuditEntries, Page[ReadableEntry], AuditRefused]):
    log: AuditLog
    vault: PersonalVault

    async def prepare(self, query: ListAuditEntries, /) -> Result[Page[ReadableEntry], AuditRefused]:
        if not 1 <= query.limit <= MAX_ENTRIES:
            return refused(
                AuditCode.QUERY_INVALID,
                f"a page has 1 to {MAX_ENTRIES} entries, not {query.limit}: ask for the rest by its cursor",
            )
        after = None if query.cursor is None else _position(query.cursor)
        if query.cursor is not None and after is None:
            return refused(AuditCode.QUERY_INVALID, "this cursor is not one of this list: start without a cursor")
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
class _OnceSealed[M, A](PreparedAnswer[M, A, AuditRefused], ABC):
    """Answers about the log as it is once everything recorded until now was sealed."""

    log: AuditLog
    sealing: Sealing

    @abstractmethod
    async def answer(self, message: M, state: LogState, size: int, /) -> Result[A, AuditRefused]:
        """The answer, of the first `size` entries: those that the checkpoint of `state` counts."""

    async def prepare(self, message: M, /) -> Result[A, AuditRefused]:
        key = VerifierKey.of(self.sealing.signer)
        try:
            await self._seal()
        except UnavailableError as error:
            if error.code is not AuditCode.AUDIT_TAMPERED:
                raise
            return refused(AuditCode.AUDIT_TAMPERED, error.message)
        last = await self.log.checkpoints(last=True)
        if not last:
            return refused(
                AuditCode.SEALING_BUSY, "another process seals the log right now: try again in a moment"
            )
        state = LogState(SignedCheckpoint(last[0][1]), key)
        match open_checkpoint(state.checkpoint, key):
            case Failure() as failure:
                return failure
            case Success(checkpoint):
                return await self.answer(message, state, checkpoint.tree_size)

    async def records(self, size: int) -> AsyncIterator[Leaf | str]:
        """The first `size` leaves and the checkpoints over them, as a verifier reads them."""
        checkpoints = [each for each in await self.log.checkpoints() if each[0] <= size]
        return log_records(self.log.leaves(size=size), checkpoints)

    async def _seal(self) -> None:
        for _ in range(_PATIENCE):
            if await self.sealing.seal() is not None:
                return
            await asyncio.sleep(_MOMENT_SECONDS)  # another process seals right now


@attrs.frozen
class SealAuditLogHandler(_OnceSealed[SealAuditLog, LogState]):
    async def answer(self, command: SealAuditLog, state: LogState, size: int, /) -> Result[LogState, AuditRefused]:
        if command.since is None:
            return Success(state)
        match open_checkpoint(command.since, state.key):
            case Failure() as failure:
                return failure
            case Success(earlier) if earlier.tree_size > size:
                return refused(
                    AuditCode.AUDIT_TAMPERED,
                    f"the log has {size} entries, and {earlier.tree_size} when that checkpoint was made: "
                    "entries were taken out, or an older copy of the store is in place. "
                    "Keep the log as it is, and compare it with an export or a backup",
                )
            case Success(earlier):
                proof = consistency_proof(await self.log.leaf_hashes(size), earlier.tree_size)
                return Success(attrs.evolve(state, proof=proof))


@attrs.frozen
class VerifyAuditLogHandler(_OnceSealed[VerifyAuditLog, Verified]):
    notes: Notes

    async def answer(self, query: VerifyAuditLog, state: LogState, size: int, /) -> Result[Verified, AuditRefused]:
        verifier = Verifier(state.key, published=query.published)
        async for record in await self.records(size):
            verifier.read(record)
            if verifier.failure is not None:
                break
        self.notes.context["tree_size"] = size
        verdict = verifier.finish()
        if isinstance(verdict, Failure):
            return verdict
        stray = await self.log.entries(EntryFilter(stray=True), after=None, limit=1)
        if not stray:
            return verdict
        put_in = f"the entry {stray[0].entry_id} is in no tree although sealing has gone past it, so it was put in"
        return Failure(tampered(put_in))


@attrs.frozen
class ProveAuditEntryHandler(_OnceSealed[ProveAuditEntry, InclusionProof]):
    async def answer(
        self, query: ProveAuditEntry, state: LogState, size: int, /
    ) -> Result[InclusionProof, AuditRefused]:
        found = [leaf async for some in self.log.leaves(size=size, only=query.entry_id) for leaf in some]
        if not found:
            return refused(
                AuditCode.ENTRY_UNKNOWN,
                f"the log has no entry {query.entry_id}: copy its id from `dashtam audit list`",
            )
        proof = inclusion_proof(await self.log.leaf_hashes(size), found[0].index)
        return Success(InclusionProof(found[0], proof, state.checkpoint, state.key))


@attrs.frozen
class ExportAuditLogHandler(_OnceSealed[ExportAuditLog, int]):
    notes: Notes

    async def answer(self, query: ExportAuditLog, state: LogState, size: int, /) -> Result[int, AuditRefused]:
        async for line in write_export(await self.records(size), state.key):
            query.write(line + "\n")
        self.notes.context["tree_size"] = size
        return Success(size)


def _position(cursor: str) -> tuple[datetime, EntryId] | None:
    instant, _, entry_id = cursor.partition("/")
    try:
        return datetime.fromisoformat(instant), EntryId(UUID(entry_id))
    except ValueError:
        return None


def _position_text(entry: RecordedEntry) -> str:
    return f"{instant_text(entry.recorded_at)}/{entry.entry_id}"


ROUTES: Final = (
    ListAuditEntries.prepared_by(ListAuditEntriesHandler),
    SealAuditLog.prepared_by(SealAuditLogHandler),
    VerifyAuditLog.prepared_by(VerifyAuditLogHandler),
    ProveAuditEntry.prepared_by(ProveAuditEntryHandler),
    ExportAuditLog.prepared_by(ExportAuditLogHandler),
)
