"""The API while its Redis-compatible server is dead, hung, slow, read-only or full, beside its healthy self.

Run: `.venv/bin/python benchmarks/bench_degraded.py [seconds]`. Eight clients in a process of their own ask for
accounts and transactions over loopback, and every twentieth request changes something; each state begins a second
after they do, so that its onset is in the figures. Cache, rate limits and the event stream are all on that server.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench_http import statement

import dashtam_embedded
from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ImportStatement, ListTransactions
from dashtam_core.identity import CreateApiToken, ExternalSubject
from dashtam_fastapi import ServiceSettings, create_app, serve
from dashtam_postgres import upgrade

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from integration.redis.servers import OwnServer, Proxy, full, read_only, running

CLIENTS = 8
ONSET = 1.0
CLIENT = """
import asyncio, json, sys, time
host, port, token, seconds, clients, row = sys.argv[1:7]
until = time.perf_counter() + float(seconds)
took, statuses = [], {}

async def ask(reader, writer, method, path, body=b""):
    head = f"{method} {path} HTTP/1.1\\r\\nhost: x\\r\\nauthorization: Bearer {token}\\r\\n"
    head += f"content-type: application/json\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n"
    began = time.perf_counter()
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\\r\\n\\r\\n")
    lines = answer.lower().split(b"\\r\\n")
    size = next((int(line[16:]) for line in lines if line.startswith(b"content-length: ")), 0)
    await reader.readexactly(size)
    took.append(time.perf_counter() - began)
    status = answer.split(b" ", 2)[1].decode()
    statuses[status] = statuses.get(status, 0) + 1

async def client(number):
    reader, writer = await asyncio.open_connection(host, int(port))
    count = number
    while time.perf_counter() < until:
        count += 1
        if count % 20 == 0:
            said = json.dumps({"note": str(count)}).encode()
            await ask(reader, writer, "PUT", f"/v1/transactions/{row}/annotation", said)
        else:
            await ask(reader, writer, "GET", "/v1/accounts" if count % 2 else "/v1/transactions")
    writer.close()

async def main():
    await asyncio.gather(*(client(number) for number in range(int(clients))))
    print(json.dumps({"took": took, "statuses": statuses}))

asyncio.run(main())
"""

type Service = tuple[int, str, str]  # its port, a token, and the id of a transaction
type State = Callable[[], AbstractAsyncContextManager[object]]


async def load(port: int, token: str, row: str, seconds: float) -> Any:
    arguments = ("127.0.0.1", str(port), token, str(seconds), str(CLIENTS), row)
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, *arguments), stdout=asyncio.subprocess.PIPE, limit=2**26
    )
    out, _ = await client.communicate()
    return json.loads(out)


def states(server: OwnServer, line: Proxy) -> dict[str, State]:
    @asynccontextmanager
    async def cut() -> AsyncGenerator[None]:
        await line.cut()
        yield
        await line.mend()

    @asynccontextmanager
    async def killed() -> AsyncGenerator[None]:
        server.kill()
        yield
        await server.start()

    @asynccontextmanager
    async def hung() -> AsyncGenerator[None]:
        server.pause()
        yield
        server.resume()

    def slow(seconds: float) -> State:
        @asynccontextmanager
        async def slowed() -> AsyncGenerator[None]:
            line.delay = seconds
            yield
            line.delay = 0.0

        return slowed

    return {
        "healthy": nullcontext,
        "dead: killed": killed,
        "dead: the line is cut": cut,
        "hung (SIGSTOP)": hung,
        "slow: 5 ms each way": slow(0.005),
        "slow: 20 ms each way": slow(0.02),
        "slow: 45 ms each way": slow(0.045),
        "slow: 1 s each way": slow(1.0),
        "read-only": lambda: read_only(server.url),
        "full": lambda: full(server.url),
        "healthy again": nullcontext,
    }


async def measure(name: str, state: State, service: Service, seconds: float) -> None:
    loading = asyncio.create_task(load(*service, seconds + ONSET))
    await asyncio.sleep(ONSET)
    async with state():
        answer = await loading
    took, statuses = sorted(each * 1e3 for each in answer["took"]), answer["statuses"]
    failed = {status: count for status, count in statuses.items() if status != "200"}
    p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
    print(
        f"| {name} | {len(took) / (seconds + ONSET):,.0f} | {p50:.1f} | {p99:.1f} | {took[-1]:.1f} "
        f"| {sum(count for status, count in statuses.items() if status >= '500')} | {failed or 'none'} |",
        flush=True,
    )
    await asyncio.sleep(2.0)  # for what is to come back


@asynccontextmanager
async def opened(cache_url: str | None, database: str) -> AsyncGenerator[Service]:
    """The service on a port of loopback, with a token and a transaction of a person who has 10,000."""
    settings = Settings(store_url=database, cache_url=cache_url, bus_url=cache_url, key="k" * 32, slow_seconds=60)
    async with Dashtam.open(settings=settings) as dashtam:
        me = dashtam.acting_as(ExternalSubject("bench"))
        (await me.execute(ImportStatement(statement(10_000, "4417", 0)))).unwrap()
        token = (await me.execute(CreateApiToken("bench"))).unwrap().token
        row = (await me.ask(ListTransactions(limit=1))).unwrap().items[0].transaction_id
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        app = create_app(ServiceSettings(rate_limit=10_000_000), dashtam=dashtam)
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, ready.set_result))
        yield int((await ready).rpartition(":")[2]), token, str(row)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def main(seconds: float) -> None:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(dashtam_embedded.postgres())
        await upgrade(database.admin_url, app_role="dashtam_app", app_password="bench")
        url = f"postgresql://dashtam_app:bench@{database.admin_url.rpartition('@')[2]}"
        server = await stack.enter_async_context(running(tempfile.gettempdir()))
        line = await stack.enter_async_context(Proxy(server.url))
        print("| state | requests/s | p50 ms | p99 ms | most ms | 5xx | other than 200 |")
        print("|---|--:|--:|--:|--:|--:|---|")
        async with opened(None, url) as service:
            await measure("no such server configured", nullcontext, service, seconds)
        async with opened(line.url, url) as service:
            for name, state in states(server, line).items():
                await measure(name, state, service, seconds)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
