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

from dashtam_core.accounts import (
    Account,
    AccountId,
    AccountOverview,
    Annotation,
    Balance,
    DocumentId,
    Holding,
    ImportDocument,
    KeyedTransaction,
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionStatus,
)
from dashtam_core.audit import AuditEntry, PersonKey
from dashtam_core.identity import ApiToken
from dashtam_core.kernel import Clock, DateRange, Subject, SystemClock, UserId
from dashtam_core.memory._audit import MemoryAuditLog, MemoryPersonKeys, TrailData
from dashtam_core.memory._deliveries import MemoryAnswers, MemoryDeliveries, OutboxData
from dashtam_core.memory._matches import MemoryMatches
from dashtam_core.messaging import KeptAnswer, StoredEvent
from dashtam_core.portfolio import Match, MatchKind
from dashtam_core.store import Capability, Store


@attrs.define
class _Person:
    """Everything one person has."""

    accounts: dict[AccountId, Account] = attrs.field(factory=dict[AccountId, Account])
    account_keys: dict[tuple[str, bytes], AccountId] = attrs.field(factory=dict[tuple[str, bytes], AccountId])
    transactions: dict[AccountId, dict[tuple[bytes, int], Transaction]] = attrs.field(
        factory=dict[AccountId, dict[tuple[bytes, int], Transaction]]
    )
    balances: dict[Balance, None] = attrs.field(factory=dict[Balance, None])
    holdings: dict[object, Holding] = attrs.field(factory=dict[object, Holding])
    annotations: dict[TransactionId, Annotation] = attrs.field(factory=dict[TransactionId, Annotation])
    documents: dict[bytes, ImportDocument] = attrs.field(factory=dict[bytes, ImportDocument])
    matches: dict[tuple[MatchKind, TransactionId, TransactionId], Match] = attrs.field(
        factory=dict[tuple[MatchKind, TransactionId, TransactionId], Match]
    )
    contents: dict[DocumentId, bytes] = attrs.field(factory=dict[DocumentId, bytes])
    keys: dict[UUID, PersonKey] = attrs.field(factory=dict[UUID, PersonKey])
    answers: dict[tuple[str, str], tuple[datetime, KeptAnswer]] = attrs.field(
        factory=dict[tuple[str, str], tuple[datetime, KeptAnswer]]
    )


class MemoryStore:
    """Keeps everything in dictionaries. For tests, trials, and as the measure that other stores are held to.

    `clock` is the store's own: what was recorded when, and what is due.
    """

    capabilities = frozenset({Capability.TRANSACTIONS, Capability.ORDERED_OUTBOX})

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lock = asyncio.Lock()
        self.people: dict[UserId, _Person] = {}
        self.tokens: dict[bytes, ApiToken] = {}
        self.trail = TrailData()
        self.outbox = OutboxData()

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
        """Nothing here outlives the process."""


@asynccontextmanager
async def open_memory_store(_: object = None) -> AsyncGenerator[Store]:
    """A new, empty store."""
    yield MemoryStore()


class MemoryUnit:
    """One unit of work, and its repositories."""

    def __init__(self, store: MemoryStore, subject: Subject) -> None:
        self._store = store
        self._subject = subject
        self.discarded = False
        self._undo: list[Callable[[], object]] = []
        self._entries: list[AuditEntry] = []
        self._events: list[StoredEvent] = []

    async def __aenter__(self) -> Self:
        await self._store.lock.acquire()
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
        self._store.lock.release()

    def discard(self) -> None:
        self.discarded = True

    async def flush(self) -> None:
        """What was handed over is appended when the unit is left: nothing can go wrong in between."""

    def _append(self) -> None:
        for entry in self._entries:
            self._store.trail.append(entry, self.now())
        for event in self._events:
            self._store.outbox.append(event, self.now())

    def now(self) -> datetime:
        return self._store.clock.now()

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
        known = self._store.people.get(self.user_id)
        if known is None:
            known = self._store.people[self.user_id] = _Person()
        return known

    @property
    def everybody(self) -> dict[UserId, _Person]:
        return self._store.people

    @property
    def people_tokens(self) -> dict[bytes, ApiToken]:
        return self._store.tokens

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
    def tokens(self) -> "MemoryTokens":
        return MemoryTokens(self)

    @property
    def people(self) -> "MemoryPeople":
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

    def drop_events(self) -> None:
        """Takes out the events of this person, to be put back on rollback."""
        data = self._store.outbox
        events, waiting = data.events, data.waiting

        def restore() -> None:
            data.events, data.waiting = events, waiting

        data.events = [each for each in events if each.user_id != self.user_id]
        data.waiting = [each for each in waiting if each.event.user_id != self.user_id]
        self._undo.append(restore)


