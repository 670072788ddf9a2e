"""Statement files through the whole service: HTTP, reading, keys, audit and PostgreSQL, and who waits meanwhile.

Run: `.venv/bin/python benchmarks/bench_http.py [rows...]`, 10,000 and 100,000 by default. An OFX file of so many
transactions is posted to `/v1/imports` over loopback by another process, and once more a row further on. Prints
rows per second, CPU per row of the service and of the database, the largest memory of the service so far, and the
lag of its event loop: how much later than asked a task that sleeps one millisecond goes on while the import runs.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import attrs
import psutil

import dashtam_embedded
from dashtam_core import Dashtam, Settings
from dashtam_core.identity import CreateApiToken, ExternalSubject
from dashtam_core.kernel import Success
from dashtam_fastapi import ServiceSettings, create_app, serve
from dashtam_postgres import upgrade

LIMIT = 2**30
CLIENT = """
import http.client, sys, time
host, port, token, path, boundary = *sys.argv[1:5], "statement"
data = open(path, "rb").read()
head = f'--{boundary}\\r\\nContent-Disposition: form-data; name="file"; filename="a.ofx"\\r\\n\\r\\n'.encode()
body = head + data + f"\\r\\n--{boundary}--\\r\\n".encode()
headers = {"authorization": f"Bearer {token}", "content-type": f"multipart/form-data; boundary={boundary}"}
start = time.perf_counter()
connection = http.client.HTTPConnection(host, int(port), timeout=900)
connection.request("POST", "/v1/imports", body, headers)
answer = connection.getresponse()
said = answer.read()
print(answer.status, time.perf_counter() - start, said[:200] if answer.status >= 400 else "")
"""


def statement(count: int, account: str, first: int) -> bytes:
    """Rows as a checking account has them, one in ten a twin of the one before."""
    rows = "".join(
        f"<STMTTRN><TRNTYPE>POS<DTPOSTED>{date(2020, 1, 1) + timedelta(n // 40):%Y%m%d}"
        f"<TRNAMT>-{n % 999}.{n % 100:02}<FITID>{n - (n % 10 == 1)}"
        f"<NAME>CARD PURCHASE {n - (n % 10 == 1)} SOMEWHERE</STMTTRN>\n"
        for n in range(first, first + count)
    )
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM>"
        f"<BANKID>021<ACCTID>{account}<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST>\n{rows}</BANKTRANLIST></STMTRS>"
        "</STMTTRNRS></BANKMSGSRSV1></OFX>\n"
    ).encode()


@attrs.define
class Lag:
    """How late a sleeping task goes on, in milliseconds, while it runs."""

    late: list[float] = attrs.field(factory=list[float])

    async def sample(self) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            self.late.append((time.perf_counter() - start) * 1000 - 1)

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.late, n=100)
        return f"lag ms: p50 {cuts[49]:5.1f}  p99 {cuts[98]:5.1f}  max {max(self.late):5.1f}"


@asynccontextmanager
async def serving(dashtam: Dashtam) -> AsyncGenerator[int]:
    """The service as `dashtam serve` runs it; yields its port."""
    app = create_app(ServiceSettings(import_max_bytes=LIMIT, rate_limit=0), dashtam=dashtam)
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, ready.set_result))
    yield int((await ready).rpartition(":")[2])
    task.cancel()
    await asyncio.wait([task])


async def post(port: int, token: str, file: Path) -> tuple[float, Lag]:
    lag = Lag()
    sampler = asyncio.create_task(lag.sample())
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, "127.0.0.1", str(port), token, str(file), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    sampler.cancel()
    status, seconds, *said = out.decode().split(maxsplit=2)
    if status not in {"200", "201"}:
        raise SystemExit(f"{status}: {said}")
    return float(seconds), lag


def cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


async def measure(port: int, token: str, count: int, server: dashtam_embedded.PostgresServer) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "statement.ofx"
        for first, turn in enumerate(("new", "overlapping")):
            file.write_bytes(await asyncio.to_thread(statement, count, f"4417{count}", first))
            me, database = [psutil.Process()], postgres(server)
            before, other = cpu(me), cpu(database)
            seconds, lag = await post(port, token, file)
            mine, theirs = cpu(me) - before, cpu(database) - other
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{count:>9,} {turn:12} {count / seconds:8,.0f} rows/s  {seconds:6.2f} s  "
                f"CPU µs/row: service {mine / count * 1e6:5.1f} database {theirs / count * 1e6:5.1f}  "
                f"memory {memory:6,.0f} MiB  {lag}",
                flush=True,
            )


def postgres(server: dashtam_embedded.PostgresServer) -> list[psutil.Process]:
    """The server's processes, the parent found by the port it was started with."""
    port = server.admin_url.rpartition(":")[2].partition("/")[0]
    started = (
        each for each in psutil.process_iter(["cmdline"]) if f"port={port}" in " ".join(each.info["cmdline"] or ())
    )
    return [process for parent in started for process in (parent, *parent.children())]


async def main(counts: list[int]) -> None:
    async with dashtam_embedded.postgres() as server:
        await upgrade(server.admin_url, app_role="dashtam_app", app_password="bench")
        url = f"postgresql://dashtam_app:bench@{server.admin_url.rpartition('@')[2]}"
        settings = Settings(store_url=url, master_key="k" * 32, import_max_bytes=LIMIT)
        async with Dashtam.open(settings=settings) as dashtam:
            me = dashtam.acting_as(ExternalSubject("bench"))
            made = await me.execute(CreateApiToken("bench"))
            assert isinstance(made, Success), made
            async with serving(dashtam) as port:
                idle = Lag()
                sampler = asyncio.create_task(idle.sample())
                await asyncio.sleep(2)
                sampler.cancel()
                print(f"{'idle':>9} {idle}")
                for count in counts:
                    await measure(port, made.unwrap().token, count, server)


if __name__ == "__main__":
    asyncio.run(main([int(each.replace(",", "").replace("_", "")) for each in sys.argv[1:]] or [10_000, 100_000]))
