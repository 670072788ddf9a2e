from typing import Any

import pytest
from redis import exceptions

from integration.redis.servers import OwnServer, Proxy, client, full, read_only

SOON = {"socket_timeout": 0.2}


async def fails(redis: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await redis.ping()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_each_test_finds_it_empty(redis_url: str, time: str) -> None:
    """What the first leaves behind, the second does not see."""
    async with client(redis_url) as redis:
        assert await redis.dbsize() == 0
        await redis.set("left", "behind")


async def test_each_is_what_its_name_says(valkey_url: str, redis8_url: str) -> None:
    """One is a Valkey, the other a Redis 8."""
    async with client(valkey_url) as valkey, client(redis8_url) as redis:
        assert (await valkey.info("server"))["server_name"] == "valkey"
        assert (await redis.info("server"))["redis_version"].startswith("8.")


@pytest.mark.parametrize(
    ("failing", "error"), [(full, exceptions.OutOfMemoryError), (read_only, exceptions.ReadOnlyError)]
)
async def test_refuses_writes_for_a_while(redis_url: str, failing: Any, error: type[Exception]) -> None:
    """It takes them before and after."""
    async with client(redis_url) as redis:
        await redis.set("written", "before")
        async with failing(redis_url):
            with pytest.raises(error):
                await redis.set("written", "meanwhile")
            assert await redis.get("written") == b"before"
        await redis.set("written", "after")


async def test_a_line_that_fails(redis_url: str) -> None:
    """It is slow, hangs, or is cut, as long as it is told to."""
    async with Proxy(redis_url) as line, client(line.url, **SOON) as redis:
        line.delay = 60
        await fails(redis, exceptions.TimeoutError)
        line.delay = 0
        await redis.set("sent", "all of it" * 100_000)
        line.hang()
        await fails(redis, exceptions.TimeoutError)
        await line.mend()
        assert await redis.get("sent") == b"all of it" * 100_000
        await line.cut()
        for _ in ("what was open", "what is new"):
            await fails(redis, exceptions.ConnectionError)
        await line.mend()
        await redis.ping()


async def test_a_server_of_ones_own(own_server: OwnServer) -> None:
    """Paused, killed and started again it is the same one, with its data or without."""
    async with client(own_server.url, **SOON) as redis:
        await redis.set("kept", "here")
        own_server.pause()
        await fails(redis, exceptions.TimeoutError)
        own_server.resume()
        for empty, kept in ((False, b"here"), (True, None)):
            own_server.kill()
            await fails(redis, exceptions.ConnectionError)
            await own_server.start(empty=empty)
            assert await redis.get("kept") == kept