@attrs.frozen
class MemoryAccounts:
    unit: MemoryUnit

    async def add_accounts(self, accounts: Sequence[Account], /) -> Sequence[Account]:
        return [self._known_or_added(account) for account in accounts]

    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        for balance in balances:
            assert balance.account_id in self.unit.person.accounts, (
                "a balance belongs to an account of the same person"
            )
            self.unit.put(self.unit.person.balances, balance, None)

    async def list_accounts(self, *, after: AccountId | None, limit: int) -> Sequence[AccountOverview]:
        ids = sorted(id_ for id_ in self.unit.person.accounts if after is None or id_ > after)
        return [self._overview(id_) for id_ in ids[:limit]]

    async def find_account(self, account_id: AccountId, /) -> AccountOverview | None:
        return self._overview(account_id) if account_id in self.unit.person.accounts else None

    async def add_holdings(self, holdings: Sequence[Holding], /) -> None:
        person = self.unit.person
        for holding in holdings:
            assert holding.account_id in person.accounts, "a holding belongs to an account of the same person"
            self.unit.put(person.holdings, (holding.account_id, holding.security, holding.as_of), holding)

    async def list_balances(
        self, account_id: AccountId, /, *, from_date: date, to_date: date
    ) -> Sequence[Balance]:
        of = (each for each in self.unit.person.balances if each.account_id == account_id)
        found = [each for each in of if from_date <= each.as_of <= to_date]
        return sorted(found, key=lambda each: (each.as_of, each.kind, _age(each)))

    async def list_holdings(self, account_id: AccountId, /) -> Sequence[Holding]:
        of = [each for each in self.unit.person.holdings.values() if each.account_id == account_id]
        latest = max((each.as_of for each in of), default=None)
        return [each for each in of if each.as_of == latest]

    def _known_or_added(self, account: Account) -> Account:
        person = self.unit.person
        if self.unit.put(person.account_keys, (account.provider, account.account_key), account.account_id):
            self.unit.put(person.accounts, account.account_id, attrs.evolve(account))
        return attrs.evolve(person.accounts[person.account_keys[account.provider, account.account_key]])

    def _overview(self, account_id: AccountId) -> AccountOverview:
        latest: dict[object, Balance] = {}
        for balance in self.unit.person.balances:
            if balance.account_id == account_id:
                before = latest.get(balance.kind)
                if before is None or _age(balance) >= _age(before):
                    latest[balance.kind] = balance
        ordered = sorted(latest.values(), key=lambda balance: balance.kind)
        return AccountOverview(attrs.evolve(self.unit.person.accounts[account_id]), tuple(ordered))


