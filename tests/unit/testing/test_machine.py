"""The state machine finds every bug that is planted in a store."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dashtam_core.accounts import (
    AccountId,
    Balance,
    DocumentId,
    KeyedTransaction,
    Transaction,
    TransactionFilter,
    TransactionId,
)
from dashtam_core.kernel import Subject
from dashtam_core.memory import MemoryStore
from dashtam_core.memory._audit import MemoryAuditLog
from dashtam_core.memory._deliveries import MemoryAnswers, MemoryDeliveries
from dashtam_core.memory._store import MemoryAccounts, MemoryPeople, MemoryUnit
from dashtam_core.messaging import KeptAnswer, KeyState
from dashtam_core.store import Store
from dashtam_core.testing._machine import OpenStore, store_machine


class PagesSkipEquals(MemoryAccounts):
    async def list_transactions(
        self, wanted: TransactionFilter, /, *, after: tuple[date, TransactionId] | None, limit: int
    ) -> Sequence[Transaction]:
        whole = await super().list_transactions(wanted, after=None, limit=9_999)
        return [row for row in whole if after is None or row.posted_date < after[0]][:limit]


class LastDayIsLeftOut(MemoryAccounts):
    async def list_transactions(
        self, wanted: TransactionFilter, /, *, after: tuple[date, TransactionId] | None, limit: int
    ) -> Sequence[Transaction]:
        found = await super().list_transactions(wanted, after=after, limit=limit)
        return [row for row in found if row.posted_date != wanted.to_date]


class OccurrenceIsIgnored(MemoryAccounts):
    async def add_transactions(
        self, document_id: DocumentId | None, rows: Mapping[AccountId, Sequence[KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        first = {id_: [attrs.evolve(row, occurrence=1) for row in some] for id_, some in rows.items()}
        return await super().add_transactions(document_id, first)


class AnyAccountWillDo(MemoryAccounts):
    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        mine = self.unit.person.accounts
        await super().add_balances([each for each in balances if each.account_id in mine])


class TokenOutlivesItsPerson(MemoryPeople):
    async def erase(self) -> Mapping[str, int]:
        tokens = dict(self.unit.people_tokens)
        erased = await super().erase()
        self.unit.people_tokens.update(tokens)
        return erased


class AnswerOfAnotherCommand(MemoryAnswers):
    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        return await super().claim("any", key)

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        await super().keep("any", key, kept)


class WrongSubscriber(MemoryDeliveries):
    def _due(self, subscriber: str) -> Any:
        return super()._due("mail") or super()._due(subscriber)


class SealingSkips(MemoryAuditLog):
    async def seal(self, sealer: Any, /, *, limit: int) -> int | None:
        sealed = await super().seal(sealer, limit=limit)
        if sealed and sealed > 1:
            self._data.leaf_hashes[-1] = self._data.leaf_hashes[-2]
        return sealed


class TellsWhatWasUndone(MemoryUnit):
    async def flush(self) -> None:
        self._append()
        self._entries.clear()
        self._events.clear()


SEARCH = settings(max_examples=2_000, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)


def planted(bug: Any) -> OpenStore:
    """Opens a store in memory of which one part is the one given."""
    part = {MemoryAccounts: "accounts", MemoryPeople: "people", MemoryAnswers: "answers"}.get(bug.__base__)
    unit = type("Unit", (MemoryUnit,), {part: property(bug)}) if part else bug

    class Planted(MemoryStore):
        def unit_of_work(self, subject: Subject, /) -> MemoryUnit:
            made: MemoryUnit = (unit if issubclass(unit, MemoryUnit) else MemoryUnit)(self, subject)
            return made

        @property
        def deliveries(self) -> MemoryDeliveries:
            return bug(self) if issubclass(bug, MemoryDeliveries) else super().deliveries

        @property
        def audit(self) -> MemoryAuditLog:
            return bug(self) if issubclass(bug, MemoryAuditLog) else super().audit

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Store]:
        yield Planted()

    return opened


@pytest.mark.parametrize(
    "bug",
    [
        PagesSkipEquals,
        LastDayIsLeftOut,
        OccurrenceIsIgnored,
        AnyAccountWillDo,
        TokenOutlivesItsPerson,
        AnswerOfAnotherCommand,
        WrongSubscriber,
        SealingSkips,
        TellsWhatWasUndone,
    ],
)
def test_a_planted_bug_is_found(bug: Any) -> None:
    """Each of these is found in a moment; what it finds is a failed assertion."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_state_machine_as_test(store_machine(planted(bug)), settings=SEARCH)


@pytest.mark.parametrize("bug", [PagesSkipEquals, OccurrenceIsIgnored, SealingSkips, TellsWhatWasUndone])
def test_a_bug_that_both_stores_have_is_found(bug: Any) -> None:
    """What was committed is known by hand, so that two stores that agree may both be wrong."""
    machine = store_machine(planted(bug))
    setattr(machine, "openers", [planted(bug)] * 2)  # noqa: B010 - the attribute is the machine's own
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_state_machine_as_test(machine, settings=SEARCH)
