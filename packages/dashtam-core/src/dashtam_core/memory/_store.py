"""The store in memory: the reference implementation of the port, complete but gone when the process ends.

Units of work run one after another, under one lock; what a unit wrote is undone by replaying its undo list.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import attrs

from dashtam_core import accounts as model
from dashtam_core.audit import AuditEntry, PersonKey
from dashtam_core.kernel import ANONYMOUS, Clock, DateRange, Subject, SystemClock, UserId
from dashtam_core.memory._audit import MemoryAuditLog, MemoryPersonKeys, TrailData
from dashtam_core.memory._deliveries import MemoryAnswers, MemoryDeliveries, OutboxData
from dashtam_core.memory._identity import (
    IdentityData,
    MemoryCredentials,
    MemoryRateLimiter,
    MemoryRootKeys,
    MemoryUsers,
    clear,
)
from dashtam_core.memory._matches import MemoryMatches
from dashtam_core.memory._people import MemoryPeople
from dashtam_core.messaging import KeptAnswer, StoredEvent
from dashtam_core.portfolio import Match, MatchKind
from dashtam_core.store import Capability, Store


@attrs.define
class _Person:
    """Everything one person has."""

    accounts: dict[model.AccountId, model.Account] = attrs.field(factory=dict[model.AccountId, model.Account])
    account_keys: dict[tuple[str, bytes], model.AccountId] = attrs.field(
        factory=dict[tuple[str, bytes], model.AccountId]
    )
    transactions: dict[model.AccountId, dict[tuple[bytes, int], model.Transaction]] = attrs.field(
        factory=dict[model.AccountId, dict[tuple[bytes, int], model.Transaction]]
    )
    balances: dict[model.Balance, None] = attrs.field(factory=dict[model.Balance, None])
    holdings: dict[object, model.Holding] = attrs.field(factory=dict[object, model.Holding])
    annotations: dict[model.TransactionId, model.Annotation] = attrs.field(
        factory=dict[model.TransactionId, model.Annotation]
    )
    documents: dict[bytes, model.ImportDocument] = attrs.field(factory=dict[bytes, model.ImportDocument])
    matches: dict[tuple[MatchKind, model.TransactionId, model.TransactionId], Match] = attrs.field(
        factory=dict[tuple[MatchKind, model.TransactionId, model.TransactionId], Match]
    )
    contents: dict[model.DocumentId, bytes] = attrs.field(factory=dict[model.DocumentId, bytes])
    keys: dict[UUID, PersonKey] = attrs.field(factory=dict[UUID, PersonKey])
    answers: dict[tuple[str, str], tuple[datetime, KeptAnswer]] = attrs.field(
        factory=dict[tuple[str, str], tuple[datetime, KeptAnswer]]
    )


class MemoryStore:
    """Keeps everything in dictionaries. For tests, trials, and as the measure that other stores are held to.

    `clock` is the store's own: what was recorded when, and what is due.
    """

    capabilities = frozenset({Capability.TRANSACTIONS, Capability.ORDERED_OUTBOX, Capability.IDENTITY})

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lock = asyncio.Lock()
        self.people: dict[UserId, _Person] = {}
        self.trail = TrailData()
        self.outbox = OutboxData()
        self.identity = IdentityData()
        self.limits = MemoryRateLimiter(self.clock)
        self.keys = MemoryRootKeys()

    @property
    def audit(self) -> MemoryAuditLog:
        return MemoryAuditLog(self)

    @property
    def deliveries(self) -> MemoryDeliveries:
        return MemoryDeliveries(self)

    def unit_of_work(self, subject: Subject, /) -> "MemoryUnit":
        return MemoryUnit(self, subject)

    async def ping(self) -> None:
        """Memory is always there."""

    async def maintain(self) -> None:
        """Takes out who never verified an address, and what expired. The rest is gone when the process ends."""
        async with self.unit_of_work(ANONYMOUS) as unit:
            clear(unit)


@asynccontextmanager
async def open_memory_store(_: object = None) -> AsyncGenerator[Store]:
    """A new, empty store."""
    yield MemoryStore()


class MemoryUnit:
    """One unit of work, and its repositories."""

    def __init__(self, store: MemoryStore, subject: Subject) -> None:
        self.store = store
        self._subject = subject
        self.acting = subject.user_id
        """Whose account and credentials these are: for a while somebody else's than the rest."""
        self.discarded = False
        self._undo: list[Callable[[], object]] = []
        self._entries: list[AuditEntry] = []
        self._events: list[StoredEvent] = []

    async def __aenter__(self) -> Self:
        await self.store.lock.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if kind is not None or self.discarded:
            for undo in reversed(self._undo):
                undo()
        else:
            self._append()
        for handed in (self._undo, self._entries, self._events):
            handed.clear()
        self.discarded = False
        self.store.lock.release()

    def discard(self) -> None:
        self.discarded = True

    async def flush(self) -> None:
        """What was handed over is appended when the unit is left: nothing can go wrong in between."""

    def _append(self) -> None:
        for entry in self._entries:
            self.store.trail.append(entry, self.now())
        for event in self._events:
            self.store.outbox.append(event, self.now())

    def now(self) -> datetime:
        return self.store.clock.now()

    @property
    def trail(self) -> "MemoryTrail":
        return MemoryTrail(self._entries)

    @property
    def outbox(self) -> "MemoryOutbox":
        return MemoryOutbox(self._events, self.user_id)

    @property
    def user_id(self) -> UserId:
        return self._subject.user_id

    @property
    def person(self) -> _Person:
        known = self.store.people.get(self.user_id)
        if known is None:
            known = self.store.people[self.user_id] = _Person()
        return known

    def put[K, V](self, table: dict[K, V], key: K, value: V) -> bool:
        """Adds `value` under a key that must be free, to be taken out again on rollback."""
        if key in table:
            return False
        table[key] = value
        self._undo.append(lambda: table.pop(key, None))
        return True

    @property
    def accounts(self) -> "MemoryAccounts":
        return MemoryAccounts(self)

    @property
    def transactions(self) -> "MemoryTransactions":
        return MemoryTransactions(self)

    @property
    def documents(self) -> "MemoryDocuments":
        return MemoryDocuments(self)

    @property
    def matches(self) -> MemoryMatches:
        return MemoryMatches(self)

    @property
    def users(self) -> MemoryUsers:
        return MemoryUsers(self)

    @property
    def credentials(self) -> MemoryCredentials:
        return MemoryCredentials(self)

    @property
    def people(self) -> MemoryPeople:
        return MemoryPeople(self)

    @property
    def person_keys(self) -> MemoryPersonKeys:
        return MemoryPersonKeys(self)

    @property
    def answers(self) -> MemoryAnswers:
        return MemoryAnswers(self)

    def drop[K, V](self, table: dict[K, V], key: K) -> None:
        """Takes out what is there, to be put back on rollback."""
        value = table.pop(key)
        self._undo.append(lambda: table.__setitem__(key, value))

    def replace[K, V](self, table: dict[K, V], key: K, value: V) -> None:
        """Puts `value` in the place of what is there."""
        self.drop(table, key)
        self.put(table, key, value)

    def drop_events(self) -> None:
        """Takes out the events of this person, to be put back on rollback."""
        data = self.store.outbox
        events, waiting = data.events, data.waiting

        def restore() -> None:
            data.events, data.waiting = events, waiting

        data.events = [each for each in events if each.user_id != self.user_id]
        data.waiting = [each for each in waiting if each.event.user_id != self.user_id]
        self._undo.append(restore)


