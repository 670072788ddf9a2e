"""The store against the port's own promises: two fixtures are all that the kit asks for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from dashtam_sqlite import open_store

from dashtam_core.store import Store
from dashtam_core.testing import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    async def opened(self) -> AsyncGenerator[AsyncExitStack]:
        async with AsyncExitStack() as opened:
            yield opened

    @pytest.fixture
    async def store(self, opened: AsyncExitStack, tmp_path: Path) -> Store:
        return await opened.enter_async_context(open_store(tmp_path / "finance.db"))

    @pytest.fixture
    def reopen(self, opened: AsyncExitStack, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        async def again() -> Store:
            await opened.aclose()
            return await opened.enter_async_context(open_store(tmp_path / "finance.db"))

        return again
