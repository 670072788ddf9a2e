"""The PostgreSQL store on a real server, held to the suite that every store is held to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import dashtam_postgres
from conftest import Database
from dashtam_core.testing import StoreConformance
from dashtam_postgres import PostgresStore


class TestPostgresStore(StoreConformance):
    """Its `database` is the fixture of the whole test run: a fresh migrated one for each test."""

    @pytest.fixture
    async def opened(self) -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as opened:
            yield opened

    @pytest.fixture
    async def store(self, opened: AsyncExitStack, database: Database) -> PostgresStore:
        return await opened.enter_async_context(dashtam_postgres.open_store(database.app_url))

    @pytest.fixture
    def reopen(self, opened: AsyncExitStack, database: Database) -> Callable[[], Awaitable[PostgresStore]]:
        async def again() -> PostgresStore:
            await opened.aclose()
            return await opened.enter_async_context(dashtam_postgres.open_store(database.app_url))

        return again
