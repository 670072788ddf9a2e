"""What both type checkers accept and refuse, checked as strictly as the code itself."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "typing_tests"
CHECKERS = ("mypy", "pyright")

type Places = set[tuple[str, int]]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def by_mypy(cache: Path) -> Places:
    """One run over the folder with the repository's own settings, and a cache that nobody else writes."""
    lines = run("mypy", "--output=json", f"--cache-dir={cache}", str(FOLDER)).splitlines()
    reports: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
    return {(Path(each["file"]).name, each["line"]) for each in reports if each["severity"] == "error"}


def by_pyright(_: Path) -> Places:
    """One run over the folder with the repository's own settings."""
    told: dict[str, Any] = json.loads(run("pyright", "--outputjson", str(FOLDER)))
    assert told["summary"]["filesAnalyzed"] == len(list(FOLDER.glob("*.py")))
    return {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in told["generalDiagnostics"]}


@pytest.fixture(scope="module", params=CHECKERS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    check: Callable[[Path], Places] = {"mypy": by_mypy, "pyright": by_pyright}[request.param]
    return check(tmp_path_factory.mktemp(request.param))


def marked(file: str) -> Places:
    lines = (FOLDER / file).read_text().splitlines()
    return {(file, number) for number, line in enumerate(lines, 1) if line.endswith("# refused")}


def test_just_the_marked_lines_are_refused(found: Places) -> None:
    """A wrong handler, step, message or adapter is refused where it is registered, and nothing else is."""
    assert {place for place in found if place[0] == "refused.py"} == marked("refused.py")
    assert len(marked("refused.py")) >= 20


def test_what_is_right_is_accepted(found: Places) -> None:
    """Values, errors and bindings have the types that the documentation shows."""
    assert not {place for place in found if place[0] == "accepted.py"}


def test_answers_can_be_passed_on(found: Places) -> None:
    """An answer may be awaited inside a call that takes it."""
    assert not {place for place in found if place[0] == "passed_on.py"}


def test_the_repository_itself_does_not_check_these_files() -> None:
    """Wrong cases are on purpose: neither checker's usual run includes them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    assert FOLDER.name not in settings["include"]
    (command,) = re.findall(r"\$\(BIN\)/mypy (.+)", (ROOT / "Makefile").read_text())
    folders = command.split()
    assert FOLDER.name not in folders
    assert "." not in folders
