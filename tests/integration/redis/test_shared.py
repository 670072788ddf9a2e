import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

import dashtam_redis
from dashtam_core.identity import Rate
from dashtam_core.testing import CacheConformance, LocksConformance, RateLimiterConformance
from dashtam_redis import RedisShared
from integration.redis.servers import OwnServer, Proxy, client

HOUR = 3600.0
PATIENCE = 30


@pytest.fixture
async def shared(redis_url: str) -> AsyncGenerator[RedisShared]:
    async with dashtam_redis.open_shared(redis_url) as shared:
        yield shared


class TestRedisCache(CacheConformance):
    @pytest.fixture
    async def cache(self, shared: RedisShared) -> object:
        return shared.cache


class TestRedisLocks(LocksConformance):
    @pytest.fixture
    async def locks(self, shared: RedisShared) -> object:
        return shared.locks


class TestRedisRateLimiter(RateLimiterConformance):
    @pytest.fixture
    async def limiter(self, shared: RedisShared) -> object:
        return shared.limits


async def token(shared: RedisShared) -> int:
    async with shared.locks.hold("import", seconds=HOUR) as lease:
        assert lease is not None
        return lease.token


@pytest.mark.parametrize("seed", range(4))
async def test_a_rate_holds_for_all_processes_together(redis_url: str, seed: int) -> None:
    """However many take of several rates at once, over connections of their own."""
    chance = random.Random(seed)
    rates = {key: Rate(chance.randint(1, 30), chance.uniform(0.002, 0.02)) for key in "abcd"}
    let_in, start = Counter[str](), time.monotonic()

    async def take(shared: RedisShared, some: random.Random) -> None:
        for _ in range(60):
            wanted = dict(some.sample([*rates.items()], some.randint(1, 3)))
            allowance = await shared.limits.take(wanted)
            if not allowance.wait:
                let_in.update(wanted.keys())
                assert allowance.left < min(rate.burst for rate in wanted.values())

    async with AsyncExitStack() as processes:
        several = [await processes.enter_async_context(dashtam_redis.open_shared(redis_url)) for _ in range(4)]
        tasks = [take(shared, random.Random(chance.random())) for shared in several for _ in range(4)]
        await asyncio.gather(*tasks)
    passed = time.monotonic() - start
    for key, rate in rates.items():
        assert rate.burst <= let_in[key] <= rate.burst + passed / rate.seconds


async def test_who_leaves_before_it_is_sent_is_not_counted(shared: RedisShared) -> None:
    """Nobody counts for what they were cancelled in asking."""
    taking = asyncio.create_task(shared.limits.take({"key": Rate(3, HOUR)}))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    assert (await shared.limits.take({"key": Rate(3, HOUR)})).left == 2


async def test_a_clock_that_was_set_back_locks_nobody_out(shared: RedisShared, redis_url: str) -> None:
    """What says that a key has its room again in an hour is not believed: it never takes longer than a burst."""
    rate = Rate(3, 0.01)
    await shared.limits.take({"key": rate})
    async with client(redis_url) as administrator:
        (kept,) = await administrator.keys("*limit*")
        await administrator.set(kept, int((time.time() + HOUR) * 1e6))
    wait = (await shared.limits.take({"key": rate})).wait
    assert 0 < wait <= rate.seconds
    await asyncio.sleep(wait)
    assert not (await shared.limits.take({"key": rate})).wait


async def test_scripts_that_a_server_has_lost_are_sent_again(shared: RedisShared, redis_url: str) -> None:
    """It loses them when it starts anew."""
    async with client(redis_url) as administrator:
        for _ in range(2):
            assert not (await shared.limits.take({"key": Rate(3, HOUR)})).wait
            await administrator.script_flush()


async def test_tokens_grow_whatever_the_server_forgets(own_server: OwnServer) -> None:
    """Each is greater than those before, also when all was deleted, and when the server started anew, empty."""
    async with dashtam_redis.open_shared(own_server.url) as shared, client(own_server.url) as administrator:
        tokens = [await token(shared), await token(shared)]
        await administrator.flushall()
        tokens.append(await token(shared))
    own_server.kill()
    await own_server.start(empty=True)
    async with dashtam_redis.open_shared(own_server.url) as shared:
        tokens.append(await token(shared))
    assert sorted(set(tokens)) == tokens


async def test_tokens_grow_where_the_clock_was_set_back(shared: RedisShared, redis_url: str) -> None:
    """As long as the server remembers the last."""
    ahead = int((time.time() + HOUR) * 1e6)
    await token(shared)
    async with client(redis_url) as administrator:
        (fence,) = await administrator.keys("*fence*")
        await administrator.set(fence, ahead)
    assert await token(shared) == ahead + 1


async def test_who_is_cancelled_does_not_take_a_lock_later(redis_url: str) -> None:
    """Although the command to take it was held up on its way, and the one to give it back was not."""
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        line = await stack.enter_async_context(Proxy(redis_url))
        shared = await stack.enter_async_context(dashtam_redis.open_shared(line.url, seconds=PATIENCE))
        administrator = await stack.enter_async_context(client(redis_url))
        first = await token(shared)
        line.delay = 0.2
        taking = asyncio.create_task(token(shared))
        for _ in range(50):
            await asyncio.sleep(0)
        line.delay = 0.0
        taking.cancel()
        await asyncio.wait([taking])
        while await administrator.get("dashtam:fence:import") == str(first).encode():
            pass
        assert taking.cancelled()
        await token(shared)


async def test_who_is_cancelled_as_it_gives_back_has_given_back(shared: RedisShared) -> None:
    """At whichever moment of it."""
    for turns in range(12):
        async with asyncio.timeout(PATIENCE):
            taken, leave = asyncio.Event(), asyncio.Event()

            async def hold(taken: asyncio.Event = taken, leave: asyncio.Event = leave) -> None:
                async with shared.locks.hold("import", seconds=HOUR):
                    taken.set()
                    await leave.wait()

            holding = asyncio.create_task(hold())
            await taken.wait()
            leave.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            holding.cancel()
            await asyncio.wait([holding])
        await token(shared)


async def test_deployments_are_apart(redis_url: str) -> None:
    """Each with a prefix of its own, on one server."""
    async with dashtam_redis.open_shared(redis_url) as one:
        async with dashtam_redis.open_shared(f"{redis_url}?prefix=other") as other:
            await one.cache.set("key", b"one's", seconds=HOUR)
            assert await other.cache.get("key") is None
        await one.cache.delete("key")
    async with client(redis_url) as administrator:
        assert await administrator.keys("*") == []


async def test_what_looks_like_a_hash_is_not_taken_for_one(shared: RedisShared, redis_url: str) -> None:
    """A key that is named as the server names another is a key of its own."""
    await shared.cache.set("odd\n", b"odd", seconds=HOUR)
    async with client(redis_url) as administrator:
        (kept,) = await administrator.keys("*cache*")
    assert await shared.cache.get(kept.decode().rpartition(":")[2]) is None


async def test_many_calls_share_few_connections(shared: RedisShared, redis_url: str) -> None:
    """However many are under way, and whenever they began."""
    asking = list[asyncio.Task[bytes | None]]()
    for _ in range(300):
        asking.append(asyncio.create_task(shared.cache.get("key")))
        await asyncio.sleep(0)
    await asyncio.gather(*asking)
    async with client(redis_url) as administrator:
        names = [each["name"] for each in await administrator.client_list()]
    assert 1 <= names.count("dashtam") <= 4