@attrs.frozen
class MemoryAccounts:
    unit: MemoryUnit

    async def add_accounts(self, accounts: Sequence[model.Account], /) -> Sequence[model.Account]:
        return [self._known_or_added(account) for account in accounts]

    async def add_balances(self, balances: Sequence[model.Balance], /) -> None:
        for balance in balances:
            assert balance.account_id in self.unit.person.accounts, (
                "a balance belongs to an account of the same person"
            )
            self.unit.put(self.unit.person.balances, balance, None)

    async def list_accounts(self, *, after: model.AccountId | None, limit: int) -> Sequence[model.AccountOverview]:
        ids = sorted(id_ for id_ in self.unit.person.accounts if after is None or id_ > after)
        return [self._overview(id_) for id_ in ids[:limit]]

    async def find_account(self, account_id: model.AccountId, /) -> model.AccountOverview | None:
        return self._overview(account_id) if account_id in self.unit.person.accounts else None

    async def add_holdings(self, holdings: Sequence[model.Holding], /) -> None:
        person = self.unit.person
        for holding in holdings:
            assert holding.account_id in person.accounts, "a holding belongs to an account of the same person"
            self.unit.put(person.holdings, (holding.account_id, holding.security, holding.as_of), holding)

    async def list_balances(
        self, account_id: model.AccountId, /, *, from_date: date, to_date: date
    ) -> Sequence[model.Balance]:
        of = (each for each in self.unit.person.balances if each.account_id == account_id)
        found = [each for each in of if from_date <= each.as_of <= to_date]
        return sorted(found, key=lambda each: (each.as_of, each.kind, _age(each)))

    async def list_holdings(self, account_id: model.AccountId, /) -> Sequence[model.Holding]:
        of = [each for each in self.unit.person.holdings.values() if each.account_id == account_id]
        latest = max((each.as_of for each in of), default=None)
        return [each for each in of if each.as_of == latest]

    def _known_or_added(self, account: model.Account) -> model.Account:
        person = self.unit.person
        if self.unit.put(person.account_keys, (account.provider, account.account_key), account.account_id):
            self.unit.put(person.accounts, account.account_id, attrs.evolve(account))
        return attrs.evolve(person.accounts[person.account_keys[account.provider, account.account_key]])

    def _overview(self, account_id: model.AccountId) -> model.AccountOverview:
        latest: dict[object, model.Balance] = {}
        for balance in self.unit.person.balances:
            if balance.account_id == account_id:
                before = latest.get(balance.kind)
                if before is None or _age(balance) >= _age(before):
                    latest[balance.kind] = balance
        ordered = sorted(latest.values(), key=lambda balance: balance.kind)
        return model.AccountOverview(attrs.evolve(self.unit.person.accounts[account_id]), tuple(ordered))


