"""Each package alone and in the sets people install, in empty environments: what is there, and that it works."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import data_folder
from wheels.environments import EVERYTHING, PROGRAMS, ROOT, Environment, Workshop, closure

SAMPLES = ROOT / "examples" / "service" / "statements"
HOUSEHOLD = SAMPLES / "household.ofx"
SETS = (
    ("dashtam-core",),
    ("dashtam-core[cli]",),
    ("dashtam-core[crypto]",),
    ("dashtam-core[testing]",),
    ("dashtam-embedded",),
    ("dashtam-fastapi",),
    ("dashtam-files",),
    ("dashtam-postgres",),
    ("dashtam-redis",),
    ("dashtam-core[cli]", "dashtam-files"),
    ("dashtam-embedded", "dashtam-files", "dashtam-postgres"),
    ("dashtam-fastapi", "dashtam-files"),
    EVERYTHING,
)
READ = {"format": "OFX 2.20", "rows": [12, 4]}


@pytest.mark.parametrize("wanted", SETS, ids=" ".join)
def test_only_what_is_declared_is_installed(workshop: Workshop, wanted: tuple[str, ...]) -> None:
    """An environment holds what was asked for with all it declares, nothing else, and our packages as built."""
    there: dict[str, Any] = workshop.environment(*wanted).told("installed")
    assert set(there["requires"]) == closure(wanted, there["requires"])
    wheels = {name: workshop.wheels[name].file.as_uri() for name in there["origin"]}
    assert there["origin"] == wheels


def test_the_core_works_alone(workshop: Workshop) -> None:
    """Without adapters or extras it opens in memory, takes a reader, imports and lists."""
    assert_works(workshop.environment("dashtam-core"))


def test_the_core_seals_with_its_cryptography(workshop: Workshop, tmp_path: Path) -> None:
    """The extra is all it takes to seal and verify the trail; an export of it is verified without the store."""
    export = tmp_path / "log.jsonl"
    said = workshop.environment("dashtam-core[crypto]").told("crypto", export)
    assert said["exported"] >= said["verified"] > 0
    elsewhere = workshop.environment("dashtam-core[cli,crypto]")
    found = elsewhere.dashtam("audit", "verify", str(export), "--key", said["key"], "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout)["entries"] == said["exported"]


def test_the_kit_runs_with_its_extra(workshop: Workshop, tmp_path: Path) -> None:
    """The extra is all an author needs to hold a store to its promises, and none of them is left out."""
    assert_runs_kit(workshop.environment("dashtam-core[testing]"), tmp_path)


def test_files_are_read_without_a_store(workshop: Workshop) -> None:
    """The readers can be used alone."""
    assert workshop.environment("dashtam-files").told("files", HOUSEHOLD) == READ


def test_a_server_starts_without_the_core(workshop: Workshop) -> None:
    """The embedded server needs no other package of ours, and answers as PostgreSQL does."""
    said = workshop.environment("dashtam-embedded").told("embedded")
    assert (said["host"], said["answer"]) == ("127.0.0.1", "N")


def test_the_durable_store_says_that_no_server_answers(workshop: Workshop) -> None:
    """Its migrations came along, and a server that is not there is named without its password."""
    said = workshop.environment("dashtam-postgres").told("postgres")
    assert said["migrations"] == sorted(
        each.name for each in (ROOT / "packages/dashtam-postgres/src").rglob("versions/[0-9]*.py")
    )
    assert "127.0.0.1:1/none does not answer" in said["said"]
    assert "hush" not in said["said"]


def test_what_is_shared_is_not_needed(workshop: Workshop) -> None:
    """With the adapter alone Dashtam works in memory, and says which server it goes on without."""
    said = workshop.environment("dashtam-redis").told("shared")
    assert (said["listed"], said["code"]) == (0, "cache_unreachable")
    assert "127.0.0.1:1" in said["said"]
    assert "hush" not in said["said"]


def test_data_outlive_the_server(workshop: Workshop) -> None:
    """A server of one's own is started, migrated and written to; the next start finds all of it."""
    durable = workshop.environment("dashtam-embedded", "dashtam-files", "dashtam-postgres")
    assert_lasts(durable)


def test_the_service_serves_without_readers(workshop: Workshop) -> None:
    """Alone it answers, and tells whoever sends a statement what to install."""
    said = workshop.environment("dashtam-fastapi").told("http", HOUSEHOLD)
    assert said["health"] == [200, {"status": "ready"}]
    status, problem = said["import"]
    assert (status, problem["code"]) == (415, "format_unknown")
    assert "pip install dashtam-files" in problem["detail"]
    assert said["accounts"] == [200, {"items": [], "next_cursor": None}]


def test_the_service_takes_in_a_statement(workshop: Workshop) -> None:
    """With the readers beside it, what is sent over HTTP is listed over HTTP."""
    assert_serves(workshop.environment("dashtam-fastapi", "dashtam-files"))


def test_the_command_line_reads_a_file(workshop: Workshop) -> None:
    """A reader that is installed beside the command is found by it."""
    done = workshop.environment("dashtam-core[cli]", "dashtam-files").dashtam("read", "--json", str(HOUSEHOLD))
    assert (done.returncode, done.stderr) == (0, "")
    statement = json.loads(done.stdout)
    assert statement["format"] == READ["format"]


def test_everything_together(workshop: Workshop) -> None:
    """All packages are found by each other: a statement imported by one command is listed by the next."""
    whole = workshop.environment(*EVERYTHING)
    with data_folder() as folder:
        variables = {"DASHTAM_DATA_DIR": str(folder)}
        imported = whole.dashtam("import", *map(str, sorted(SAMPLES.iterdir())), variables=variables)
        assert (imported.returncode, imported.stderr) == (0, "")
        listed = whole.dashtam("accounts", "--json", variables=variables)
        plugins = whole.dashtam("plugins", "--json", variables=variables)
    masks = {each["mask"] for each in json.loads(listed.stdout)["items"]}
    assert masks == {"7702", "4481", "0226", "5500", "3000", "3201", None}
    found = json.loads(plugins.stdout)["plugins"]
    assert {each["name"] for each in found} == {"memory", "embedded", "fastapi", "files", "postgres", "redis"}
    assert all(each["active"] and each["provides"] for each in found)


def assert_works(environment: Environment) -> None:
    said = environment.told("core")
    assert (said["added"], said["amounts"]) == (3, ["-2.00", "1.50", "1.50"])
    assert Path(said["where"]).is_relative_to(environment.folder)


def assert_runs_kit(environment: Environment, folder: Path) -> None:
    shutil.copy(PROGRAMS / "kit_memory.py", folder / "test_kit.py")
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    done = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_kit.py", cwd=folder)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 100


def assert_serves(environment: Environment) -> None:
    said = environment.told("http", HOUSEHOLD)
    status, report = said["import"]
    assert (status, report["added"]) == (201, 16)
    status, page = said["accounts"]
    assert (status, [each["mask"] for each in page["items"]]) == (200, ["4481", "0226"])


def assert_lasts(environment: Environment) -> None:
    with data_folder() as folder:
        runs = [environment.told("durable", folder, HOUSEHOLD) for _ in range(2)]
    assert runs == [{"before": 0, "known": False, "after": 16}, {"before": 16, "known": True, "after": 16}]
