"""A server that takes a statement and does not answer, as when its machine is stopped."""

import asyncio

import psutil
import pytest

from conftest import Database
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.testing.samples import ANN
from dashtam_postgres import _connect, _lease, open_store


async def test_a_server_that_hangs_holds_nobody_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins on its connection hears so in bounded time, and the next one gets another connection."""
    async with open_store(database.app_url, pool_size=1) as store:
        async with store.unit_of_work(ANN) as unit:
            backend = psutil.Process(unit.raw.get_server_pid())
        monkeypatch.setattr(_connect, "POOL_SECONDS", 0.2)
        monkeypatch.setattr(_lease, "_ROLLBACK_SECONDS", 3600.0)  # what never began is not waited for to be undone
        backend.suspend()
        try:
            with pytest.raises(UnavailableError) as caught:
                async with asyncio.timeout(20), store.unit_of_work(ANN):
                    raise AssertionError("it began on a connection that hangs")
            assert caught.value.code is UnavailableCode.STORE_UNREACHABLE
            async with store.unit_of_work(ANN) as unit:
                assert unit.raw.get_server_pid() != backend.pid
        finally:
            backend.resume()
