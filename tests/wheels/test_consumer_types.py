"""What type checkers make of the installed packages: right code is accepted, and every mistake is found."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wheels.environments import NOTHING, PACKAGES, Workshop, finished

CONSUMER = Path(__file__).with_name("consumer")

type Places = set[tuple[str, int]]


def by_mypy(python: Path, folder: Path) -> Places:
    done = run("mypy", folder, "--strict", "--output=json", "--python-executable", str(python), ".")
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {(Path(each["file"]).name, each["line"]) for each in reports if each["severity"] == "error"}


def by_pyright(python: Path, folder: Path) -> Places:
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    told = json.loads(run("pyright", folder, "--outputjson", "--pythonpath", str(python)).stdout)
    assert told["summary"]["filesAnalyzed"] == 2
    return {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in told["generalDiagnostics"]}


def run(checker: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = finished([sys.executable, "-m", checker, *options], folder, NOTHING)
    assert done.returncode in {0, 1}, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.parametrize("check", [by_mypy, by_pyright])
def test_types_reach_who_installs_the_packages(
    workshop: Workshop, tmp_path: Path, check: Callable[[Path, Path], Places]
) -> None:
    """In strict mode, against the wheels alone, just the lines that are marked so are refused."""
    for file in CONSUMER.glob("*.py.txt"):
        shutil.copy(file, tmp_path / file.stem)
    marked = {
        (file.name, number)
        for file in tmp_path.glob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if line.endswith("# refused")
    }
    assert len(marked) > 10
    assert {name for name, _ in marked} == {"wrong.py"}
    assert check(workshop.environment(*PACKAGES).python, tmp_path) == marked
