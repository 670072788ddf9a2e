"""`dashtam import`: files into the store, one bad one among them."""

import json
from pathlib import Path

import pytest

from dashtam_core.testing.samples import lines
from unit.cli.toy import JANUARY, CommandLine


def test_json_has_the_view_of_each_import(dashtam: CommandLine, folder: Path) -> None:
    """A file is reported as stored, under the last part of its path."""
    (imported,) = dashtam.json("import", str(folder / "january.lines"))["imports"]
    assert imported.keys() == {
        *("import_id", "filename", "format", "encoding", "parser", "sha256", "imported_at"),
        *("added", "skipped", "accounts", "warnings", "already_imported"),
    }
    assert (imported["filename"], imported["added"], imported["already_imported"]) == ("january.lines", 2, False)
    assert imported["warnings"] == [{"rule": "date_unreadable", "where": "row 3", "raw": "31.02."}]


def test_the_same_bytes_again(dashtam: CommandLine, folder: Path) -> None:
    """A copy under another name is told apart by its name, and changes nothing."""
    (folder / "copy.lines").write_bytes(JANUARY)
    first, second = dashtam.json("import", "january.lines", "copy.lines")["imports"]
    assert (second["filename"], second["already_imported"]) == ("copy.lines", True)
    assert second["import_id"] == first["import_id"]


def test_a_row_for_each_file(dashtam: CommandLine, folder: Path) -> None:
    """New, skipped and known files each have their row, with what they change now."""
    later = lines("account;DE00 1234", "row;2026-01-07;1000;", "row;2026-02-01;-1;Tea")
    (folder / "later.lines").write_bytes(later)
    first = dashtam("import", "january.lines", "later.lines")
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["file", "format", "new", "changed", "skipped", "adds", "up", "warnings"],
        ["january.lines", "LINES", "1", "2", "0", "0", "unknown", "1"],
        ["later.lines", "LINES", "1", "1", "1", "0", "unknown", "0"],
    ]
    again = dashtam("import", "january.lines").stdout.splitlines()[1]
    assert again.split()[:8] == ["january.lines", "LINES", "1", "0", "0", "2", "unknown", "1"]
    assert "already imported on 2" in again
    assert (first.exit_code, first.stderr.count("dashtam:")) == (0, 0)


def test_a_bad_file_stops_no_other(dashtam: CommandLine) -> None:
    """Of three files the middle one fails: it is named, the others are stored, and the exit code is 2."""
    result = dashtam("import", "missing.lines", "january.lines", "--json")
    bad, good = json.loads(result.stdout)["imports"]
    assert result.exit_code == 2
    assert bad == {
        "filename": "missing.lines",
        "error": {
            "code": "file_unreadable",
            "message": "the file cannot be read (No such file or directory): "
            "check its name, and that you may read it",
        },
    }
    assert good["added"] == 2
    assert "dashtam: missing.lines: [file_unreadable] " in result.stderr


def test_bad_files_alone(dashtam: CommandLine) -> None:
    """Where nothing was imported there is no table, only a line for each file."""
    result = dashtam("import", "missing.lines", "other.lines")
    assert (result.exit_code, result.stdout, result.stderr.count("[file_unreadable]")) == (2, "", 2)


def test_standard_input(dashtam: CommandLine) -> None:
    """A file from standard input is stored without a name."""
    result = dashtam("import", "-", "--json", stdin=JANUARY)
    (imported,) = json.loads(result.stdout)["imports"]
    assert (imported["filename"], imported["added"]) == (None, 2)


def test_each_subject_has_a_store_of_its_own(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting DASHTAM_SUBJECT says for whom a file is imported."""
    dashtam("import", "january.lines")
    monkeypatch.setenv("DASHTAM_SUBJECT", "somebody else")
    assert dashtam.json("accounts")["items"] == []
    (imported,) = dashtam.json("import", "january.lines")["imports"]
    assert (imported["already_imported"], len(dashtam.json("accounts")["items"])) == (False, 1)


def test_a_file_is_read_again_by_its_id(dashtam: CommandLine) -> None:
    """What an import prints as its id is what --again takes; an id that is none ends it with 2."""
    (made,) = dashtam.json("import", "january.lines")["imports"]
    (again,) = dashtam.json("import", "--again", made["import_id"])["imports"]
    assert (again["import_id"], again["already_imported"], again["added"]) == (made["import_id"], False, 0)
    assert dashtam("import", "--again", "january.lines").exit_code == 2
    unknown = dashtam("import", "--again", "01990c4e-0000-7000-8000-000000000000")
    assert (unknown.exit_code, "[import_not_found]" in unknown.stderr) == (2, True)


@pytest.mark.parametrize("command", ["read", "import"])
def test_a_profile_is_read_from_its_file(dashtam: CommandLine, folder: Path, command: str) -> None:
    """It goes to the reader that it names; a profile that is not there ends the command."""
    (folder / "bank.toml").write_text('format = "lines"')
    refused = dashtam(command, "january.lines", "--profile", "bank.toml")
    assert (refused.exit_code, "[profile_invalid]" in refused.stderr) == (2, True)
    assert dashtam(command, "january.lines", "--profile", "none.toml").exit_code == 2
