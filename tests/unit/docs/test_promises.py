"""The page on promises names tests that are there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[3]
PROMISES: Final = ROOT / "docs" / "promises.md"


def rows() -> list[list[str]]:
    """The cells of every promise: promise, test, size, full size, last full figure."""
    lines = [line for line in PROMISES.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "promise"]


def collected(tests: list[str]) -> subprocess.CompletedProcess[str]:
    """What pytest finds under these names. It does not run them."""
    options = ["-q", "--collect-only", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_promise_has_one_test_and_figures(row: list[str]) -> None:
    """Each is one sentence, one `path::name`, its sizes, and a figure."""
    promise, test, size, _, figure = row
    assert re.fullmatch(r"`tests/[\w/]+\.py(::\w+)+`", test)
    assert all((promise, size, figure))


def test_every_test_that_is_named_is_there() -> None:
    """Each name is one that pytest takes; one that is not is told."""
    found = collected([row[1].strip("`") for row in rows()])
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_test_that_is_not_there_is_told() -> None:
    """A name that pytest does not find fails the question."""
    found = collected(["tests/unit/docs/test_promises.py::test_that_never_was"])
    assert found.returncode != 0
    assert "test_that_never_was" in found.stderr
