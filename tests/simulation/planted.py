"""Bugs to plant, each the kind that only concurrency or a fault brings to light."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import pytest

from dashtam_core.accounts import AccountId, DocumentId, KeyedTransaction
from dashtam_core.audit import AuditEntry, Outcome, Phase
from dashtam_core.kernel import Success
from dashtam_core.memory._audit import MemoryAuditLog
from dashtam_core.memory._deliveries import MemoryAnswers, MemoryDeliveries
from dashtam_core.memory._store import MemoryTransactions, MemoryUnit
from dashtam_core.messaging import Answer, Call, Handover, Next, Publish

type Plant = Callable[[pytest.MonkeyPatch], None]


def an_audit_log_that_keeps_one_entry_of_many(patch: pytest.MonkeyPatch) -> None:
    record = MemoryAuditLog.record

    async def first(self: MemoryAuditLog, entries: Sequence[AuditEntry]) -> None:
        await record(self, entries[:1])

    patch.setattr(MemoryAuditLog, "record", first)


def an_idempotency_key_that_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def keep(*_: object) -> None:
        """Nothing is kept."""

    patch.setattr(MemoryAnswers, "keep", keep)


def a_lost_commit_that_is_called_a_failure(patch: pytest.MonkeyPatch) -> None:
    def ignore(_: Call, committing: bool) -> None:
        """Whatever becomes of the commit, it is no excuse."""

    patch.setattr(Call, "committing", property(lambda _: False, ignore))


def an_outcome_that_is_committed_on_its_own(patch: pytest.MonkeyPatch) -> None:
    async def outcome(self: Outcome, call: Call, proceed: Next) -> Answer:
        answer = await proceed(call)
        if call.message.audited and not call.replayed and isinstance(answer, Success):
            await self.recorder.record(call, Phase.SUCCEEDED)
        return answer

    patch.setattr(Outcome, "__call__", outcome)


def an_event_that_is_told_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    async def publish(self: Publish, call: Call, proceed: Next) -> Answer:
        try:
            return await proceed(call)
        finally:
            await self._tell(call.outgoing.settled)

    patch.setattr(Publish, "__call__", publish)


def a_rollback_that_undoes_nothing(patch: pytest.MonkeyPatch) -> None:
    def put(_: MemoryUnit, table: dict[Any, Any], key: Any, value: Any) -> bool:
        return key not in table and table.setdefault(key, value) is value

    patch.setattr(MemoryUnit, "put", put)


def an_erasure_that_leaves_events(patch: pytest.MonkeyPatch) -> None:
    def drop_nothing(_: MemoryUnit) -> None:
        """They are told as if nothing had been."""

    patch.setattr(MemoryUnit, "drop_events", drop_nothing)


def twins_that_are_taken_for_one(patch: pytest.MonkeyPatch) -> None:
    add = MemoryTransactions._add

    def once(self: MemoryTransactions, to: AccountId, document: DocumentId | None, row: KeyedTransaction) -> bool:
        return add(self, to, document, attrs.evolve(row, occurrence=1))

    patch.setattr(MemoryTransactions, "_add", once)


def a_dead_letter_that_is_thrown_away(patch: pytest.MonkeyPatch) -> None:
    failed = MemoryDeliveries.failed

    async def forget(self: MemoryDeliveries, handover: Handover, to: str, why: str, *, retry_in: Any) -> None:
        await failed(self, handover, to, why, retry_in=retry_in)
        self._data.waiting = [each for each in self._data.waiting if each.due_at is not None]

    patch.setattr(MemoryDeliveries, "failed", forget)


BUGS: Final[Sequence[Plant]] = (
    an_audit_log_that_keeps_one_entry_of_many,
    an_idempotency_key_that_is_forgotten,
    a_lost_commit_that_is_called_a_failure,
    an_outcome_that_is_committed_on_its_own,
    an_event_that_is_told_before_the_commit,
    a_rollback_that_undoes_nothing,
    an_erasure_that_leaves_events,
    twins_that_are_taken_for_one,
    a_dead_letter_that_is_thrown_away,
)
