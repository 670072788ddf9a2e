"""Ingestion beside its limit: parsed rows into the migrated store, against COPY into a table with no index.

Run: `.venv/bin/python benchmarks/bench_ingest.py [rows]`, 100,000 by default. Prints rows per second, the ratio to
the bare COPY of the same run, and CPU per row of this process and of the server. "store" is the port alone, given
rows with their keys; "import" is the whole command: keys, pipeline, one transaction.
"""

import asyncio
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import asyncpg
import attrs
import psutil

import dashtam_embedded
from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import (
    Account,
    AccountBatch,
    AccountData,
    AccountId,
    AccountType,
    ImportFailed,
    ImportStatement,
    KeyedTransaction,
    Statement,
    SyncBatch,
    TransactionData,
    TransactionType,
    keyed,
)
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Currency, Money, Result, Subject, Success, new_id
from dashtam_postgres import PostgresStore, open_store, upgrade
from dashtam_postgres._transactions import _COLUMNS, _record

ROUNDS = 3
USD = Currency("USD")


def rows(count: int) -> tuple[TransactionData, ...]:
    """Rows as a checking account has them: half with a bank's id, one in ten a twin of the one before."""
    return tuple(
        TransactionData(
            posted_date=date(2020, 1, 1) + timedelta(n % 1500),
            amount=Money(Decimal(n % 99_999).scaleb(-2), USD),
            type=TransactionType.POS,
            description=f"CARD PURCHASE {n // 2 if n % 10 == 0 else n} SOMEWHERE",
            provider_transaction_id=f"2020{n:012}" if n % 2 else None,
        )
        for n in range(count)
    )


@attrs.frozen
class Parsed:
    """A reader whose statement is there already: what is measured begins after parsing."""

    batch: SyncBatch
    name: str = "parsed"

    def recognizes(self, data: bytes, /) -> bool:
        return bool(data)

    def read(self, _data: bytes, /) -> Result[Statement, ImportFailed]:
        return Success(Statement(format="parsed", encoding="utf-8", parser="benchmark", batch=self.batch))

    @hookimpl
    def dashtam_readers(self) -> list["Parsed"]:
        return [self]


@attrs.frozen
class Cost:
    """What one run took: wall seconds, and CPU seconds of this process and of the server's."""

    wall: float
    client: float
    server: float


class Meter:
    """Measures a run together with the PostgreSQL processes below `postmaster`."""

    def __init__(self, postmaster: psutil.Process) -> None:
        self.postmaster = postmaster

    def _server(self) -> float:
        times = [process.cpu_times() for process in (self.postmaster, *self.postmaster.children())]
        return sum(each.user + each.system for each in times)

    async def run(self, work: Callable[[], Awaitable[object]]) -> Cost:
        wall, client, server = time.perf_counter(), time.process_time(), self._server()
        await work()
        return Cost(time.perf_counter() - wall, time.process_time() - client, self._server() - server)


async def main(count: int) -> None:
    async with dashtam_embedded.postgres() as server:
        await upgrade(server.admin_url, app_role="dashtam_app", app_password="benchmark")
        app_url = server.admin_url.replace(server.admin_url.split("@")[0], "postgresql://dashtam_app:benchmark")
        admin = await asyncpg.connect(server.admin_url)
        backend = psutil.Process(await admin.fetchval("SELECT pg_backend_pid()"))
        postmaster = backend.parent()
        assert postmaster is not None
        try:
            async with open_store(app_url) as store:
                report(count, await measure(count, admin, Meter(postmaster), store))
        finally:
            await admin.close()


async def measure(
    count: int, admin: "asyncpg.Connection[asyncpg.Record]", meter: Meter, store: PostgresStore
) -> dict[str, list[Cost]]:
    """Each way in, several times over, every turn as another person."""
    account = AccountData(
        provider_account_id="1", number="1", account_type=AccountType.CHECKING, currency=USD, bank_id="1"
    )
    data = rows(count)
    batch = SyncBatch(accounts=(AccountBatch(account=account, transactions=data),))
    costs: dict[str, list[Cost]] = defaultdict(list)
    settings = Settings(master_key="benchmark" * 4)
    async with Dashtam.open(settings=settings, store=store, plugins=[Parsed(batch)]) as dashtam:
        for turn in range(ROUNDS):
            me, other = ExternalSubject(f"person {turn}"), ExternalSubject(f"other {turn}")
            keyed_rows = list(keyed(data))
            costs["COPY, no index"].append(await meter.run(partial(copy, admin, keyed_rows)))
            account_id = await new_account(store, other)
            for name in ("store, keyed rows, all new", "store, keyed rows, all known"):
                costs[name].append(await meter.run(partial(add, store, other, account_id, keyed_rows)))
            for name in ("import, all new", "import, all known"):
                command = ImportStatement(name.encode())
                costs[name].append(await meter.run(partial(dashtam.acting_as(me).execute, command)))
            await admin.execute("CHECKPOINT")
    return costs


async def copy(admin: "asyncpg.Connection[asyncpg.Record]", keyed_rows: list[KeyedTransaction]) -> None:
    """The limit: rows made beforehand, into a table without an index."""
    nobody = ExternalSubject("copy").user_id
    records = [(*_record(nobody, None, AccountId(nobody), row, row.data), None) for row in keyed_rows]
    await admin.execute("DROP TABLE IF EXISTS plain; CREATE TABLE plain (LIKE dashtam.transaction)")
    await admin.copy_records_to_table("plain", records=records, columns=_COLUMNS)


async def new_account(store: PostgresStore, subject: Subject) -> AccountId:
    account = Account(
        account_id=AccountId(new_id()),
        provider="benchmark",
        account_key=b"benchmark",
        name="benchmark",
        account_type=AccountType.CHECKING,
        currency=USD,
        created_at=datetime.now(UTC),
    )
    async with store.unit_of_work(subject) as unit:
        (stored,) = await unit.accounts.add_accounts([account])
    return stored.account_id


async def add(store: PostgresStore, subject: Subject, account_id: AccountId, some: list[KeyedTransaction]) -> None:
    async with store.unit_of_work(subject) as unit:
        await unit.transactions.add(None, {account_id: some})


def report(count: int, costs: dict[str, list[Cost]]) -> None:
    limit = statistics.median(cost.wall for cost in costs["COPY, no index"])
    print(f"{count:,} rows, median of {ROUNDS}; CPU in µs per row")
    print(f"{'':20}{'rows/s':>10}{'ratio':>8}{'client':>9}{'server':>9}")
    for name, several in costs.items():
        wall = statistics.median(cost.wall for cost in several)
        client = statistics.median(cost.client for cost in several) / count * 1e6
        server = statistics.median(cost.server for cost in several) / count * 1e6
        print(f"{name:30}{count / wall:>10,.0f}{limit / wall:>8.2f}{client:>9.1f}{server:>9.1f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
