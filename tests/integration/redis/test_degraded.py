"""The service while its Redis-compatible server is dead, hung, slow, read-only or full: its answers are right."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import pytest

from api.mailbox import KEY, NEW, Resident, Service, serving
from dashtam_core import Settings, UnavailableError
from dashtam_core.testing.samples import lines
from dashtam_fastapi import ServiceSettings, create_app
from dashtam_postgres import PostgresStore
from dashtam_redis import plugin
from integration.redis.servers import OwnServer, Proxy, full, read_only

PATIENCE = 60
FEW = 5

type State = Callable[[OwnServer, Proxy], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def killed(server: OwnServer, _: Proxy) -> AsyncGenerator[None]:
    server.kill()
    yield
    await server.start()


@asynccontextmanager
async def cut(_: OwnServer, line: Proxy) -> AsyncGenerator[None]:
    await line.cut()
    yield
    await line.mend()


@asynccontextmanager
async def hung(server: OwnServer, _: Proxy) -> AsyncGenerator[None]:
    server.pause()
    yield
    server.resume()


@asynccontextmanager
async def slow(_: OwnServer, line: Proxy) -> AsyncGenerator[None]:
    line.delay = 0.5
    yield
    line.delay = 0.0


STATES: dict[str, State] = {
    "killed": killed,
    "cut": cut,
    "hung": hung,
    "slow": slow,
    "read-only": lambda server, _: read_only(server.url),
    "full": lambda server, _: full(server.url),
}


@pytest.fixture
async def line(own_server: OwnServer) -> AsyncGenerator[Proxy]:
    async with Proxy(own_server.url) as proxy:
        yield proxy


@pytest.fixture
async def service(store: PostgresStore, line: Proxy) -> AsyncGenerator[Service]:
    """The service with all that it shares on the line's server."""
    settings = Settings(key=KEY, cache_url=line.url, bus_url=line.url)
    async with serving(store, settings, [plugin]) as opened:
        yield opened


async def take_in(who: Resident, account: str) -> None:
    """Imports a statement of one account, and finds it at once."""
    file = {"file": ("a.lines", lines(f"account;{account}", "row;2026-01-02;-5;x", "balance;2026-01-31;10"))}
    assert (await who.ask("POST", "/imports", files=file)).status_code == 201
    for _ in range(2):
        assert account[-4:] in await masks(who)


async def masks(who: Resident) -> set[str]:
    answer = await who.ask("GET", "/accounts")
    assert answer.status_code == 200
    return {each["mask"] for each in answer.json()["items"]}


async def in_use(service: Service) -> None:
    """Returns once the cache is asked again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await service.dashtam.shared.cache.get("key")
            except UnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_whatever_becomes_of_it_the_answers_are_right(
    service: Service, own_server: OwnServer, line: Proxy, state: State
) -> None:
    """What is written is read at once, who is out stays out, limits hold; and afterwards nothing is outdated."""
    cleo, dave = await service.resident("cleo"), await service.resident("dave")
    await take_in(cleo, "00001111")
    await take_in(dave, "00004444")
    async with state(own_server, line):
        await take_in(cleo, "00002222")
        assert await masks(dave) == {"4444"}
        assert (await service.ask("GET", "/accounts", token="dashtam_api_nobody")).status_code == 401
        assert (await dave.ask("DELETE", "/sessions")).status_code == 204
        assert (await dave.ask("GET", "/accounts")).status_code == 401
        guesses = [(await service.log_in(cleo.email, NEW)).status_code for _ in range(12)]
        assert (set(guesses[:8]), guesses[-1]) == ({401}, 429)
        few = create_app(ServiceSettings(rate_limit=FEW), dashtam=service.dashtam)
        limited = attrs.evolve(cleo, service=attrs.evolve(service, app=few))
        asked = [(await limited.ask("GET", "/users/me")).status_code for _ in range(FEW + 1)]
        assert asked == [200] * FEW + [429]
        await take_in(cleo, "00003333")
    await in_use(service)
    assert await masks(cleo) == {"1111", "2222", "3333"}
    await take_in(cleo, "00005555")
