"""What the cache gains, query by query: an answer out of Valkey beside the same answer out of PostgreSQL.

Run: `.venv/bin/python benchmarks/bench_cache.py`. A person with 3 accounts and 30,000 transactions asks each query
as the REST API does, rendered as JSON, one at a time and 8 at once: without a cache, and with the answer kept.
Both go through the whole pipeline. CPU is that of this process, PostgreSQL and Valkey together; a gain is without
over with. `*` marks what Dashtam keeps. Then, 10,000 times, a change and a read: how often that is stale.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import attrs
import psutil
from bench_http import postgres, statement
from pydantic_core import from_json, to_json

import dashtam_embedded
from dashtam_core import Actor, Dashtam, Settings
from dashtam_core import accounts as core
from dashtam_core.identity import ExternalSubject
from dashtam_core.messaging import Query, Rendering
from dashtam_core.portfolio import ListMatches, MatchedPair, MatchKind, match_view
from dashtam_postgres import upgrade

ROWS = 10_000
CALLS = 320
RUNS = 5
AT_ONCE = 8
READS = 10_000


@attrs.frozen
class Measured:
    milliseconds: float
    cpu: float


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[Dashtam, Dashtam, list[psutil.Process], str]]:
    """Dashtam on one database without and with a cache, the processes that work for it, and the owner's URL."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(dashtam_embedded.postgres())
        cache = await stack.enter_async_context(dashtam_embedded.valkey())
        await upgrade(server.admin_url, app_role="dashtam_app", app_password="bench")
        url = f"postgresql://dashtam_app:bench@{server.admin_url.rpartition('@')[2]}"
        bare, cached = [
            await stack.enter_async_context(
                Dashtam.open(settings=Settings(store_url=url, cache_url=each, key="k" * 32, slow_seconds=60))
            )
            for each in (None, cache.url)
        ]
        listening = [each.pid for each in psutil.net_connections("tcp") if each.laddr[1:] == (cache.port,)]
        yield (
            bare,
            cached,
            [psutil.Process(), *postgres(server), psutil.Process(next(filter(None, listening)))],
            server.admin_url,
        )


VIEWS: Mapping[type, Any] = {
    core.AccountOverview: core.account_view,
    core.Transaction: core.transaction_view,
    core.Balance: core.balance_view,
    core.Holding: core.holding_view,
    MatchedPair: match_view,
}


def shown(answer: Any) -> Any:
    """As the REST API shows it."""
    if type(answer) in VIEWS:
        return VIEWS[type(answer)](answer)
    return {"items": [shown(each) for each in getattr(answer, "items", answer)]}


RENDERING = Rendering("bench", lambda answer: to_json(shown(answer)))


async def queries(me: Actor) -> Mapping[str, Query[Any, Any]]:
    page = (await me.ask(core.ListAccounts())).unwrap()
    first = (await me.ask(core.ListTransactions())).unwrap()
    deep = (await me.ask(core.ListTransactions(limit=500))).unwrap().next_cursor
    account = page.items[0].account.account_id
    return {
        "list accounts": core.ListAccounts(),
        "get account": core.GetAccount(account),
        "list transactions, 50": core.ListTransactions(),
        "list transactions, 500": core.ListTransactions(limit=500),
        "of an account, a later page": core.ListTransactions(cursor=deep),
        "get transaction": core.GetTransaction(first.items[0].transaction_id),
        "list balances": core.ListBalances(account_id=account),
        "list holdings": core.ListHoldings(account),
        "suggest transfers": ListMatches(kind=MatchKind.TRANSFER),
        "suggest duplicates": ListMatches(kind=MatchKind.DUPLICATE),
    }


async def measure(me: Actor, query: Query[Any, Any], at_once: int, working: Sequence[psutil.Process]) -> Measured:
    calls = CALLS if (await timed(me, query)) < 0.01 else CALLS // 8
    todo = iter(range(calls))

    async def ask() -> None:
        for _ in todo:
            (await me.render(query, RENDERING)).unwrap()

    before, began = cpu(working), time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(at_once)))
    took = time.perf_counter() - began
    return Measured(took / calls * 1e3, (cpu(working) - before) / calls * 1e3)


async def timed(me: Actor, query: Query[Any, Any]) -> float:
    began = time.perf_counter()
    (await me.render(query, RENDERING)).unwrap()
    return time.perf_counter() - began


def cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(each.cpu_times().user + each.cpu_times().system for each in processes)


async def compare(bare: Actor, cached: Actor, working: Sequence[psutil.Process]) -> None:
    print("| query | kB | at once | ms without | with | gain | CPU ms without | with | gain |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, query in (await queries(bare)).items():
        chosen = type(query).cached
        type(query).cached = True
        size = len((await cached.render(query, RENDERING)).unwrap()) / 1e3
        for at_once in (1, AT_ONCE):
            runs = [
                (await measure(bare, query, at_once, working), await measure(cached, query, at_once, working))
                for _ in range(RUNS)
            ]
            wall, less = (statistics.median(run[way].milliseconds for run in runs) for way in (0, 1))
            work, lighter = (statistics.median(run[way].cpu for run in runs) for way in (0, 1))
            print(
                f"| {name}{' *' if chosen else ''} | {size:.1f} | {at_once} | {wall:.2f} | {less:.2f} "
                f"| {wall / less:.1f} x | {work:.2f} | {lighter:.2f} | {work / lighter:.1f} x |",
                flush=True,
            )
        type(query).cached = chosen


async def read_after_write(me: Actor) -> int:
    """How often of many times a person does not read what they just wrote, with three others reading meanwhile."""
    query = next(iter((await me.ask(core.ListTransactions(limit=1))).unwrap().items))
    ask, stale = core.GetTransaction(query.transaction_id), 0
    chosen, core.GetTransaction.cached = core.GetTransaction.cached, True

    async def read_on() -> None:
        while True:
            (await me.render(ask, RENDERING)).unwrap()

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read_on()) for _ in range(3)]
        for number in range(READS):
            said = core.AnnotateTransaction(transaction_id=query.transaction_id, note=str(number))
            (await me.execute(said)).unwrap()
            found = from_json((await me.render(ask, RENDERING)).unwrap())
            stale += found["annotation"]["note"] != str(number)
        for each in readers:
            each.cancel()
    core.GetTransaction.cached = chosen
    return stale


async def analyze(admin_url: str) -> None:
    """As the database does by itself within a minute."""
    connection = await asyncpg.connect(admin_url)
    await connection.execute("ANALYZE")
    await connection.close()


async def main() -> None:
    async with opened() as (bare, cached, working, admin_url):
        person = ExternalSubject("bench")
        me, mine = bare.acting_as(person), cached.acting_as(person)
        for account in ("1111", "2222", "3333"):
            (await mine.execute(core.ImportStatement(statement(ROWS, account, int(account))))).unwrap()
        await analyze(admin_url)
        if "reads" not in sys.argv:
            await compare(me, mine, working)
        print(f"{READS:,} reads after a write: {await read_after_write(mine)} stale")


if __name__ == "__main__":
    asyncio.run(main())
