"""The core alone: its wheel in an empty environment, with nothing but what it declares."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
CONSTRAINTS = ROOT / "constraints.txt"
PROGRAM = """
import asyncio, json, sys
from datetime import date
from decimal import Decimal
from importlib.metadata import distributions, entry_points
from importlib.resources import files

from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import (
    AccountBatch, AccountData, AccountType, ImportStatement, ListTransactions, Statement, SyncBatch,
    TransactionData, TransactionType,
)
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Currency, Money, Success

EUR = Currency("EUR")

class Reader:
    name = "lines"
    def recognizes(self, data):
        return data.startswith(b"LINES")
    def read(self, data):
        amounts = [Money(Decimal(line), EUR) for line in data.decode().split()[1:]]
        day, kind = date(2026, 3, 1), TransactionType.OTHER
        rows = tuple(TransactionData(posted_date=day, amount=amount, type=kind) for amount in amounts)
        account = AccountData(provider_account_id="1", account_type=AccountType.CHECKING, currency=EUR)
        batch = SyncBatch(accounts=(AccountBatch(account=account, transactions=rows),))
        return Success(Statement(format="lines", encoding="ascii", parser="me", batch=batch))

class Plugin:
    @hookimpl
    def dashtam_readers(self):
        return (Reader(),)

async def main():
    async with Dashtam.open(settings=Settings(), plugins=[Plugin()]) as dashtam:
        me = dashtam.acting_as(ExternalSubject("me"))
        report = (await me.execute(ImportStatement(b"LINES 1.50 1.50 -2"))).unwrap()
        page = (await me.ask(ListTransactions())).unwrap()
        return report.document.added, [each.amount.text for each in page.items]

added, amounts = asyncio.run(main())
print(json.dumps({
    "added": added,
    "amounts": amounts,
    "installed": sorted(each.name.lower().replace("_", "-") for each in distributions()),
    "typed": (files("dashtam_core") / "py.typed").is_file(),
    "where": __import__("dashtam_core").__file__,
}))
"""


def _uv() -> str:
    """The first uv that runs; a shim of that name may exist and not run."""
    for candidate in (os.environ.get("UV", ""), str(ROOT / ".tools" / "bin" / "uv"), "uv"):
        if not candidate:
            continue
        try:
            subprocess.run([candidate, "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip("no uv that runs: name one in UV, or run make install")


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode and re.search(r"error sending request|[Ff]ailed to (fetch|connect)|dns error", done.stderr):
        pytest.skip("the package index cannot be reached, and the cache does not hold all that is needed")
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def _closure(name: str) -> set[str]:
    """A distribution with everything it declares, extras left out, by the names of what is installed here."""
    found, waiting = set[str](), [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            wanted = [Requirement(line) for line in requires(each) or ()]
            waiting += [_name(one.name) for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[(]", requirement)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the program says that runs on the wheel alone."""
    uv, folder = _uv(), tmp_path_factory.mktemp("wheel")
    constraints = str(CONSTRAINTS)
    _run(
        *(uv, "build", "--quiet", "--wheel", "--build-constraints", constraints, "--out-dir", str(folder)),
        *("--python", sys.executable, "packages/dashtam-core"),
    )
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    _run(uv, "pip", "install", "--quiet", "--python", str(python), "-c", constraints, str(wheel))
    done = subprocess.run(
        [str(python), "-I", "-W", "error", "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    assert str(said["where"]).startswith(str(folder)), "the wheel and not the workspace"
    return said


def test_the_wheel_works_alone(told: dict[str, object]) -> None:
    """Without adapters or extras the core opens in memory, takes a reader, imports and lists."""
    assert (told["added"], told["amounts"]) == (3, ["-2.00", "1.50", "1.50"])


def test_the_wheel_is_typed(told: dict[str, object]) -> None:
    """The marker for type checkers is in the wheel."""
    assert told["typed"]


def test_only_what_is_declared_is_installed(told: dict[str, object]) -> None:
    """An embedder gets the few declared dependencies with theirs, and nothing else."""
    declared = tomllib.loads((ROOT / "packages/dashtam-core/pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    assert {_name(each) for each in declared} == {
        *("attrs", "cattrs", "pluggy", "returns", "structlog", "typing-extensions")
    }
    assert set(told["installed"]) == _closure("dashtam-core")  # type: ignore[call-overload]
