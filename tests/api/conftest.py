"""The service in this process, on each store there is, with two people who know nothing of each other."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from api.mailbox import Resident, Service, serving
from api.people import Lines, Person, token_of
from dashtam_core import Dashtam, Settings
from dashtam_core.identity import Role
from dashtam_core.memory import MemoryStore
from dashtam_core.store import Store
from dashtam_core.testing.samples import LinesPlugin
from dashtam_fastapi import ServiceSettings, create_app

MAX_BYTES = 200_000


@pytest.fixture(params=["memory", "postgres"])
def data(request: pytest.FixtureRequest) -> Store:
    """Where the service keeps what it is told: every test of it runs on each of these."""
    if request.param == "memory":
        return MemoryStore()
    store: Store = request.getfixturevalue("store")
    return store


@pytest.fixture
def reader() -> Lines:
    return Lines()


@pytest.fixture
async def dashtam(data: Store, reader: Lines) -> AsyncGenerator[Dashtam]:
    settings = Settings(master_key="k" * 32, import_max_bytes=MAX_BYTES)
    async with Dashtam.open(settings=settings, store=data, plugins=[LinesPlugin(reader)]) as opened:
        yield opened


@pytest.fixture
def app(dashtam: Dashtam) -> FastAPI:
    return create_app(ServiceSettings(import_max_bytes=MAX_BYTES), dashtam=dashtam)


@pytest.fixture
async def nobody(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A client without a token."""
    async with app.router.lifespan_context(app), _client(app) as client:
        yield client


@pytest.fixture
async def ann(app: FastAPI, dashtam: Dashtam) -> AsyncGenerator[Person]:
    async with _person(app, dashtam, "ann") as person:
        yield person


@pytest.fixture
async def bob(app: FastAPI, dashtam: Dashtam) -> AsyncGenerator[Person]:
    async with _person(app, dashtam, "bob") as person:
        yield person


@pytest.fixture
async def service(data: Store) -> AsyncGenerator[Service]:
    """The service as people see it who log in there."""
    async with serving(data) as opened:
        yield opened


@pytest.fixture
async def cleo(service: Service) -> Resident:
    return await service.resident("cleo")


@pytest.fixture
async def dave(service: Service) -> Resident:
    return await service.resident("dave")


@pytest.fixture
async def admin(service: Service) -> Resident:
    return await service.resident("admin", Role.ADMIN)


@asynccontextmanager
async def _person(app: FastAPI, dashtam: Dashtam, name: str) -> AsyncGenerator[Person]:
    token = await token_of(dashtam, name)
    async with _client(app) as client:
        client.headers["authorization"] = f"Bearer {token}"
        yield Person(token, client)


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dashtam.test")
