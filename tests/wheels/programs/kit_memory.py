"""The conformance kit on the store in memory, as the author of an adapter writes it."""

from collections.abc import AsyncGenerator

import pytest

from dashtam_core.memory import open_memory_store
from dashtam_core.store import Store
from dashtam_core.testing import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    async def store(self) -> AsyncGenerator[Store]:
        async with open_memory_store() as store:
            yield store
