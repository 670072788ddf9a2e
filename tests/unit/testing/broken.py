"""Adapters that each break a promise, held to the kit. `test_conformance` runs them: what it names must fail."""

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import attrs
import pytest

from dashtam_core.accounts import (
    AccountId,
    Annotation,
    Balance,
    Holding,
    ImportDocument,
    ImportFailed,
    Statement,
    StatementReader,
    SyncBatch,
    Transaction,
    TransactionFilter,
    TransactionStatus,
)
from dashtam_core.audit import Ed25519Signer, PersonalVault, Signer
from dashtam_core.connections import Provider, ProviderCode, ProviderFailed, SyncRequest
from dashtam_core.identity import Allowance, Credential, CredentialKind, Keyring, Rate, RateLimiter
from dashtam_core.kernel import Clock, DateRange, Failure, Money, Result, Subject, Success, UserId
from dashtam_core.memory import (
    MemoryCache,
    MemoryEventBus,
    MemoryEventStream,
    MemoryLocks,
    MemoryProvider,
    MemoryRateLimiter,
    MemoryStore,
    MemoryVault,
)
from dashtam_core.memory._deliveries import MemoryDeliveries, Waiting
from dashtam_core.memory._identity import MemoryCredentials, MemoryRootKeys, MemoryUsers
from dashtam_core.memory._store import MemoryAccounts, MemoryDocuments, MemoryTransactions, MemoryUnit
from dashtam_core.messaging import (
    Cache,
    Delivery,
    Entry,
    EventBus,
    EventStream,
    Handover,
    Lease,
    Locks,
    Subscription,
    WireEvent,
)
from dashtam_core.store import Capability, Store
from dashtam_core.testing import (
    CacheConformance,
    ClockConformance,
    EventBusConformance,
    EventStreamConformance,
    KeyringConformance,
    LocksConformance,
    PersonalVaultConformance,
    ProviderConformance,
    RateLimiterConformance,
    SignerConformance,
    StatementReaderConformance,
    StoreConformance,
)
from dashtam_core.testing._shared import BrokenError
from dashtam_core.testing.samples import LinesReader, lines

# -- stores -------------------------------------------------------------------------------------------------------


class Other(MemoryStore):
    """The store in memory with another unit of work, or another repository in place of one of its own."""

    def __init__(self, broken: Any) -> None:
        super().__init__()
        name = broken.__base__.__name__.removeprefix("Memory").lower()
        self.unit = broken if name == "unit" else type("Unit", (MemoryUnit,), {name: property(broken)})

    def unit_of_work(self, subject: Subject, /) -> MemoryUnit:
        made: MemoryUnit = self.unit(self, subject)
        return made


class ForgetsToUndo(MemoryAccounts):
    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        self.unit.person.balances |= dict.fromkeys(balances)


class ListsForeignRows(MemoryTransactions):
    async def find(self, *args: Any, **wanted: Any) -> Sequence[Transaction]:
        tables = [table for each in self.unit.store.people.values() for table in each.transactions.values()]
        return [row for table in tables for row in table.values()]


class Rounds(MemoryTransactions):
    async def find(self, *args: Any, **wanted: Any) -> Sequence[Transaction]:
        found = await super().find(*args, **wanted)
        return [
            attrs.evolve(each, amount=Money(round(each.amount.amount, 2), each.amount.currency)) for each in found
        ]


class HidesNothing(MemoryTransactions):
    async def find(self, wanted: TransactionFilter, /, **page: Any) -> Sequence[Transaction]:
        return await super().find(attrs.evolve(wanted, hidden=True), **page)


class KeepsOldKeys(MemoryTransactions):
    async def change(self, rows: Sequence[Transaction], /) -> None:
        old = {row.transaction_id: row for row in await self.find(TransactionFilter(hidden=True))}
        kept = [old.get(row.transaction_id, row) for row in rows]
        await super().change(
            [
                attrs.evolve(row, dedupe_key=before.dedupe_key, occurrence=before.occurrence)
                for row, before in zip(rows, kept, strict=True)
            ]
        )


