"""Data folders that PostgreSQL can reach, also where the tests run as root and it runs as nobody."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import short_lived


@contextmanager
def data_folder() -> Generator[Path]:
    """A folder that anybody may enter, unlike those of pytest; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dashtam-e2e-", dir=short_lived()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data() -> Generator[Path]:
    """A data folder for one test."""
    with data_folder() as folder:
        yield folder
