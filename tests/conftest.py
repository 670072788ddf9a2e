"""Fixtures every test may use: a real PostgreSQL for the session, and a fresh migrated database for a test."""

import asyncio
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import attrs
import pytest
from hypothesis import settings

import dashtam_embedded
import dashtam_postgres

APP_ROLE = "dashtam_app"
APP_PASSWORD = "app password of the tests"
TEMPLATE = "migrated"
MEMORY = Path("/dev/shm")
ROOM = 4 * 1024**3
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"

settings.register_profile("ci", deadline=None, max_examples=50, database=None, print_blob=True)
settings.register_profile("prove", settings.get_profile("ci"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Many processes start here: what one of them has compiled, no other compiles again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell starts what runs in its background deaf to Ctrl-C, and what that starts would be deaf too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_databases = count()


def pytest_collection_finish() -> None:
    """What collecting has made stays until the end, and the garbage collector need not go through it each time."""
    gc.collect()
    gc.freeze()


@attrs.frozen
class Database:
    """One database of the test server: as its owner, and as the application's role."""

    admin_url: str
    app_url: str


def _urls(admin_url: str, name: str) -> Database:
    parts = urlsplit(admin_url)
    app = parts._replace(
        netloc=f"{APP_ROLE}:{APP_PASSWORD.replace(' ', '%20')}@{parts.hostname}:{parts.port}", path=f"/{name}"
    )
    return Database(parts._replace(path=f"/{name}").geturl(), app.geturl())


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> None:
    """No test sees what the machine's owner has configured."""
    for name in [name for name in os.environ if name.startswith("DASHTAM_")]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def _own_log_level() -> Generator[None]:
    """What a test has logged from which level on is no other's business."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


def short_lived() -> str:
    """The folder for what lives as long as a test: in memory where there is room, as a database is 460 files."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    return str(MEMORY) if roomy else tempfile.gettempdir()


@pytest.fixture(scope="session")
def server() -> Generator[dashtam_embedded.PostgresServer]:
    """A throw-away server with a migrated database to copy."""
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", short_lived())
        context = dashtam_embedded.postgres()
        started = runner.run(context.__aenter__())
        patch.undo()
        runner.run(_make_template(started.admin_url))
        yield started
        runner.run(context.__aexit__(None, None, None))


async def _make_template(admin_url: str) -> None:
    await _execute(admin_url, f"CREATE DATABASE {TEMPLATE}")
    template = _urls(admin_url, TEMPLATE).admin_url
    await dashtam_postgres.upgrade(template, app_role=APP_ROLE, app_password=APP_PASSWORD)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def empty_database(server: dashtam_embedded.PostgresServer) -> AsyncGenerator[Database]:
    """A database with nothing in it."""
    async for database in _database(server, "template0"):
        yield database


@pytest.fixture
async def database(server: dashtam_embedded.PostgresServer) -> AsyncGenerator[Database]:
    """A migrated database with no rows."""
    async for database in _database(server, TEMPLATE):
        yield database


async def _database(server: dashtam_embedded.PostgresServer, template: str) -> AsyncGenerator[Database]:
    name = f"test_{next(_databases)}"
    await _execute(server.admin_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    await _execute(server.admin_url, f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {APP_ROLE}")
    yield _urls(server.admin_url, name)
    await _execute(server.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(database: Database) -> AsyncGenerator[dashtam_postgres.PostgresStore]:
    """The PostgreSQL store on a database of its own."""
    async with dashtam_postgres.open_store(database.app_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real statement files, where there is one."""
    if not CORPUS.is_dir():
        pytest.skip("no folder of real statement files beside this repository: ../shared/corpus")
    return CORPUS
