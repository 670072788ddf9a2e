"""The state machine finds every bug that is planted in a store."""

import os
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dashtam_core.accounts import (
    AccountId,
    Annotation,
    Balance,
    DocumentId,
    KeyedTransaction,
    Transaction,
    TransactionFilter,
)
from dashtam_core.kernel import DateRange, Subject
from dashtam_core.memory import MemoryStore
from dashtam_core.memory._audit import MemoryAuditLog
from dashtam_core.memory._deliveries import MemoryAnswers, MemoryDeliveries
from dashtam_core.memory._people import MemoryPeople
from dashtam_core.memory._store import MemoryAccounts, MemoryTransactions, MemoryUnit
from dashtam_core.messaging import KeptAnswer, KeyState
from dashtam_core.store import Store
from dashtam_core.testing._machine import OpenStore, store_machine


class PagesSkipEquals(MemoryTransactions):
    async def find(self, wanted: TransactionFilter, /, *, after: Any = None, limit: Any = None) -> Sequence[Any]:
        whole = await super().find(wanted)
        return [row for row in whole if after is None or row.posted_date < after[0]][:limit]


class LastDayIsLeftOut(MemoryTransactions):
    async def find(self, wanted: TransactionFilter, /, **page: Any) -> Sequence[Transaction]:
        return [row for row in await super().find(wanted, **page) if row.posted_date != wanted.to_date]


class KeysAreNotAskedFor(MemoryTransactions):
    async def find(self, wanted: TransactionFilter, /, **page: Any) -> Sequence[Transaction]:
        return await super().find(attrs.evolve(wanted, keys=None), **page)


class OccurrenceIsIgnored(MemoryTransactions):
    async def add(
        self, document_id: DocumentId | None, rows: Mapping[AccountId, Sequence[KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        first = {id_: [attrs.evolve(row, occurrence=1) for row in some] for id_, some in rows.items()}
        return await super().add(document_id, first)


class ChangeKeepsTheKey(MemoryTransactions):
    async def change(self, rows: Sequence[Transaction], /) -> None:
        every = await self.find(TransactionFilter(hidden=True))
        keys = {row.transaction_id: (row.dedupe_key, row.occurrence) for row in every}
        named = [(row, keys.get(row.transaction_id, (row.dedupe_key, row.occurrence))) for row in rows]
        await super().change([attrs.evolve(row, dedupe_key=key, occurrence=nth) for row, (key, nth) in named])


class ChangeTakesTheNote(MemoryTransactions):
    async def change(self, rows: Sequence[Transaction], /) -> None:
        await super().change(rows)
        for row in rows:
            self.unit.person.annotations.pop(row.transaction_id, None)


class WhatCameBackIsStillMissing(MemoryTransactions):
    async def mark_missing(
        self, account_id: AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        every = await self.find(TransactionFilter(account_id=account_id))
        since = {row.transaction_id: row.missing_since for row in every}
        await super().mark_missing(account_id, window, sent, at)
        found = await self.find(TransactionFilter(account_id=account_id))
        await self.change([attrs.evolve(row, missing_since=since[row.transaction_id]) for row in found])


class AnybodyAnnotates(MemoryTransactions):
    async def annotate(self, annotation: Annotation, /) -> None:
        with suppress(LookupError):
            await super().annotate(annotation)


class RollbackForgetsBalances(MemoryUnit):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        before = dict(self.person.balances)
        undone = kind is not None or self.discarded
        await super().__aexit__(kind, error, trace)
        if undone:
            self.person.balances |= before


class AnyAccountWillDo(MemoryAccounts):
    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        mine = self.unit.person.accounts
        await super().add_balances([each for each in balances if each.account_id in mine])


class KeyOutlivesItsPerson(MemoryPeople):
    async def erase(self) -> Mapping[str, int]:
        keys = self.unit.person.keys
        erased = await super().erase()
        self.unit.person.keys.update(keys)
        return erased


class AnswerOfAnotherCommand(MemoryAnswers):
    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        return await super().claim("any", key)

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        await super().keep("any", key, kept)


class WrongSubscriber(MemoryDeliveries):
    def _due(self, subscriber: str, event_id: UUID | None = None) -> Any:
        return super()._due("mail", event_id) or super()._due(subscriber, event_id)


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


PROVE = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
SEARCH = settings(max_examples=2_000, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)


LONG_SOUGHT = (
    LastDayIsLeftOut,
    KeysAreNotAskedFor,
    ChangeKeepsTheKey,
    ChangeTakesTheNote,
    WhatCameBackIsStillMissing,
    AnybodyAnnotates,
    RollbackForgetsBalances,
    KeyOutlivesItsPerson,
)
"""To find one of these takes from 2 to 20 s: what Hypothesis draws depends on the modules that are imported."""


def planted(bug: Any) -> OpenStore:
    """Opens a store in memory of which one part is the one given."""
    part = bug.__base__.__name__.removeprefix("Memory").lower()
    unit = type("Unit", (MemoryUnit,), {part: property(bug)}) if hasattr(MemoryUnit, part) else bug

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
        OccurrenceIsIgnored,
        AnyAccountWillDo,
        AnswerOfAnotherCommand,
        WrongSubscriber,
        SealingSkips,
        TellsWhatWasUndone,
        *(LONG_SOUGHT if PROVE else ()),
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
