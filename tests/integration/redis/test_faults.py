import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from urllib.parse import urlsplit

import pytest

from dashtam_core.identity import Rate
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_redis import RedisShared, open_shared
from integration.redis.servers import OwnServer, Proxy, client, full, read_only

HOUR = 3600.0
PATIENCE = 30
LINES = ["cache out of reach, going on without", "cache works again"]

type Fault = Callable[[Proxy], AbstractAsyncContextManager[None]]


async def locked(shared: RedisShared) -> bool:
    async with shared.locks.hold("lock", seconds=HOUR) as lease:
        return lease is not None


async def write(shared: RedisShared) -> None:
    await shared.cache.set("key", b"value", seconds=HOUR)


CALLS: tuple[Callable[[RedisShared], Awaitable[object]], ...] = (
    write,
    lambda shared: shared.cache.get("key"),
    lambda shared: shared.cache.get_many(["key", "other"]),
    lambda shared: shared.cache.delete("key"),
    lambda shared: shared.limits.take({"key": Rate(9, HOUR)}),
    locked,
)


async def refuses(shared: RedisShared) -> None:
    """Waits for a write to be refused: from then on every call is, also of a thousand at once."""
    async with asyncio.timeout(PATIENCE):
        with suppress(UnavailableError):
            while True:
                await write(shared)
        refused = await asyncio.gather(*(call(shared) for call in CALLS * 200), return_exceptions=True)
    assert {getattr(each, "code", each) for each in refused} == {UnavailableCode.CACHE_UNREACHABLE}


async def works(shared: RedisShared) -> None:
    """Waits until it does, by itself."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(UnavailableError):
                await write(shared)
                break
            await asyncio.sleep(0.01)
        for call in CALLS:
            await call(shared)


@asynccontextmanager
async def hanging(line: Proxy) -> AsyncGenerator[None]:
    line.hang()
    try:
        yield
    finally:
        await line.mend()


@asynccontextmanager
async def cut(line: Proxy) -> AsyncGenerator[None]:
    await line.cut()
    try:
        yield
    finally:
        await line.mend()


@asynccontextmanager
async def slow(line: Proxy) -> AsyncGenerator[None]:
    """It still answers, and each answer takes longer than the store's."""
    line.delay = 0.025
    yield
    line.delay = 0.0


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the adapter has logged."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("dashtam_redis")]


