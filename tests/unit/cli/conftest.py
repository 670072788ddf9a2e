"""Every test of the command line runs in a folder of its own, where no setting is made."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from unit.cli.toy import JANUARY, CommandLine, noisy
from unit.logs.recording import restored


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DASHTAM_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture(autouse=True)
def _logs() -> Generator[None]:
    """What a command configures ends with its test."""
    with restored():
        yield


@pytest.fixture
def dashtam(folder: Path) -> CommandLine:
    """The command line with a noisy reader, in a folder with one statement."""
    (folder / "january.lines").write_bytes(JANUARY)
    return CommandLine(noisy())
