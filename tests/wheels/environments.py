"""What a user installs: the packages as wheels, in environments that hold nothing else."""

import fcntl
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
PROGRAMS = Path(__file__).with_name("programs")
PACKAGES = tuple(sorted(each.parent.name for each in ROOT.glob("packages/*/pyproject.toml")))
EVERYTHING = (
    "dashtam-core[cli,crypto,mail,testing]",
    *(each for each in PACKAGES if each != "dashtam-core"),
)
PATIENCE = 120.0
NOTHING: Mapping[str, str] = {}

_OFFLINE = re.compile(r"error sending request|[Ff]ailed to (fetch|connect)|dns error|network was disabled")
_OURS = ("COV_", "COVERAGE", "DASHTAM_", "PYTEST", "PYTHON", "UV_PROJECT", "VIRTUAL_ENV")

type Said = subprocess.CompletedProcess[str]


def skip_unless_ci(reason: str) -> NoReturn:
    """Says why nothing can be shown here; where everything has to be, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def find_uv() -> str:
    """The first uv that runs; a shim of that name may exist and not run."""
    for candidate in filter(None, (os.environ.get("UV"), str(ROOT / ".tools" / "bin" / "uv"), "uv")):
        try:
            subprocess.run([candidate, "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    skip_unless_ci("no uv that runs: name one in UV, or run make install")


@attrs.frozen
class Wheel:
    """One built package: its wheel, and the source distribution that the wheel was built from."""

    file: Path
    source: Path

    @cached_property
    def metadata(self) -> Message:
        with zipfile.ZipFile(self.file) as wheel:
            (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
            return HeaderParser().parsestr(wheel.read(name).decode())

    @cached_property
    def contents(self) -> Mapping[str, bytes]:
        """What is in the wheel, by path."""
        with zipfile.ZipFile(self.file) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}

    @cached_property
    def source_names(self) -> Sequence[str]:
        with tarfile.open(self.source) as source:
            return [name.partition("/")[2] for name in source.getnames()]

    @property
    def requirements(self) -> Sequence[Requirement]:
        """All it declares, of its extras too."""
        return [Requirement(line) for line in self.metadata.get_all("Requires-Dist") or ()]


@attrs.frozen
class Environment:
    """An environment with some of the wheels, what they declare, and nothing else."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *arguments: str | Path, cwd: Path | None = None, variables: Mapping[str, str] = NOTHING) -> Said:
        """The interpreter in isolation, warnings as errors: nothing of the tree or of the user is seen."""
        return finished([self.python, "-I", "-W", "error", *arguments], cwd or self.folder, variables)

    def dashtam(self, *arguments: str, cwd: Path | None = None, variables: Mapping[str, str] = NOTHING) -> Said:
        """The command line as it was installed."""
        return self.run(self.folder / "bin" / "dashtam", *arguments, cwd=cwd, variables=variables)

    def told(self, program: str, *arguments: str | Path) -> Any:
        """What one of the programs beside says, a document; it runs to its end without a warning."""
        done = self.run(PROGRAMS / f"{program}.py", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)


@attrs.frozen
class Workshop:
    """Builds the packages once for a whole run of tests, and environments once for each set of requirements."""

    uv: str
    folder: Path

    @cached_property
    def wheels(self) -> Mapping[str, Wheel]:
        """Every package by its name, built at the constraints: the source distribution, and the wheel from it."""
        made = once(self.folder / "dist", self.build)
        return {each: _built(made, each) for each in PACKAGES}

    def build(self, folder: Path, *options: str) -> None:
        self.call(
            *("build", "--quiet", "--all-packages", "--build-constraints", str(CONSTRAINTS), *options),
            *("--python", sys.executable, "--out-dir", folder),
        )

    def environment(self, *wanted: str, pins: Path = CONSTRAINTS) -> Environment:
        """An environment with these requirements; Dashtam's own come from the wheels, never from an index."""
        made = once(
            self.folder / "-".join(["env", pins.stem, *sorted(map(_plain, wanted))]),
            lambda folder: self._install(folder, pins, wanted),
        )
        return Environment(made)

    def install(self, environment: Environment, *arguments: str | Path, pins: Path = CONSTRAINTS) -> None:
        """Installs at these versions, with the wheels in place of whatever an index has under their names."""
        self.call(
            *("pip", "install", "--quiet", "--python", environment.python, "--no-sources"),
            *("-c", pins, "-c", self._own, "--build-constraints", CONSTRAINTS, *arguments),
        )

    def call(self, *arguments: str | Path) -> None:
        """One run of uv to a good end."""
        done = finished([self.uv, *arguments], ROOT, NOTHING)
        if done.returncode and _OFFLINE.search(done.stderr):
            skip_unless_ci("the package index cannot be reached, and the cache does not hold all that is needed")
        assert done.returncode == 0, f"uv {' '.join(map(str, arguments))}\n{done.stderr}"

    @property
    def _own(self) -> Path:
        lines = [f"{name} @ {wheel.file.as_uri()}" for name, wheel in self.wheels.items()]
        made = once(self.folder / "own", lambda folder: _write(folder / "constraints.txt", "\n".join(lines)))
        return made / "constraints.txt"

    def _install(self, folder: Path, pins: Path, wanted: Sequence[str]) -> None:
        self.call("venv", "--quiet", "--python", sys.executable, folder)
        self.install(Environment(folder), *wanted, pins=pins)


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder, filled by the first of the processes that want it while the others wait."""
    done = folder.with_name(f"{folder.name}.done")
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            make(folder)
            done.touch()
    return folder


@contextmanager
def _locked(file: Path) -> Generator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def finished(command: Sequence[str | Path], cwd: Path, variables: Mapping[str, str]) -> Said:
    """A process to its end, without what the tests' own interpreter was told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**kept, "COLUMNS": "200", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def _built(folder: Path, name: str) -> Wheel:
    stem = name.replace("-", "_")
    (file,), (source,) = folder.glob(f"{stem}-*.whl"), folder.glob(f"{stem}-*.tar.gz")
    return Wheel(file, source)


def _plain(requirement: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", requirement)


def _write(file: Path, text: str) -> None:
    file.write_text(f"{text}\n")


def closure(wanted: Sequence[str], installed: Mapping[str, Sequence[str]]) -> set[str]:
    """The distributions that these requirements name, with all that those declare for the extras asked for."""
    waiting, seen = [Requirement(each) for each in wanted], set[tuple[str, str]]()
    while waiting:
        each = waiting.pop()
        name = canonicalize_name(each.name)
        for extra in {"", *each.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                declared = [Requirement(line) for line in installed.get(name, ())]
                waiting += [one for one in declared if not one.marker or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}
