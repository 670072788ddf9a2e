"""The lower bounds are true: everything works on the oldest versions that the packages say they take.

`lowest.txt` holds those versions; `make lock` resolves it anew.
"""

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheels.environments import EVERYTHING, PACKAGES, Environment, Workshop
from wheels.test_installed import assert_lasts, assert_runs_kit, assert_serves, assert_works

LOWEST = Path(__file__).with_name("lowest.txt")
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for each in pkgutil.walk_packages(package.__path__, f"{name}."):
        if ".migrations" not in each.name:
            importlib.import_module(each.name)
"""


@pytest.fixture
def oldest(workshop: Workshop) -> Environment:
    return workshop.environment(*EVERYTHING, pins=LOWEST)


def test_the_oldest_versions_are_those_that_are_declared(workshop: Workshop, oldest: Environment) -> None:
    """Every lower bound is a version there is, and is what is installed here: `make lock` after changing one."""
    bounds = {
        canonicalize_name(each.name): next(one.version for one in each.specifier if one.operator == ">=")
        for wheel in workshop.wheels.values()
        for each in wheel.requirements
    }
    versions = oldest.told("installed")["versions"]
    assert {name: Version(versions[name]) for name in bounds} == {
        name: Version(bound) for name, bound in bounds.items()
    }


def test_every_module_can_be_imported(oldest: Environment) -> None:
    """Nothing that a module names at its top came later."""
    names = [each.replace("-", "_") for each in PACKAGES]
    done = oldest.run("-c", IMPORT_ALL, *names)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_works(oldest: Environment) -> None:
    """In memory it takes a reader, imports and lists."""
    assert_works(oldest)


def test_the_service_serves(oldest: Environment) -> None:
    """A statement sent over HTTP is listed over HTTP."""
    assert_serves(oldest)


def test_the_durable_store_lasts(oldest: Environment) -> None:
    """It is migrated, written to, and found again."""
    assert_lasts(oldest)


def test_the_kit_runs(oldest: Environment, tmp_path: Path) -> None:
    """Adapters can be held to their promises."""
    assert_runs_kit(oldest, tmp_path)


def test_the_command_line_runs(oldest: Environment) -> None:
    """Every command is listed, and a plugin's is run."""
    helped = oldest.dashtam("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert {"import", "serve", "db"} <= set(helped.stdout.split())
    assert oldest.dashtam("serve", "--help").returncode == 0
