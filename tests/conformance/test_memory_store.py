"""The in-memory store, held to the suite that every store is held to."""

from collections.abc import AsyncIterator

import pytest

from conformance.store_suite import StoreConformance
from dashtam_core.memory import open_memory_store
from dashtam_core.store import Store


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        async with open_memory_store() as store:
            yield store
