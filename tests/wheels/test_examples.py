"""The examples as their readers have them: a copy elsewhere, on the installed packages.

`[tool.dashtam.example]` of an example's `pyproject.toml` says what holds for it: `run`, a command whose output its
README shows; `test`, whether it has tests of its own; `max-lines`, how many lines of source it promises to need.
"""

import re
import shutil
import tomllib
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from packaging.utils import canonicalize_name

from conftest import short_lived
from wheels.environments import CONSTRAINTS, ROOT, Environment, Workshop, finished, once

NAMES = tuple(
    sorted(each.parent.name for each in ROOT.glob("examples/*/pyproject.toml") if each.parent.name != "service")
)


@attrs.frozen
class Example:
    """One example, copied to where its reader may have put it."""

    folder: Path

    @cached_property
    def project(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())

    @cached_property
    def promised(self) -> dict[str, Any]:
        found: dict[str, Any] = self.project["tool"]["dashtam"]["example"]
        return found

    @cached_property
    def readme(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def environment(self, workshop: Workshop) -> Environment:
        """Its own environment: what it declares, its group `test`, and itself where it is a package."""
        file = self.folder / "pyproject.toml"
        own = [self.folder] if "build-system" in self.project else ["-r", file]
        tests = ["--group", f"{file}:test"] if "test" in self.project.get("dependency-groups", {}) else []

        def make(folder: Path) -> None:
            workshop.call("venv", "--quiet", folder)
            workshop.install(Environment(folder), *own, *tests)

        return Environment(once(workshop.folder / f"example-{self.project['project']['name']}", make))

    def python(self, workshop: Workshop, *arguments: str) -> str:
        """What its interpreter prints, with warnings as errors and a good end."""
        python = self.environment(workshop).python
        done = finished([python, "-X", "utf8", "-W", "error", *arguments], self.folder, {})
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(params=NAMES)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    copied = shutil.copytree(ROOT / "examples" / request.param, tmp_path / request.param, ignore=ignored)
    return Example(copied)


def test_it_prints_what_its_readme_shows(example: Example, workshop: Workshop) -> None:
    """The command of the README gives the text beside it, to the letter."""
    if "run" not in example.promised:
        pytest.skip("it has tests and no program")
    python, *arguments = example.promised["run"]
    assert python == "python"
    command = re.escape(" ".join(example.promised["run"]))
    shown = re.search(rf"`{command}`[^`]*```text\n(.*?)```", example.readme, re.DOTALL)
    assert shown is not None
    assert example.python(workshop, *arguments) == shown[1]


def test_its_own_tests_pass(example: Example, workshop: Workshop) -> None:
    """Its tests need nothing of this repository."""
    if not example.promised.get("test"):
        pytest.skip("it has a program and no tests")
    with TemporaryDirectory(dir=short_lived()) as folder:
        said = example.python(
            workshop, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"
        )
    assert re.search(r"^\d+ passed", said, re.MULTILINE)


def test_it_keeps_its_promises(example: Example) -> None:
    """It does something, says what in a README, and is as small as it promises."""
    assert example.promised.keys() & {"run", "test"}
    assert example.readme.startswith("# ")
    assert lines(example.folder) <= example.promised.get("max-lines", 1_000)


def test_it_uses_our_wheels_and_pinned_versions(example: Example, workshop: Workshop) -> None:
    """Nothing comes from elsewhere, and what it needs beyond our packages is pinned in `constraints.txt`."""
    there = example.environment(workshop).told("installed")
    ours = {name: wheel.file.as_uri() for name, wheel in workshop.wheels.items()}
    itself = canonicalize_name(example.project["project"]["name"])
    assert {name: url for name, url in there["origin"].items() if name in ours}.items() <= ours.items()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in CONSTRAINTS.read_text().splitlines()}
    assert set(there["versions"]) - set(ours) - {itself} - pinned == set()


def lines(folder: Path) -> int:
    """Lines of its program that are neither blank nor a comment alone; tests are not counted."""
    source = folder / "src" if (folder / "src").is_dir() else folder
    files = [each for each in source.rglob("*.py") if not each.name.startswith("test_")]
    texts = [each.read_text(encoding="utf-8").splitlines() for each in files if "tests" not in each.parts]
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for text in texts for line in text)
