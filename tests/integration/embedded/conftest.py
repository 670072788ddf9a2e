import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.embedded.processes import KINDS, Kind, Other, others


@pytest.fixture(scope="session")
def passable() -> Iterator[Path]:
    """A folder that every user of this machine may pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="embedded-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(passable: Path) -> Path:
    """An empty folder, removed with all others at the end: some file systems are slow after many removals."""
    path = Path(tempfile.mkdtemp(dir=passable))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def reused(passable: Path) -> Path:
    """One data folder for all tests that leave it whole and stopped: making one takes most of a test's time."""
    path = passable / "reused"
    path.mkdir()
    path.chmod(0o751)
    return path


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the servers: what a test shows, both promise."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def start(kind: Kind) -> Iterator[Callable[..., Other]]:
    with others(kind) as starter:
        yield starter