@attrs.frozen
class MemoryTransactions:
    unit: MemoryUnit

    async def add(
        self,
        document_id: model.DocumentId | None,
        rows: Mapping[model.AccountId, Sequence[model.KeyedTransaction]],
        /,
    ) -> Mapping[model.AccountId, int]:
        return {id_: sum(self._add(id_, document_id, row) for row in some) for id_, some in rows.items()}

    async def change(self, rows: Sequence[model.Transaction], /) -> None:
        old = {row.transaction_id: row for row in self._all()}
        for row in rows:
            if row.transaction_id not in old:
                raise LookupError("a row that is changed is one of the same person, added before")
            self.unit.drop(self._table(row.account_id), _key(old[row.transaction_id]))
        for row in rows:
            added = self.unit.put(self._table(row.account_id), _key(row), attrs.evolve(row, annotation=None))
            assert added, "a row takes no other's key"

    async def find(
        self,
        wanted: model.TransactionFilter,
        /,
        *,
        after: tuple[date, model.TransactionId] | None = None,
        limit: int | None = None,
    ) -> Sequence[model.Transaction]:
        found = sorted((row for row in self._all() if _meets(row, wanted)), key=_order, reverse=True)
        page = [row for row in found if after is None or _order(row) < after][:limit]
        said = self.unit.person.annotations
        return [attrs.evolve(row, annotation=said.get(row.transaction_id)) for row in page]

    async def mark_missing(
        self, account_id: model.AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        days = model.TransactionFilter(account_id=account_id, from_date=window.start, to_date=window.end)
        marked: list[model.Transaction] = []
        for row in await self.find(attrs.evolve(days, status=model.TransactionStatus.POSTED)):
            since = None if _key(row) in sent else row.missing_since or at
            if since != row.missing_since:
                marked.append(attrs.evolve(row, missing_since=since))
        await self.change(marked)

    async def annotate(self, annotation: model.Annotation, /) -> None:
        said, id_ = self.unit.person.annotations, annotation.transaction_id
        if all(row.transaction_id != id_ for row in self._all()):
            raise LookupError("a transaction that is annotated is one of the same person")
        if id_ in said:
            self.unit.drop(said, id_)
        if annotation != model.Annotation(transaction_id=id_):
            self.unit.put(said, id_, annotation)

    def _all(self) -> Iterator[model.Transaction]:
        return (row for table in self.unit.person.transactions.values() for row in table.values())

    def _table(self, account_id: model.AccountId) -> dict[tuple[bytes, int], model.Transaction]:
        return self.unit.person.transactions.setdefault(account_id, {})

    def _add(
        self, account_id: model.AccountId, document_id: model.DocumentId | None, row: model.KeyedTransaction
    ) -> bool:
        assert account_id in self.unit.person.accounts, "a row belongs to an account of the same person"
        return self.unit.put(self._table(account_id), _key(row), _transaction(account_id, document_id, row))


@attrs.frozen
class MemoryDocuments:
    unit: MemoryUnit

    async def add(self, document: model.ImportDocument, content: bytes | None = None, /) -> bool:
        added = self.unit.put(self.unit.person.documents, document.sha256, document)
        if added and content is not None:
            self.unit.put(self.unit.person.contents, document.document_id, content)
        return added

    async def change(self, document: model.ImportDocument, /) -> None:
        self.unit.replace(self.unit.person.documents, document.sha256, document)

    async def content(self, document_id: model.DocumentId, /) -> bytes | None:
        return self.unit.person.contents.get(document_id)

    async def find(self, sha256: bytes, /) -> model.ImportDocument | None:
        return self.unit.person.documents.get(sha256)

    async def get(self, document_id: model.DocumentId, /) -> model.ImportDocument | None:
        documents = self.unit.person.documents.values()
        return next((each for each in documents if each.document_id == document_id), None)


@attrs.frozen
class MemoryTrail:
    handed: list[AuditEntry]

    def add(self, entry: AuditEntry, /) -> None:
        self.handed.append(entry)


@attrs.frozen
class MemoryOutbox:
    handed: list[StoredEvent]
    user_id: UserId

    def add(self, events: Sequence[StoredEvent], /) -> None:
        assert all(event.user_id == self.user_id for event in events), "an event is told of one's own change"
        self.handed.extend(events)


def _transaction(
    account_id: model.AccountId, document_id: model.DocumentId | None, row: model.KeyedTransaction
) -> model.Transaction:
    said: dict[str, Any] = attrs.asdict(row.data, recurse=False)
    return model.Transaction(
        **said,
        transaction_id=row.transaction_id,
        account_id=account_id,
        document_id=document_id,
        index=row.index,
        dedupe_key=row.dedupe_key,
        occurrence=row.occurrence,
        superseded_by=row.superseded_by,
        removed_at=row.removed_at,
        waits_for=row.waits_for,
    )


def _key(row: model.KeyedTransaction | model.Transaction) -> tuple[bytes, int]:
    return row.dedupe_key, row.occurrence


def _order(row: model.Transaction) -> tuple[date, model.TransactionId]:
    return row.posted_date, row.transaction_id


def _meets(row: model.Transaction, wanted: model.TransactionFilter) -> bool:
    return (
        (wanted.account_id is None or row.account_id == wanted.account_id)
        and (wanted.from_date is None or wanted.from_date <= row.posted_date)
        and (wanted.to_date is None or row.posted_date <= wanted.to_date)
        and (wanted.status is None or row.status is wanted.status)
        and (wanted.transaction_ids is None or row.transaction_id in wanted.transaction_ids)
        and (wanted.keys is None or row.dedupe_key in wanted.keys)
        and (wanted.provider_ids is None or row.provider_transaction_id in wanted.provider_ids)
        and (wanted.document_id is None or row.document_id == wanted.document_id)
        and (not wanted.waiting or _waits(row))
        and (wanted.hidden or not row.is_hidden)
    )


def _waits(row: model.Transaction) -> bool:
    return row.waits_for is not None or (row.status is model.TransactionStatus.PENDING and not row.is_hidden)


def _age(balance: model.Balance) -> tuple[date, datetime]:
    """Later days are newer; on one day a later instant is, and one without an instant is the oldest."""
    return balance.as_of, balance.reported_at or datetime.min.replace(tzinfo=UTC)