@pytest.mark.parametrize("fault", [cut, hanging, slow])
async def test_a_line_that_fails_is_done_without(
    valkey_url: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Every call is refused soon and then at once; two lines tell when it began and when it was over."""
    async with Proxy(valkey_url) as line, open_shared(line.url) as shared:
        await works(shared)
        async with fault(line):
            await refuses(shared)
        await works(shared)
    assert lines(caplog) == LINES


@pytest.mark.parametrize("fault", [full, read_only])
async def test_a_server_that_takes_nothing_is_done_without(
    redis_url: str, fault: Callable[[str], AbstractAsyncContextManager[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """The same for one that answers."""
    async with open_shared(redis_url) as shared:
        await works(shared)
        async with fault(redis_url):
            await refuses(shared)
        await works(shared)
    assert lines(caplog) == LINES


async def test_what_waits_for_others_to_fail_is_not_sent_itself(valkey_url: str) -> None:
    """It would be in vain, and take as long again."""
    async with Proxy(valkey_url) as line, open_shared(line.url) as shared, asyncio.timeout(PATIENCE):
        line.hang()
        asking = list[asyncio.Task[None]]()
        for _ in range(40):
            asking.append(asyncio.create_task(write(shared)))
            await asyncio.sleep(0)
        refused = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in refused] == [UnavailableError] * 40
        assert line.accepted <= 4
        await line.mend()


async def test_it_is_tried_until_it_works(valkey_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """However often that fails."""
    async with Proxy(valkey_url) as line, open_shared(line.url) as shared, asyncio.timeout(PATIENCE):
        async with hanging(line):
            await refuses(shared)
            tried = line.accepted
            while line.accepted < tried + 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        await works(shared)
    assert lines(caplog) == LINES


async def test_what_is_told_of_it_later_is_nobodys_request(own_server: OwnServer) -> None:
    """It is told beside whatever happened to be asked when it failed, and not as a part of that."""
    told, whose = dict[str, str](), ContextVar("whose", default="nobody")

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told[record.getMessage()] = whose.get()

    noting, log = Noting(), logging.getLogger("dashtam_redis")
    log.addHandler(noting)
    try:
        async with open_shared(own_server.url) as shared, asyncio.timeout(PATIENCE):
            own_server.kill()
            whose.set("ann")
            await refuses(shared)
            await own_server.start()
            await works(shared)
    finally:
        log.removeHandler(noting)
    assert told[LINES[-1]] == "nobody"


async def test_what_stays_slow_is_not_used(valkey_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """It takes what is written to try it, and not soon enough."""
    async with Proxy(valkey_url) as line, open_shared(line.url) as shared, client(line.url) as administrator:
        await works(shared)
        async with slow(line), asyncio.timeout(PATIENCE):
            await refuses(shared)
            await administrator.delete("dashtam:probe")
            while not await administrator.exists("dashtam:probe"):
                pass
            await administrator.ping()  # as slow as the answer to what was written
            await refuses(shared)
        assert lines(caplog) == LINES[:1]


async def test_a_lock_that_cannot_be_given_back_ends_by_itself(valkey_url: str) -> None:
    """Who had it has done what it was for, and is not told of that."""
    async with asyncio.timeout(PATIENCE), open_shared(valkey_url) as other, Proxy(valkey_url) as line:
        async with open_shared(line.url) as shared, shared.locks.hold("short", seconds=0.2):
            await line.cut()
        async with other.locks.hold("short", seconds=HOUR, wait=HOUR) as lease:
            assert lease is not None


async def test_a_server_that_is_paused_or_killed_is_done_without(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    """And used again when it is there again, with its data or without."""
    async with open_shared(own_server.url) as shared:
        await works(shared)
        own_server.pause()
        await refuses(shared)
        own_server.resume()
        await works(shared)
        own_server.kill()
        await refuses(shared)
        await own_server.start(empty=True)
        await works(shared)
    assert lines(caplog) == LINES * 2


async def test_a_server_that_started_anew_between_two_calls_is_used(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever calls next notices nothing of it."""
    async with open_shared(own_server.url) as shared:
        await write(shared)
        own_server.kill()
        await own_server.start()
        assert await shared.cache.get("key") == b"value"
    assert lines(caplog) == []


async def test_a_password_that_is_not_right(own_server: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
    """Is a server out of reach until it is: what the server says is told, the password is not."""
    async with client(own_server.url) as administrator, open_shared(own_server.url) as shared:
        await administrator.config_set("requirepass", "other")
        await refuses(shared)
        await administrator.config_set("requirepass", "password of the tests")
        await works(shared)
    told = [record.__dict__ for record in caplog.records if record.name.startswith("dashtam_redis")]
    assert "invalid username-password pair" in told[0]["why"]
    assert "password of the tests" not in str(told).replace("%20", " ")


async def test_a_user_of_its_own_is_enough(own_server: OwnServer) -> None:
    """One that may do what it needs with its own keys; what is special in name and password has a percent sign."""
    needed = ["get", "mget", "set", "del", "eval", "evalsha", "time", "exists", "client|setname", "client|setinfo"]
    rules = ["on", ">p@ss/w#rd?%20é", "~dashtam:*", *(f"+{command}" for command in needed)]
    async with client(own_server.url) as administrator:
        await administrator.execute_command("ACL", "SETUSER", "us:er", *rules)
    there = urlsplit(own_server.url)
    url = there._replace(netloc=f"us%3Aer:p%40ss%2Fw%23rd%3F%2520%C3%A9@{there.hostname}:{there.port}").geturl()
    async with open_shared(url) as shared:
        for call in CALLS:
            await call(shared)


async def test_a_lag_of_ours_is_not_the_servers(valkey_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Answers that came while the event loop was held up are had, however long that was."""
    async with open_shared(valkey_url) as shared:
        for _ in range(6):
            asking = asyncio.create_task(write(shared))
            for _ in range(4):
                await asyncio.sleep(0)
            time.sleep(0.15)  # noqa: ASYNC251 - what is tested
            await asking
    assert lines(caplog) == []


async def test_where_it_fails_again_and_again_it_is_tried_less_often(
    valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What takes a write and yet nothing of what is asked for is not found well twice a second."""
    async with client(valkey_url) as administrator, open_shared(valkey_url) as shared:
        await administrator.rpush("dashtam:cache:list", "no bytes")
        start = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while len(lines(caplog)) < 5:
                with suppress(UnavailableError):
                    await shared.cache.get("list")
                await asyncio.sleep(0.01)
        assert time.monotonic() - start >= 0.5 + 1.0
    assert lines(caplog) == [*LINES * 2, LINES[0]]


@pytest.mark.parametrize("turns", range(8))
async def test_what_waits_when_it_is_closed_is_refused(valkey_url: str, turns: int) -> None:
    """Nobody waits for ever, whatever became of the command until then, and nothing is sent afterwards."""
    async with Proxy(valkey_url) as line, asyncio.timeout(PATIENCE):
        line.hang()
        async with open_shared(line.url) as shared:
            asking = [asyncio.create_task(write(shared)) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
        await line.mend()
        asking.append(asyncio.create_task(write(shared)))
        refused = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in refused] == [UnavailableError] * 4


async def test_what_no_command_can_hold_is_told_and_leaves_nobody_waiting(
    valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of whoever calls is refused as well, and a line says what it is."""
    async with open_shared(valkey_url) as shared, asyncio.timeout(PATIENCE):
        with pytest.raises(UnavailableError, match="DataError"):
            await shared.cache.set("key", None, seconds=HOUR)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the defect
        await works(shared)
    assert lines(caplog) == LINES


async def test_replies_never_reach_another(valkey_url: str) -> None:
    """Of 20,000 calls, by many at once, of whom some are cancelled at any moment, over a line that fails."""
    chance, numbers, had = random.Random(1), iter(range(20_000)), list[int]()

    async def ask(shared: RedisShared, number: int) -> None:
        key, value = str(number % 500), str(number % 500).encode()
        if number % 3 == 0:
            await shared.cache.set(key, value, seconds=HOUR)
        found = [await shared.cache.get(key), *await shared.cache.get_many([key, "none"])]
        assert set(found[:2]) <= {value, None}
        assert found[2] is None
        had.append(number)

    async def work(line: Proxy, shared: RedisShared) -> None:
        for number in numbers:
            asking = asyncio.create_task(ask(shared, number))
            if number % 5 == 0:
                asyncio.get_running_loop().call_later(chance.random() * 0.005, asking.cancel)
            try:
                async with fails.get(number, nullcontext)(line):
                    await asking
            except UnavailableError:
                await works(shared)
            except asyncio.CancelledError:
                assert number % 5 == 0

    fails = {5_001: cut, 12_001: hanging}
    async with Proxy(valkey_url) as line, open_shared(line.url) as shared, asyncio.timeout(4 * PATIENCE):
        await asyncio.gather(*(work(line, shared) for _ in range(50)))
    assert len(had) > 10_000
