"""`dashtam plugins new`: what it writes is a package that works, and what it refuses."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from unit.cli.toy import CommandLine

ROOT = Path(__file__).resolve().parents[3]
SKELETONS = ROOT / "packages/dashtam-core/src/dashtam_core/cli/skeletons"
FILES = {
    "provider": {"__init__.py", "_provider.py", "_reading.py", "plugin.py", "py.typed"},
    "store": {"__init__.py", "_store.py", "plugin.py", "py.typed"},
}


def run(folder: Path, *command: str) -> str:
    """What the command says in the folder; it must succeed."""
    path = os.pathsep.join(["src", *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "MYPYPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    command = (sys.executable, "-m", *command)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def written(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    ("name", "module", "prefix"), [("x", "dashtam_x", "X"), ("My.Bank_2-eu", "dashtam_my_bank_2_eu", "MyBank2Eu")]
)
def test_what_is_written_works(kind: str, name: str, module: str, prefix: str, folder: Path) -> None:
    """Its own tests pass, the conformance suite among them, and it is clean under mypy --strict and ruff.

    A name changes no test, so that of the longer one they are found, with all that they import, and not run again.
    """
    result = CommandLine()("plugins", "new", kind, name, "--path", "new/place")
    assert (result.exit_code, result.stderr) == (0, "")
    package = module.replace("_", "-")
    made = folder / "new" / "place" / package
    own = {f"src/{module}/{file}" for file in FILES[kind]}
    assert written(made) == own | {"README.md", "pyproject.toml", f"tests/test_{kind}.py"}
    *paths, following = result.stdout.splitlines()
    assert set(paths) == {f"new/place/{package}/{file}" for file in written(made)}
    assert following.startswith(f"next: cd new/place/{package} && pip install -e . ")
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    short = package.removeprefix("dashtam-")
    assert (project["name"], project["entry-points"]["dashtam"]) == (package, {short: f"{module}.plugin"})
    assert f"class {prefix}{kind.title()}" in (made / "src" / module / f"_{kind}.py").read_text()
    assert not [file for file in written(made) if "$" in (made / file).read_text()]
    end, *options = ("tests collected", "--collect-only") if len(name) > 1 else ("passed",)
    tests = run(made, "pytest", "-q", "-p", "no:cacheprovider", *options)
    assert int(tests.rpartition(f" {end}")[0].split()[-1]) >= {"provider": 20, "store": 100}[kind]
    if len(name) == 1:
        run(made, "mypy", "--strict", "--cache-dir", os.devnull, "src", "tests")
    run(made, "ruff", "check", "--no-cache")
    run(made, "ruff", "format", "--check", "--no-cache")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *(
            (name, "is no name: write a letter")
            for name in ("", "1bank", "my bank", "bank-", "-bank", "a--b", "bänk", "../x")
        ),
        ("a" * 65, "is no name: write a letter"),
        ("PostgreSQL", "postgresql is what Dashtam calls a package of its own"),
        ("core", "core is what Dashtam calls a package of its own"),
    ],
)
def test_a_name_that_is_none(name: str, said: str, folder: Path) -> None:
    """It is refused in one line with exit code 2, and nothing is written."""
    result = CommandLine()("plugins", "new", "provider", "--", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("dashtam: ")
    assert said in result.stderr
    assert written(folder) == set()


@pytest.mark.parametrize(
    ("taken", "why"), [("dashtam-acme/notes.txt", "File exists"), ("place", "Not a directory")]
)
def test_nothing_is_overwritten(taken: str, why: str, folder: Path) -> None:
    """A folder that is there already stays as it is, and a place where none can be is named."""
    (folder / taken).parent.mkdir(exist_ok=True)
    (folder / taken).write_text("mine")
    where = "place" if taken == "place" else "."
    result = CommandLine()("plugins", "new", "store", "acme", "--path", where)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"dashtam: {Path(where) / 'dashtam-acme'} cannot be made ({why})")
    assert written(folder) == {taken}


def test_the_listing_is_not_shown_beside() -> None:
    """The subcommand alone answers, and needs no plugin."""
    assert "provides" not in CommandLine(broken=True)("plugins", "new", "store", "acme").stdout
    assert json.dumps("active") not in CommandLine()("plugins", "--json", "new", "store", "other").stdout


def test_skeletons_are_shipped() -> None:
    """Nothing that keeps files out of the wheel names them, and none looks like source to a linter."""
    files = [file for file in SKELETONS.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert {file.suffix for file in files} == {".tmpl"}
    ignored = subprocess.run(["git", "check-ignore", *map(str, files)], cwd=ROOT, capture_output=True, check=False)
    assert ignored.stdout == b""
