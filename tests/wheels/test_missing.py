"""What is missing is said: one line that names what to install or set, an exit code, and never a traceback."""

from pathlib import Path

import attrs
import pytest

from wheels.environments import ROOT, Workshop

SAMPLE = str(ROOT / "examples" / "service" / "statements" / "household.ofx")
KEY = {"DASHTAM_KEY": "k" * 32}
POSTGRES = KEY | {"DASHTAM_STORE_URL": "postgresql://dashtam_app:hush@127.0.0.1:1/finance"}
EMBEDDED = {"DASHTAM_STORE_URL": "embedded:"}
NO_STORE = "set DASHTAM_STORE_URL, or pip install dashtam-embedded dashtam-postgres"


@attrs.frozen
class Case:
    """A command where something is missing: its exit code, and what its one line says."""

    name: str
    installed: tuple[str, ...]
    command: tuple[str, ...]
    code: int
    says: str
    variables: dict[str, str] = attrs.field(factory=dict[str, str])


BARE, CLI = ("dashtam-core",), ("dashtam-core[cli]",)
CASES = (
    Case("the command line", BARE, (), 2, "pip install 'dashtam-core[cli]'"),
    Case("the command line, asked for help", BARE, ("--help",), 2, "pip install 'dashtam-core[cli]'"),
    Case("the command line of a package", ("dashtam-postgres",), ("db", "upgrade"), 2, "'dashtam-core[cli]'"),
    Case("a reader", CLI, ("read", SAMPLE), 2, "pip install dashtam-files"),
    Case("the service", CLI, ("serve",), 2, "pip install dashtam-fastapi"),
    Case("the database", CLI, ("db", "upgrade"), 2, "pip install dashtam-postgres"),
    Case("any store", CLI, ("accounts",), 3, NO_STORE),
    Case("any store to import into", CLI, ("import", SAMPLE), 3, NO_STORE),
    Case("any store to audit", CLI, ("audit", "list"), 3, NO_STORE),
    Case("any store to serve", ("dashtam-fastapi",), ("serve",), 3, NO_STORE),
    Case("PostgreSQL", CLI, ("accounts",), 3, "pip install dashtam-postgres", POSTGRES),
    Case("PostgreSQL, to serve", ("dashtam-fastapi",), ("serve",), 3, "pip install dashtam-postgres", POSTGRES),
    Case("the server", CLI, ("accounts",), 3, "pip install dashtam-embedded dashtam-postgres", EMBEDDED),
    Case(
        "what speaks to the server",
        ("dashtam-core[cli]", "dashtam-embedded"),
        ("accounts",),
        3,
        "pip install dashtam-postgres",
    ),
    Case("an adapter nobody knows", CLI, ("accounts",), 3, "memory:", KEY | {"DASHTAM_STORE_URL": "mysql://h/x"}),
    Case("a plugin by name", CLI, ("accounts",), 3, "DASHTAM_PLUGINS names nope", {"DASHTAM_PLUGINS": "nope"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_missing_is_said_in_one_line(workshop: Workshop, case: Case, tmp_path: Path) -> None:
    """A person at the command line learns what to install, and a script gets the code for it."""
    variables = {"DASHTAM_DATA_DIR": str(tmp_path)} | case.variables
    done = workshop.environment(*case.installed).dashtam(*case.command, cwd=tmp_path, variables=variables)
    assert (done.returncode, done.stdout) == (case.code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("dashtam: ")
    assert case.says in line
    assert "hush" not in line


def test_an_export_cannot_be_verified_without_cryptography(workshop: Workshop, tmp_path: Path) -> None:
    """A trail that cannot be checked is not called sound: the extra is named, on exit 3."""
    export = tmp_path / "log.jsonl"
    key = workshop.environment("dashtam-core[crypto]").told("crypto", export)["key"]
    done = workshop.environment(*CLI).dashtam("audit", "verify", str(export), "--key", key)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("dashtam: ")
    assert "pip install 'dashtam-core[crypto]'" in line


def test_the_kit_names_its_extra(workshop: Workshop) -> None:
    """An author who imports the kit without pytest is told what brings it."""
    done = workshop.environment("dashtam-core").run("-c", "import dashtam_core.testing")
    assert done.returncode == 1
    assert "pip install 'dashtam-core[testing]'" in done.stderr.splitlines()[-1]