@attrs.frozen
class MemoryTransactions:
    unit: MemoryUnit

    async def add(
        self, document_id: DocumentId | None, rows: Mapping[AccountId, Sequence[KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        return {id_: sum(self._add(id_, document_id, row) for row in some) for id_, some in rows.items()}

    async def change(self, rows: Sequence[Transaction], /) -> None:
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
        wanted: TransactionFilter,
        /,
        *,
        after: tuple[date, TransactionId] | None = None,
        limit: int | None = None,
    ) -> Sequence[Transaction]:
        found = sorted((row for row in self._all() if _meets(row, wanted)), key=_order, reverse=True)
        page = [row for row in found if after is None or _order(row) < after][:limit]
        said = self.unit.person.annotations
        return [attrs.evolve(row, annotation=said.get(row.transaction_id)) for row in page]

    async def mark_missing(
        self, account_id: AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        days = TransactionFilter(account_id=account_id, from_date=window.start, to_date=window.end)
        marked: list[Transaction] = []
        for row in await self.find(attrs.evolve(days, status=TransactionStatus.POSTED)):
            since = None if _key(row) in sent else row.missing_since or at
            if since != row.missing_since:
                marked.append(attrs.evolve(row, missing_since=since))
        await self.change(marked)

    async def annotate(self, annotation: Annotation, /) -> None:
        said, id_ = self.unit.person.annotations, annotation.transaction_id
        if all(row.transaction_id != id_ for row in self._all()):
            raise LookupError("a transaction that is annotated is one of the same person")
        if id_ in said:
            self.unit.drop(said, id_)
        if annotation != Annotation(transaction_id=id_):
            self.unit.put(said, id_, annotation)

    def _all(self) -> Iterator[Transaction]:
        return (row for table in self.unit.person.transactions.values() for row in table.values())

    def _table(self, account_id: AccountId) -> dict[tuple[bytes, int], Transaction]:
        return self.unit.person.transactions.setdefault(account_id, {})

    def _add(self, account_id: AccountId, document_id: DocumentId | None, row: KeyedTransaction) -> bool:
        assert account_id in self.unit.person.accounts, "a row belongs to an account of the same person"
        return self.unit.put(self._table(account_id), _key(row), _transaction(account_id, document_id, row))


@attrs.frozen
class MemoryDocuments:
    unit: MemoryUnit

    async def add(self, document: ImportDocument, content: bytes | None = None, /) -> bool:
        added = self.unit.put(self.unit.person.documents, document.sha256, document)
        if added and content is not None:
            self.unit.put(self.unit.person.contents, document.document_id, content)
        return added

    async def change(self, document: ImportDocument, /) -> None:
        self.unit.drop(self.unit.person.documents, document.sha256)
        self.unit.put(self.unit.person.documents, document.sha256, document)

    async def content(self, document_id: DocumentId, /) -> bytes | None:
        return self.unit.person.contents.get(document_id)

    async def find(self, sha256: bytes, /) -> ImportDocument | None:
        return self.unit.person.documents.get(sha256)

    async def get(self, document_id: DocumentId, /) -> ImportDocument | None:
        documents = self.unit.person.documents.values()
        return next((each for each in documents if each.document_id == document_id), None)


@attrs.frozen
class MemoryTokens:
    unit: MemoryUnit

    async def add(self, token: ApiToken, /) -> None:
        assert token.user_id == self.unit.user_id, "a token is its maker's"
        added = self.unit.put(self.unit.people_tokens, token.token_hash, token)
        assert added, "256 random bits do not repeat"

    async def find(self, token_hash: bytes, /) -> ApiToken | None:
        return self.unit.people_tokens.get(token_hash)


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


@attrs.frozen
class MemoryPeople:
    unit: MemoryUnit

    async def erase(self) -> Mapping[str, int]:
        person = self.unit.person
        mine = [hash_ for hash_, token in self.unit.people_tokens.items() if token.user_id == self.unit.user_id]
        for hash_ in mine:
            self.unit.drop(self.unit.people_tokens, hash_)
        self.unit.drop(self.unit.everybody, self.unit.user_id)
        self.unit.drop_events()
        return {
            "accounts": len(person.accounts),
            "transactions": sum(len(rows) for rows in person.transactions.values()),
            "balances": len(person.balances),
            "documents": len(person.documents),
            "tokens": len(mine),
        }


def _transaction(account_id: AccountId, document_id: DocumentId | None, row: KeyedTransaction) -> Transaction:
    said: dict[str, Any] = attrs.asdict(row.data, recurse=False)
    return Transaction(
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


def _key(row: KeyedTransaction | Transaction) -> tuple[bytes, int]:
    return row.dedupe_key, row.occurrence


def _order(row: Transaction) -> tuple[date, TransactionId]:
    return row.posted_date, row.transaction_id


def _meets(row: Transaction, wanted: TransactionFilter) -> bool:
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


def _waits(row: Transaction) -> bool:
    return row.waits_for is not None or (row.status is TransactionStatus.PENDING and not row.is_hidden)


def _age(balance: Balance) -> tuple[date, datetime]:
    """Later days are newer; on one day a later instant is, and one without an instant is the oldest."""
    return balance.as_of, balance.reported_at or datetime.min.replace(tzinfo=UTC)
