"""A check of the rate limits beside one GET, on Valkey: the limit is a GET through the same connection.

Run: `.venv/bin/python benchmarks/bench_limits.py`. One key and three at once, one call at a time and 64 at once.
CPU is that of this process and of the server together; ratios are to the GET of the same run.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import psutil

import dashtam_embedded
import dashtam_redis
from dashtam_core.identity import Rate

CALLS = 6_400
RUNS = 9

type Call = Callable[[], Awaitable[object]]


async def measure(call: Call, at_once: int, working: Sequence[psutil.Process]) -> tuple[float, float]:
    """Wall and CPU microseconds a call."""
    todo = iter(range(CALLS))

    async def work() -> None:
        for _ in todo:
            await call()

    before, began = cpu(working), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    took, worked = time.perf_counter() - began, cpu(working) - before
    return took / CALLS * 1e6, worked / CALLS * 1e6


def cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


async def main() -> None:
    async with dashtam_embedded.valkey() as server, dashtam_redis.open_shared(server.url) as shared:
        listening = [each.pid for each in psutil.net_connections("tcp") if each.laddr[1:] == (server.port,)]
        working = [psutil.Process(), psutil.Process(next(filter(None, listening)))]
        await shared.cache.set("key", b"x" * 16, seconds=600)
        ample = Rate(10_000_000, 0.001)
        ways: dict[str, Call] = {
            "GET": lambda: shared.cache.get("key"),
            "a limit": lambda: shared.limits.take({"one": ample}),
            "three limits": lambda: shared.limits.take({"one": ample, "two": ample, "three": ample}),
        }
        print("| call | at once | µs | to a GET | µs CPU | to a GET |\n|---|--:|--:|--:|--:|--:|")
        for at_once in (1, 64):
            runs = [[await measure(call, at_once, working) for call in ways.values()] for _ in range(RUNS)]
            for place, name in enumerate(ways):
                wall = statistics.median(run[place][0] for run in runs)
                work = statistics.median(run[place][1] for run in runs)
                longer = statistics.median(run[place][0] / run[0][0] for run in runs)
                dearer = statistics.median(run[place][1] / run[0][1] for run in runs)
                print(f"| {name} | {at_once} | {wall:.0f} | {longer:.2f} | {work:.0f} | {dearer:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
