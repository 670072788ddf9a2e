"""`dashtam import`: files into the store, one bad one among them."""

import json
from pathlib import Path

import pytest

from unit.cli.toy import CommandLine, Toy, account, row, statement


def test_json_has_the_view_of_each_import(dashtam: CommandLine, folder: Path) -> None:
    """A file is reported as stored, under the last part of its path."""
    (imported,) = dashtam.json("import", str(folder / "january.toy"))["imports"]
    assert imported.keys() == {
        *("import_id", "filename", "format", "encoding", "parser", "sha256", "imported_at"),
        *("added", "skipped", "accounts", "warnings", "already_imported"),
    }
    assert (imported["filename"], imported["added"], imported["already_imported"]) == ("january.toy", 2, False)
    assert imported["warnings"] == [{"rule": "date_unreadable", "where": "row 3", "raw": "31.02."}]


def test_the_same_bytes_again(dashtam: CommandLine, folder: Path) -> None:
    """A copy under another name is told apart by its name, and changes nothing."""
    (folder / "copy.toy").write_text("TOY january")
    first, second = dashtam.json("import", "january.toy", "copy.toy")["imports"]
    assert (second["filename"], second["already_imported"]) == ("copy.toy", True)
    assert second["import_id"] == first["import_id"]


def test_a_row_for_each_file(folder: Path) -> None:
    """New, skipped and known files each have their row, with what they change now."""
    later = statement(account("DE00 1234", row("2026-01-07", "1000", None), row("2026-02-01", "-1", "Tea")))
    dashtam = CommandLine(Toy(later=later))
    for name in ("january", "later"):
        (folder / f"{name}.toy").write_text(f"TOY {name}")
    first = dashtam("import", "january.toy", "later.toy")
    assert [line.split() for line in first.stdout.splitlines()] == [
        ["file", "format", "new", "skipped", "warnings"],
        ["january.toy", "TOY", "1", "2", "0", "1"],
        ["later.toy", "TOY", "1", "1", "1", "0"],
    ]
    again = dashtam("import", "january.toy").stdout.splitlines()[1]
    assert again.split()[:6] == ["january.toy", "TOY", "1", "0", "2", "1"]
    assert "already imported on 2" in again
    assert (first.exit_code, first.stderr.count("dashtam:")) == (0, 0)


def test_a_bad_file_stops_no_other(dashtam: CommandLine) -> None:
    """Of three files the middle one fails: it is named, the others are stored, and the exit code is 2."""
    result = dashtam("import", "missing.toy", "january.toy", "--json")
    bad, good = json.loads(result.stdout)["imports"]
    assert result.exit_code == 2
    assert bad == {
        "filename": "missing.toy",
        "error": {
            "code": "file_unreadable",
            "message": "the file cannot be read (No such file or directory): "
            "check its name, and that you may read it",
        },
    }
    assert good["added"] == 2
    assert "dashtam: missing.toy: [file_unreadable] " in result.stderr


def test_bad_files_alone(dashtam: CommandLine) -> None:
    """Where nothing was imported there is no table, only a line for each file."""
    result = dashtam("import", "missing.toy", "other.toy")
    assert (result.exit_code, result.stdout, result.stderr.count("[file_unreadable]")) == (2, "", 2)


def test_standard_input(dashtam: CommandLine) -> None:
    """A file from standard input is stored without a name."""
    result = dashtam("import", "-", "--json", stdin=b"TOY january")
    (imported,) = json.loads(result.stdout)["imports"]
    assert (imported["filename"], imported["added"]) == (None, 2)


def test_each_subject_has_a_store_of_its_own(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting DASHTAM_SUBJECT says for whom a file is imported."""
    dashtam("import", "january.toy")
    monkeypatch.setenv("DASHTAM_SUBJECT", "somebody else")
    assert dashtam.json("accounts")["items"] == []
    (imported,) = dashtam.json("import", "january.toy")["imports"]
    assert (imported["already_imported"], len(dashtam.json("accounts")["items"])) == (False, 1)