class ForgetsWhatIsUnknown(MemoryTransactions):
    """Changes to unknown are not made."""

    async def change(self, rows: Sequence[Transaction], /) -> None:
        old = {row.transaction_id: row for row in await self.find(TransactionFilter(hidden=True))}
        memos = [row.memo or (row.transaction_id in old and old[row.transaction_id].memo) or None for row in rows]
        await super().change([attrs.evolve(row, memo=memo) for row, memo in zip(rows, memos, strict=True)])


class ChangesWhatIsThere(MemoryTransactions):
    async def change(self, rows: Sequence[Transaction], /) -> None:
        mine = {row.transaction_id for row in await self.find(TransactionFilter(hidden=True))}
        await super().change([row for row in rows if row.transaction_id in mine])


class MarksAnew(MemoryTransactions):
    async def mark_missing(
        self, account_id: AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        days = TransactionFilter(account_id=account_id, from_date=window.start, to_date=window.end)
        found = await self.find(attrs.evolve(days, status=TransactionStatus.POSTED))
        there = {row.transaction_id: (row.dedupe_key, row.occurrence) in sent for row in found}
        await self.change(
            [attrs.evolve(row, missing_since=None if there[row.transaction_id] else at) for row in found]
        )


class AddsToNotes(MemoryTransactions):
    async def annotate(self, annotation: Annotation, /) -> None:
        before = self.unit.person.annotations.get(annotation.transaction_id)
        tags = () if before is None else before.tags
        await super().annotate(attrs.evolve(annotation, tags=(*tags, *annotation.tags)))


class ShowsAllHoldings(MemoryAccounts):
    async def list_holdings(self, account_id: AccountId, /) -> Sequence[Holding]:
        return [each for each in self.unit.person.holdings.values() if each.account_id == account_id]


class LosesContent(MemoryDocuments):
    async def change(self, document: ImportDocument, /) -> None:
        await super().change(document)
        self.unit.person.contents.pop(document.document_id, None)


class WaitsForNobody(MemoryUnit):
    """Several at a time, each seeing what the others wrote."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self.store.lock.acquire()
        await super().__aexit__(kind, error, trace)


class TestForgetsToUndo(StoreConformance):
    broken: type = ForgetsToUndo

    @pytest.fixture
    def store(self) -> Store:
        return Other(self.broken)


class TestListsForeignRows(TestForgetsToUndo):
    broken = ListsForeignRows


class TestRounds(TestForgetsToUndo):
    broken = Rounds


class TestHidesNothing(TestForgetsToUndo):
    broken = HidesNothing


class TestKeepsOldKeys(TestForgetsToUndo):
    broken = KeepsOldKeys


class TestForgetsWhatIsUnknown(TestForgetsToUndo):
    broken = ForgetsWhatIsUnknown


class TestChangesWhatIsThere(TestForgetsToUndo):
    broken = ChangesWhatIsThere


class TestMarksAnew(TestForgetsToUndo):
    broken = MarksAnew


class TestAddsToNotes(TestForgetsToUndo):
    broken = AddsToNotes


class TestShowsAllHoldings(TestForgetsToUndo):
    broken = ShowsAllHoldings


class TestLosesContent(TestForgetsToUndo):
    broken = LosesContent


class TestWaitsForNobody(TestForgetsToUndo):
    broken = WaitsForNobody


class NewestFirst(MemoryDeliveries):
    def _due(self, subscriber: str, event_id: UUID | None = None) -> Waiting | None:
        self._data.waiting.reverse()
        try:
            return super()._due(subscriber, event_id)
        finally:
            self._data.waiting.reverse()


class Unordered(MemoryStore):
    capabilities = frozenset({Capability.TRANSACTIONS})

    @property
    def deliveries(self) -> MemoryDeliveries:
        return NewestFirst(self)


class TestUnordered(StoreConformance):
    """No promise is broken: it does not say that it keeps an order."""

    @pytest.fixture
    def store(self) -> Store:
        return Unordered()


class ClaimsOrder(Unordered):
    capabilities = MemoryStore.capabilities


class TestClaimsOrder(TestUnordered):
    @pytest.fixture
    def store(self) -> Store:
        return ClaimsOrder()


class TakesTurns(MemoryDeliveries):
    """One at a time, whatever the event."""

    @asynccontextmanager
    async def this_one(self, event_id: UUID, subscriber: str, /) -> AsyncGenerator[Handover | None]:
        async with self._handover(self._due(subscriber, event_id), subscriber) as handover:
            yield handover


class TellsWhatWasPutOff(MemoryDeliveries):
    def _due(self, subscriber: str, event_id: UUID | None = None) -> Waiting | None:
        named = [each for each in self._data.waiting if each.event.event_id == event_id]
        return next((each for each in named if each.subscriber == subscriber), super()._due(subscriber, event_id))


class LooksAtAgeAlone(MemoryDeliveries):
    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        before = self.store.clock.now() - timedelta(seconds=seconds)
        mine = [each for each in self._data.waiting if each.subscriber == subscriber]
        return [each.event.event_id for each in mine if each.is_due(before)][:limit]


class IsImpatient(MemoryDeliveries):
    async def overdue(self, subscriber: str, seconds: float, /, *, limit: int) -> Sequence[UUID]:
        return await super().overdue(subscriber, 0.0 * seconds, limit=limit)


class TestTakesTurns(StoreConformance):
    broken: Any = TakesTurns

    @pytest.fixture
    def store(self) -> Store:
        made: type[MemoryStore] = type("Other", (MemoryStore,), {"deliveries": property(type(self).broken)})
        return made()


class TestTellsWhatWasPutOff(TestTakesTurns):
    broken = TellsWhatWasPutOff


class TestLooksAtAgeAlone(TestTakesTurns):
    broken = LooksAtAgeAlone


class TestIsImpatient(TestTakesTurns):
    broken = IsImpatient


class ClaimsToLast(MemoryStore):
    capabilities = MemoryStore.capabilities | {Capability.IMMUTABLE_AUDIT}


class TestClaimsToLast(StoreConformance):
    @pytest.fixture
    def store(self) -> Store:
        return ClaimsToLast()


class TestForgetsAll(TestClaimsToLast):
    @pytest.fixture
    def reopen(self) -> Callable[[], Awaitable[Store]]:
        async def empty() -> Store:
            return ClaimsToLast()

        return empty


# -- people who log in --------------------------------------------------------------------------------------------


class UsesAgain(MemoryCredentials):
    async def claim(self, kind: CredentialKind, secret_hash: bytes, *said: Any) -> Credential | None:
        if found := await self.find(kind, secret_hash):
            await self.change(attrs.evolve(found, used_at=None))
        return await super().claim(kind, secret_hash, *said)


class FindsAnybodys(MemoryCredentials):
    async def find(self, kind: CredentialKind, secret_hash: bytes, /) -> Credential | None:
        kept = self.unit.store.identity
        everybodys = {id_: each for table in kept.credentials.values() for id_, each in table.items()}
        return everybodys.get(kept.hashes[kind, secret_hash]) if (kind, secret_hash) in kept.hashes else None


class StaysSomebodyElse(MemoryUsers):
    """Where an error ends it."""

    @asynccontextmanager
    async def acting_for(self, user_id: UserId, /) -> AsyncGenerator[None]:
        before, self.unit.acting = self.unit.acting, user_id
        yield
        self.unit.acting = before


class IgnoresBeside(MemoryRootKeys):
    async def add(self, key_id: str, wrapped: bytes, /, *, beside: Collection[str]) -> bool:
        return await super().add(key_id, wrapped, beside=self.kept)


class RacyKeys(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.keys = IgnoresBeside()


class TestUsesAgain(TestForgetsToUndo):
    broken = UsesAgain


class TestFindsAnybodys(TestForgetsToUndo):
    broken = FindsAnybodys


class TestStaysSomebodyElse(TestForgetsToUndo):
    broken = StaysSomebodyElse


class TestIgnoresBeside(StoreConformance):
    @pytest.fixture
    def store(self) -> Store:
        return RacyKeys()


class LetsInUncounted(MemoryRateLimiter):
    """Where one of several keys is full."""

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        allowance = await super().take(wanted)
        return allowance if len(wanted) == 1 else Allowance(0.0)


class TestLetsInUncounted(RateLimiterConformance):
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        return LetsInUncounted()


# -- buses --------------------------------------------------------------------------------------------------------


class TestTellsAllAtOnce(EventBusConformance):
    @pytest.fixture
    def make_bus(self) -> Callable[[Sequence[Subscription]], EventBus]:
        def make(told: Sequence[Subscription]) -> EventBus:
            return MemoryEventBus(
                [attrs.evolve(each, delivery=Delivery.CONCURRENT, isolated=True) for each in told]
            )

        return make


class TestIsolatesNobody(EventBusConformance):
    @pytest.fixture
    def make_bus(self) -> Callable[[Sequence[Subscription]], EventBus]:
        def make(told: Sequence[Subscription]) -> EventBus:
            ordered = [each for each in told if each.delivery is Delivery.ORDERED]
            return MemoryEventBus([attrs.evolve(each, isolated=False, timeout=None) for each in ordered])

        return make


# -- small ports --------------------------------------------------------------------------------------------------


class Remembers(MemoryVault):
    def forget(self, user_id: UserId, /) -> None: ...


class TestRemembers(PersonalVaultConformance):
    @pytest.fixture
    def vault(self) -> PersonalVault:
        return Remembers()


class TestSignsSomethingElse(SignerConformance):
    @pytest.fixture
    def signer(self) -> Signer:
        genuine = Ed25519Signer.from_seed("log", bytes(32))

        @attrs.frozen
        class Signing:
            name: str = "log"
            public_key: bytes = genuine.public_key

            def sign(self, _: bytes, /) -> bytes:
                return genuine.sign(b"log\n1\n")

        return Signing()


class OneForAll:
    def derive(self, _: str, /) -> bytes:
        return bytes(range(32))


class TestOneForAll(KeyringConformance):
    @pytest.fixture
    def keyring(self) -> Keyring:
        return OneForAll()


class Local:
    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)


class TestLocal(ClockConformance):
    @pytest.fixture
    def clock(self) -> Clock:
        return Local()


# -- what processes share -----------------------------------------------------------------------------------------


class LooksOneByOne(MemoryCache):
    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        found = list[bytes | None]()
        for key in keys:
            found.append(await self.get(key))
            await asyncio.sleep(0)
        return found


class FoldsKeys(MemoryCache):
    async def get(self, key: str, /) -> bytes | None:
        return await super().get(key.casefold())

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        await super().set(key.casefold(), value, seconds=seconds)


class LosesNothing(MemoryCache):
    """Loses the value that is none."""

    async def get(self, key: str, /) -> bytes | None:
        return await super().get(key) or None


class KeepsTheFirstTime(MemoryCache):
    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        left = self._kept.get(key, (b"", math.inf))[1] - asyncio.get_running_loop().time()
        await super().set(key, value, seconds=min(left, seconds))


class TestLooksOneByOne(CacheConformance):
    broken: Any = LooksOneByOne

    @pytest.fixture
    def cache(self) -> Cache:
        made: Cache = type(self).broken()
        return made


class TestFoldsKeys(TestLooksOneByOne):
    broken = FoldsKeys


class TestLosesNothing(TestLooksOneByOne):
    broken = LosesNothing


class TestKeepsTheFirstTime(TestLooksOneByOne):
    broken = KeepsTheFirstTime


class GivesBackAnybodys(MemoryLocks):
    @asynccontextmanager
    async def hold(self, name: str, /, *, seconds: float, wait: float = 0.0) -> AsyncGenerator[Lease | None]:
        async with super().hold(name, seconds=seconds, wait=wait) as lease:
            yield lease
            self._held.pop(name, None)


class CountsNothing(MemoryLocks):
    async def _take(self, name: str, seconds: float, until: float) -> Lease | None:
        self._tokens = itertools.count(1)
        return await super()._take(name, seconds, until)


class KeepsWhatBroke(MemoryLocks):
    @asynccontextmanager
    async def hold(self, name: str, /, *, seconds: float, wait: float = 0.0) -> AsyncGenerator[Lease | None]:
        try:
            async with super().hold(name, seconds=seconds, wait=wait) as lease:
                yield lease
        except BrokenError:
            await self._take(name, seconds, 0.0)
            raise


class LetsInWhoWaited(MemoryLocks):
    async def _take(self, name: str, seconds: float, until: float) -> Lease | None:
        return await super()._take(name, seconds, until) or Lease(name, 1_000)


class TestGivesBackAnybodys(LocksConformance):
    broken: Any = GivesBackAnybodys

    @pytest.fixture
    def locks(self) -> Locks:
        made: Locks = type(self).broken()
        return made


class TestCountsNothing(TestGivesBackAnybodys):
    broken = CountsNothing


class TestKeepsWhatBroke(TestGivesBackAnybodys):
    broken = KeepsWhatBroke


class TestLetsInWhoWaited(TestGivesBackAnybodys):
    broken = LetsInWhoWaited


class GivesTwice(MemoryEventStream):
    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        self._silent_seconds = 0.0
        return await super().take(group, limit=limit, seconds=seconds)


class ForgetsWhatIsDone(MemoryEventStream):
    async def done(self, group: str, positions: Sequence[str], /) -> None:
        """Does nothing."""


class NeverFull(MemoryEventStream):
    async def append(self, event: WireEvent, /) -> None:
        for group in self._groups.values():
            group.asked_at = -math.inf
        await super().append(event)


class BeginsAtTheEnd(MemoryEventStream):
    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        if group not in self._groups:
            await self.done(group, [])
            self._groups[group].reached = self._last
        return await super().take(group, limit=limit, seconds=seconds)


class TestGivesTwice(EventStreamConformance):
    broken: Any = GivesTwice

    @pytest.fixture
    def make_stream(self) -> Callable[..., EventStream]:
        made = list[EventStream]()

        def make(**options: Any) -> EventStream:
            made.append(made[0] if made else type(self).broken(**options))
            return made[0]

        return make


class TestForgetsWhatIsDone(TestGivesTwice):
    broken = ForgetsWhatIsDone


class TestNeverFull(TestGivesTwice):
    broken = NeverFull


class TestBeginsAtTheEnd(TestGivesTwice):
    broken = BeginsAtTheEnd


# -- readers ------------------------------------------------------------------------------------------------------


class Reading(StatementReaderConformance):
    @pytest.fixture
    def samples(self) -> Mapping[bytes, Sequence[str]]:
        said = ["DE001234 CHECKING EUR", "2026-01-05 -12.50 EUR Coffee", "2026-01-31 1 EUR LEDGER"]
        return {lines("account;DE001234", "row;2026-01-05;-12.50;Coffee", "balance;2026-01-31;1"): said}


class RaisesOnTruncated(LinesReader):
    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        assert data.endswith(b"end\n")
        return super().read(data)


class TestRaisesOnTruncated(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return RaisesOnTruncated()


class Changing(LinesReader):
    """Makes something else of each batch."""

    def __init__(self, change: Callable[[SyncBatch], SyncBatch]) -> None:
        self.change = change

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        match super().read(data):
            case Success(read):
                return Success(attrs.evolve(read, batch=self.change(read.batch)))
            case refused:
                return refused


def with_rows(batch: SyncBatch, **fields: Any) -> SyncBatch:
    """Every row with these fields."""
    accounts = [
        attrs.evolve(each, transactions=tuple(attrs.evolve(row, **fields) for row in each.transactions))
        for each in batch.accounts
    ]
    return attrs.evolve(batch, accounts=tuple(accounts))


def named(batch: SyncBatch) -> SyncBatch:
    """Every account with its number in its name."""
    accounts = [
        attrs.evolve(each, account=attrs.evolve(each.account, name=each.account.provider_account_id))
        for each in batch.accounts
    ]
    return attrs.evolve(batch, accounts=tuple(accounts))


class TestPrintsNumbers(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(named)


class TestSaysNothingForUnknown(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(lambda batch: with_rows(batch, memo=""))


class TestTellsInstantsForDays(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(lambda batch: with_rows(batch, posted_date=datetime(2026, 1, 5, tzinfo=UTC)))


class TestTurnsSigns(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(lambda batch: with_rows(batch, amount=Money.parse("12.50", "EUR").unwrap()))


class TestIsInexact(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(lambda batch: with_rows(batch, exchange_rate=1.5))


class LooksAtAll(LinesReader):
    def recognizes(self, data: bytes, /) -> bool:
        return data.decode(errors="replace").startswith("LINES 1")


class TestLooksAtAll(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return LooksAtAll()


class TestIsNeverTheSame(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Changing(lambda batch: with_rows(batch, reference=str(uuid4())))


class TakesAll(LinesReader):
    def recognizes(self, data: bytes, /) -> bool:
        return b"account" in data or not data.decode(errors="replace").startswith("LINES")


class TestTakesAll(Reading):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return TakesAll()


# -- providers ----------------------------------------------------------------------------------------------------


class Leaking(MemoryProvider):
    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        if request.credential not in self.credentials:
            said = f"{request.credential} is refused: connect again"
            return Failure(ProviderFailed(ProviderCode.CREDENTIAL_REFUSED, said))
        return await super().fetch(request)


class TestLeaks(ProviderConformance):
    made: Callable[..., MemoryProvider] = Leaking
    stable_ids = True

    @pytest.fixture
    def provider(self) -> Provider:
        said = "account;1", "row;2026-01-05;-1;Tea;id=1", "row;2026-01-05;-1;Tea;id=1"
        batch = LinesReader().read(lines(*said[: 2 if self.stable_ids else 3])).unwrap().batch
        return type(self).made({"the good one": [batch, SyncBatch()]}, stable_ids=True)

    @pytest.fixture
    def request_ok(self) -> SyncRequest:
        return SyncRequest(credential="the good one")

    @pytest.fixture
    def request_refused(self) -> SyncRequest:
        return SyncRequest(credential="the bad one")


class Echoing(MemoryProvider):
    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        return Success(
            with_rows((await super().fetch(request)).unwrap(), memo=f"brought for {request.credential}")
        )


class TestEchoes(TestLeaks):
    made = Echoing


class Renaming(MemoryProvider):
    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        batch = (await super().fetch(request)).unwrap()
        return Success(with_rows(batch, provider_transaction_id=str(uuid4())))


class TestRenames(TestLeaks):
    made = Renaming


class TestRepeatsIds(TestLeaks):
    stable_ids = False


class Endless(MemoryProvider):
    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        batch = (await super().fetch(attrs.evolve(request, cursor=None))).unwrap()
        return Success(attrs.evolve(batch, more=True))


class TestNeverEnds(TestLeaks):
    made = Endless


class Repeating(MemoryProvider):
    """Says that there is more, and goes on from nowhere."""

    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        batch = (await super().fetch(request)).unwrap()
        return Success(attrs.evolve(batch, next_cursor="1" if batch.more else "no such cursor"))


class TestGoesOnNowhere(TestLeaks):
    made = Repeating
