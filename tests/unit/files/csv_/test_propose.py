"""Readings proposed from content alone, and the command that shows and saves them."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from dashtam_core.kernel import Failure, Success
from dashtam_files.csv import CsvProfile, CsvReader, Proposal, propose
from dashtam_files.csv._command import add

BALANCED = b"""Date,Text,Value,Left
23/01/2026,Shop,-5.00,95.00
24/01/2026,Pay,20.00,115.00
25/01/2026,Tax,-15.00,100.00
"""
DOUBTFUL = b"10/02/2026;Shop;5,00;\n11/02/2026;Pay;;6,00\n"


def proposed(data: bytes) -> list[Proposal]:
    match propose(data):
        case Success(found):
            return list(found)
        case failure:
            raise AssertionError(failure)


def test_a_proposal_says_why_and_shows_how_it_reads() -> None:
    """The evidence names the day that decides and how often the balance agrees."""
    (only,) = proposed(BALANCED)
    assert any("23/01/2026 can only be day first" in line for line in only.evidence)
    assert any("agrees in 2 of 2 rows" in line for line in only.evidence)
    assert [str(row.amount) for row in only.preview] == ["-5.00 XXX", "20.00 XXX", "-15.00 XXX"]
    assert only.profile.columns["balance"] == ("Left",)


@pytest.mark.parametrize("data", [BALANCED, DOUBTFUL])
def test_every_proposal_is_a_profile_that_reads_the_file_as_previewed(data: bytes) -> None:
    """What is saved and given back reads what was shown, whether or not the file has a header."""
    for proposal in proposed(data):
        match CsvReader().directed(proposal.profile.to_toml()):
            case Success(reader):
                pass
            case failure:
                raise AssertionError(failure)
        match reader.read(data):
            case Success(statement):
                (batch,) = statement.batch.accounts
                assert list(batch.transactions) == list(proposal.preview)
            case failure:
                raise AssertionError(failure)


def test_readings_that_differ_are_each_proposed() -> None:
    """Two orders of day and month, two ways to take the columns."""
    summaries = {each.profile.summary for each in proposed(DOUBTFUL)}
    assert summaries == {
        f"days {order}, debit {out} and credit {income}, decimal mark ,"
        for order in ("DMY", "MDY")
        for out, income in ((3, 4), (4, 3))
    }


def test_what_is_no_table_of_bookings_gives_no_proposal() -> None:
    """There is nothing to choose from."""
    assert isinstance(propose(b"name,town\nAnn,Rome\n"), Failure)


def run(*words: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    add(app)
    return CliRunner().invoke(app, ["csv", *words])


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    path = tmp_path / "bank.csv"
    path.write_bytes(DOUBTFUL)
    return path


def test_the_command_shows_each_reading_with_evidence_preview_and_profile(doubtful: Path) -> None:
    """What a person needs to choose."""
    shown = run("propose", str(doubtful))
    assert shown.exit_code == 0
    for text in ("1. days DMY", "4. days", "day can be day first or month", "-5.00 XXX", 'format = "csv"'):
        assert text in shown.stdout
    assert run("propose", str(doubtful), "--choose", "3").stdout.count("days ") == 1


def test_the_command_saves_the_chosen_reading(doubtful: Path, tmp_path: Path) -> None:
    """Without a choice, with a wrong one or over another file nothing is written."""
    path = tmp_path / "bank.toml"
    assert run("propose", str(doubtful), "--save", str(path)).exit_code == 2
    assert run("propose", str(doubtful), "--choose", "9", "--save", str(path)).exit_code == 2
    assert not path.exists()
    assert run("propose", str(doubtful), "--choose", "2", "--save", str(path)).exit_code == 0
    (second,) = (each.profile for at, each in enumerate(proposed(DOUBTFUL), 1) if at == 2)
    assert CsvProfile.parse(path.read_text()) == Success(second)
    assert run("propose", str(doubtful), "--choose", "1", "--save", str(path)).exit_code == 2


def test_the_command_says_why_a_file_is_not_read(tmp_path: Path) -> None:
    """One line, and the code for what the caller can put right."""
    path = tmp_path / "x.csv"
    assert run("propose", str(path)).exit_code == 2
    path.write_bytes(b"name,town\nAnn,Rome\n")
    refused = run("propose", str(path))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "format_unknown" in refused.stderr


def test_the_command_lists_the_profiles_and_prints_one() -> None:
    """A profile that is printed can be changed and given back."""
    assert "rabobank" in run("profiles").stdout
    printed = run("profiles", "rabobank").stdout
    assert isinstance(CsvProfile.parse(printed), Success)
    assert run("profiles", "no such bank").exit_code == 2
