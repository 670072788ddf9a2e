"""A PostgreSQL that may be killed, and a process that makes processes to be killed."""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

import dashtam_embedded
import dashtam_postgres
from conftest import APP_PASSWORD, APP_ROLE, Database, _urls, short_lived
from faults.postmaster import Postmaster
from faults.zygote import Zygote

pytest.register_assert_rewrite("faults.world")


def _folder() -> Path:
    """A folder that the server's own user may pass through."""
    made = Path(tempfile.mkdtemp(prefix="faults-test-", dir=short_lived()))
    made.chmod(0o755)
    return made


@pytest.fixture
async def durable() -> AsyncGenerator[tuple[Postmaster, Database]]:
    """A server that forgets nothing it has committed, with a migrated database."""
    folder = _folder()
    async with dashtam_embedded.postgres(folder) as made:
        await dashtam_postgres.upgrade(made.admin_url, app_role=APP_ROLE, app_password=APP_PASSWORD)
    async with Postmaster(folder) as postmaster:
        yield postmaster, _urls(postmaster.admin_url, "dashtam")
    shutil.rmtree(folder)


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    started = Zygote.start()
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _nothing_inside() -> Iterator[None]:
    """What one test does inside transactions is no other's."""
    from faults.world import INSIDE

    yield
    INSIDE.does = None
