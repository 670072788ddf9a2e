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


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_promise_has_one_test_and_figures(row: list[str]) -> None:
    """Each is one sentence, one `path::name`, its sizes, and a figure."""
    promise, test, size, _, figure = row
    assert re.fullmatch(r"`tests/[\w/]+\.py(::\w+)+`", test)
    assert all((promise, size, figure))


def test_every_test_that_is_named_is_there(request: pytest.FixtureRequest) -> None:
    """Each name is one that pytest finds: it has found most in this very run, and looks for the others."""
    here = {item.nodeid.partition("[")[0] for item in request.session.items}
    names = sorted({row[1].strip("`") for row in rows()} - here)
    if not names:
        return
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *names]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
