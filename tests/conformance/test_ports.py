"""What Dashtam ships beside its stores, held to the suites of its ports; and what each store claims."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.accounts import StatementReader
from dashtam_core.audit import Ed25519Signer, KeyVault, PersonalVault, Signer
from dashtam_core.connections import Provider, SyncRequest
from dashtam_core.identity import Keyring, MasterKey, RateLimiter
from dashtam_core.kernel import Clock, Subject, SystemClock
from dashtam_core.memory import (
    FixedClock,
    MemoryCache,
    MemoryEventBus,
    MemoryEventStream,
    MemoryLocks,
    MemoryProvider,
    MemoryRateLimiter,
    MemoryStore,
    MemoryVault,
)
from dashtam_core.messaging import Cache, EventStream, Locks
from dashtam_core.store import Capability, Store
from dashtam_core.testing import (
    CacheConformance,
    ClockConformance,
    Counts,
    EventBusConformance,
    EventStreamConformance,
    KeyringConformance,
    LocksConformance,
    PersonalVaultConformance,
    ProviderConformance,
    RateLimiterConformance,
    SignerConformance,
    StatementReaderConformance,
)
from dashtam_core.testing.samples import LinesReader, lines
from dashtam_files import CamtReader, CsvReader, Mt940Reader, OfxReader, QifReader
from dashtam_postgres import PostgresStore

STATEMENTS = Path(__file__).resolve().parents[2] / "examples/service/statements"
CAPABILITIES = {
    MemoryStore: "transactions ordered_outbox identity",
    PostgresStore: "transactions row_level_security bulk_copy immutable_audit ordered_outbox identity",
}


@pytest.mark.parametrize(
    ("store", "claimed"), CAPABILITIES.items(), ids=lambda each: getattr(each, "__name__", "")
)
def test_each_store_claims_what_it_is_known_for(store: type[MemoryStore | PostgresStore], claimed: str) -> None:
    """A capability that comes or goes is a decision, and is written down here."""
    assert store.capabilities == frozenset(map(Capability, claimed.split()))


class TestMemoryEventBus(EventBusConformance):
    @pytest.fixture
    def make_bus(self) -> type[MemoryEventBus]:
        return MemoryEventBus


class TestMemoryCache(CacheConformance):
    @pytest.fixture
    def cache(self) -> Cache:
        return MemoryCache()


class TestMemoryLocks(LocksConformance):
    @pytest.fixture
    def locks(self) -> Locks:
        return MemoryLocks()


class TestMemoryEventStream(EventStreamConformance):
    @pytest.fixture
    def make_stream(self) -> Callable[..., EventStream]:
        made = list[MemoryEventStream]()

        def make(**options: Any) -> EventStream:
            """One for all who are in this process."""
            if not made:
                made.append(MemoryEventStream(**options))
            return made[0]

        return make


class TestMemoryVault(PersonalVaultConformance):
    @pytest.fixture
    def vault(self) -> PersonalVault:
        return MemoryVault()


class TestKeyVault(PersonalVaultConformance):
    @pytest.fixture(params=["memory", "postgres"])
    def behind(self, request: pytest.FixtureRequest) -> Store:
        store: Store = MemoryStore() if request.param == "memory" else request.getfixturevalue("store")
        return store

    @pytest.fixture
    def vault(self, behind: Store) -> PersonalVault:
        return KeyVault(behind.unit_of_work, bytes(range(32)))

    @pytest.fixture
    def erase(self, behind: Store) -> Callable[[Subject], Awaitable[None]]:
        async def erase(person: Subject) -> None:
            async with behind.unit_of_work(person) as unit:
                await unit.people.erase()

        return erase


class TestEd25519Signer(SignerConformance):
    @pytest.fixture
    def signer(self) -> Signer:
        return Ed25519Signer.from_seed("example.com/audit", bytes(range(32)))


class TestMasterKey(KeyringConformance):
    @pytest.fixture
    def keyring(self) -> Keyring:
        return MasterKey(bytes(range(32)))


class TestMemoryRateLimiter(RateLimiterConformance):
    @pytest.fixture
    async def limiter(self) -> RateLimiter:
        return MemoryRateLimiter()


class TestClocks(ClockConformance):
    @pytest.fixture(params=[SystemClock, FixedClock])
    def clock(self, request: pytest.FixtureRequest) -> Clock:
        clock: Clock = request.param()
        return clock


class TestLinesReader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return LinesReader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, list[str]]:
        sample = lines(
            "account;DE00 1234;EUR;Everyday",
            "row;2026-01-05;-12.50;Coffee;id=T1;payee=Caf\u00e9;memo=two cups",
            "row;2026-01-07;1000.000;;pending",
            "balance;2026-01-31;987.50",
            "warning;date_unreadable;row 3;31.02.",
            "account;US99;usd",
            "account;JP11;JPY",
            "row;2026-01-05;-1e3;one line\\nanother",
            "row;2026-01-06;-1000;one line\\nanother",
            "balance;2026-02-30;1",
            "what is this",
        )
        return {
            sample: [
                "DE00 1234 CHECKING EUR",
                "2026-01-05 -12.50 EUR Coffee",
                "2026-01-07 1000.000 EUR None",
                "2026-01-31 987.50 EUR LEDGER",
                "JP11 CHECKING JPY",
                "2026-01-06 -1000 JPY one line\nanother",
                "warning date_unreadable row 3",
                "warning line_unreadable line 7",
                "warning line_unreadable line 9",
                "warning line_unreadable line 11",
                "warning line_unreadable line 12",
            ],
            lines(): [],
        }


class TestOfxReader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return OfxReader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, Counts]:
        return {
            (STATEMENTS / "everyday-checking.ofx").read_bytes(): Counts(accounts=1, rows=26, balances=2),
            (STATEMENTS / "travel-card.qfx").read_bytes(): Counts(accounts=1, rows=12, balances=2),
            (STATEMENTS / "household.ofx").read_bytes(): Counts(accounts=2, rows=16, balances=2),
        }


class TestCamtReader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return CamtReader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, Counts]:
        return {(STATEMENTS / "vereinskonto.xml").read_bytes(): Counts(1, 2, 2)}


class TestMt940Reader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return Mt940Reader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, Counts]:
        return {(STATEMENTS / "girokonto.sta").read_bytes(): Counts(1, 5, 2)}


class TestQifReader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return QifReader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, Counts]:
        # By the number of its account: a name, which is no number, is printed.
        data = (STATEMENTS / "quicken-1999.qif").read_bytes()
        return {data.replace(b"Old Savings", b"DE02120300000000202051"): Counts(1, 2, 0, 1)}


class TestCsvReader(StatementReaderConformance):
    @pytest.fixture
    def reader(self) -> StatementReader:
        return CsvReader()

    @pytest.fixture
    def samples(self) -> Mapping[bytes, Counts]:
        account = b"IBAN;DE02 1203 0000 0000 2020 51;;\n"
        return {account + (STATEMENTS / "wallet.csv").read_bytes(): Counts(1, 3, 2, 1)}


class TestMemoryProvider(ProviderConformance):
    @pytest.fixture(params=[True, False], ids=["stable ids", "no stable ids"])
    def provider(self, request: pytest.FixtureRequest) -> Provider:
        said = [
            lines(
                *("account;DE00 1234;EUR;Everyday", "row;2026-01-05;-12.50;Coffee;id=1"),
                *("row;2026-01-05;-12.50;Coffee;id=2", "balance;2026-01-31;987.50"),
                *("account;US99 4321;USD", "row;2026-01-06;100.0001;;id=1"),
            ),
            lines("account;DE00 1234", "row;2026-01-07;-3;Tea;id=3"),
        ]
        batches = [LinesReader().read(each).unwrap().batch for each in said]
        return MemoryProvider({"token of ann": batches}, stable_ids=request.param)

    @pytest.fixture
    def request_ok(self) -> SyncRequest:
        return SyncRequest(credential="token of ann")

    @pytest.fixture
    def request_refused(self) -> SyncRequest:
        return SyncRequest(credential="token that was revoked")
