"""`dashtam export`: a file, or standard output, and nothing half written."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from dashtam_core import hookimpl
from dashtam_core.accounts import StatementWriter
from dashtam_core.testing.samples import lines
from dashtam_files.writers import BeancountWriter, CsvWriter, OfxWriter
from unit.cli.toy import CommandLine, noisy

TWO = lines(
    *("account;DE00 1234", "row;2026-01-05;-12.5;Café", "row;2026-01-07;1000;Wages"),
    *("account;DE22 ABCD", "row;2026-01-08;-2;Cake"),
)


class Writers:
    @hookimpl
    def dashtam_writers(self) -> Iterable[StatementWriter]:
        return OfxWriter(), CsvWriter(), BeancountWriter()


@pytest.fixture
def dashtam() -> CommandLine:
    """The command line with two accounts in its store, and the writers."""
    found = CommandLine(noisy(), Writers())
    assert found("import", "-", stdin=TWO).exit_code == 0
    return found


def test_standard_output_is_the_file_and_nothing_else(dashtam: CommandLine) -> None:
    """What plugins print goes elsewhere, and the text is UTF-8."""
    result = dashtam("export")
    assert (result.exit_code, result.stdout_bytes[:5], result.stdout_bytes[-7:]) == (0, b"<?xml", b"</OFX>\n")
    assert "<NAME>Café</NAME>".encode() in result.stdout_bytes


@pytest.mark.parametrize(
    ("name", "begins"), [("ofx", b"<?xml"), ("csv", b"account_id,"), ("beancount", b";; -*- mode")]
)
def test_formats(dashtam: CommandLine, folder: Path, name: str, begins: bytes) -> None:
    """Each format by its name, into a file that is told of on stderr."""
    result = dashtam("export", "--format", name, "--output", "mine")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (folder / "mine").read_bytes().startswith(begins)
    assert f"{(folder / 'mine').stat().st_size:,} bytes written to mine" in result.stderr


def test_an_account_and_days(dashtam: CommandLine) -> None:
    """As in the lists, an account is chosen by its last four, and both days are included."""
    whole = dashtam("export", "--format", "csv").stdout
    assert [word in whole for word in ("Café", "Wages", "Cake")] == [True, True, True]
    some = dashtam("export", "--format", "csv", "--account", "1234", "--from", "2026-01-07", "--to", "2026-01-08")
    assert [word in some.stdout for word in ("Café", "Wages", "Cake")] == [False, True, False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "pdf"], "[export_format_unknown] no installed writer has the format 'pdf'"),
        (["--account", "9999"], "no account of yours has the last four"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "[date_range_invalid]"),
    ],
)
def test_refusals_leave_no_file(dashtam: CommandLine, folder: Path, options: list[str], said: str) -> None:
    """A refused export says why, exits with 2 and leaves what was there as it was."""
    (folder / "mine").write_text("before")
    result = dashtam("export", *options, "--output", "mine")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("mine", "before")]
