"""Profiles as documents: parsed strictly, written back readable, collected from a folder."""

import logging
import re
from pathlib import Path

import pytest

from dashtam_core.accounts import AccountType, ImportCode, ImportFailed, ProfiledReader, Statement
from dashtam_core.kernel import Failure, Result, Success
from dashtam_files.csv import CsvProfile, CsvReader, _reader
from dashtam_files.csv._profile import _KEYS, plain
from dashtam_files.csv._reader import built_in

GOOD = """
format = "csv"
name = "my bank"
header = ["When", "What", "How much", "Side"]
delimiter = ";"
dates = "DMY"
decimal = ","
debit_words = ["out"]
pending = ["open"]
skip = ["Total"]
currency = "EUR"
account = "12345678"
account_type = "SAVINGS"
flip = true

[columns]
date = "When"
amount = 3
indicator = "Side"
description = ["What", 5]
status = "State*"
"""


def parsed(text: str) -> CsvProfile:
    match CsvProfile.parse(text):
        case Success(profile):
            return profile
        case failure:
            raise AssertionError(failure)


def test_a_profile_is_written_back_as_it_was_read_with_a_comment_on_each_line() -> None:
    """A person can change what is saved, and reading it gives the same profile."""
    profile = parsed(GOOD)
    written = profile.to_toml()
    assert parsed(written) == profile
    assert all("#" in line for line in written.splitlines()[1:] if line)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('format = "csv"', 'format = "qif"'), 'format = "csv"'),
        (('name = "my bank"', ""), "name"),
        (("skip =", "skips ="), "allowed are format, name"),
        (('date = "When"', 'day = "When"'), "allowed are date"),
        (('dates = "DMY"', 'dates = "DDMMYY"'), '"DMY" "MDY" "YMD"'),
        (('decimal = ","', "decimal = 1"), "decimal"),
        (('delimiter = ";"', 'delimiter = "::"'), "delimiter"),
        (("flip = true", 'flip = "yes"'), "true or false"),
        (('currency = "EUR"', 'currency = "Euro"'), "ISO 4217"),
        (('"SAVINGS"', '"GIRO"'), "CHECKING"),
        (("amount = 3", "amount = 0"), "amount"),
        (("amount = 3", "amount = true"), "amount must be"),
        (("amount = 3", "category = 3"), "amount"),
        (("amount = 3", 'amount = 3\ndebit = "x"'), "either"),
        (('date = "When"', ""), "columns.date"),
        (('debit_words = ["out"]', ""), "debit_words"),
        (('["Total"]', '"Total"'), "list"),
        (('["Total"]', '[""]'), "such texts"),
        (("[columns]", "[columns"), "TOML"),
        (("[columns]", "columns = 3\n[other]"), "[columns]"),
    ],
)
def test_a_profile_with_a_mistake_is_refused_with_what_is_allowed(change: tuple[str, str], said: str) -> None:
    """One line names the key and what it may be."""
    assert change[0] in GOOD
    match CsvProfile.parse(GOOD.replace(*change)):
        case Failure(error):
            assert error.code is ImportCode.PROFILE_INVALID
            assert said in error.message
            assert "\n" not in error.message
        case success:
            raise AssertionError(success)


@pytest.mark.parametrize("text", ["", "x" * 200_000, "a = " + "[" * 5_000, "\0", 'format = "csv"'])
def test_no_text_makes_the_parser_raise(text: str) -> None:
    """Whatever is given as a profile, the answer is a value."""
    assert isinstance(CsvProfile.parse(text), Failure)


FOLDER = Path(_reader.__file__).parent / "profiles"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_built_in_profile_is_known_by_its_own_header(path: Path) -> None:
    """A file with just its columns is read by it, and each column that it names in its header has a meaning."""
    profile = parsed(path.read_text("utf-8"))
    assert profile in built_in()
    named = {plain(str(each)) for columns in profile.columns.values() for each in columns}
    assert len(named & {plain(each) for each in profile.header}) >= 3
    names = [re.sub(r"\s*\(?\*\)?$", " (EUR)", each) for each in profile.header]
    header = (profile.delimiter or ";").join(names) + "\n"
    match CsvReader().read(header.encode()):
        case Success(statement):
            assert statement.format == f"CSV {profile.name}"
        case failure:
            raise AssertionError(failure)


def test_no_two_built_in_profiles_claim_one_header() -> None:
    """What a header identifies is one bank; of the bank's own, the one with more columns wins."""
    headers = [({plain(each) for each in profile.header}, profile.name) for profile in built_in()]
    assert not [names for one, names in headers for two, others in headers if one < two and names != others]


def test_a_folder_of_profiles_is_read_and_a_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One mistake costs one profile, not the others."""
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "broken.toml").write_text("name = 3")
    (tmp_path / "notes.txt").write_text("no profile")
    monkeypatch.setenv("DASHTAM_CSV_PROFILES", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in CsvReader.installed().profiles] == ["my bank"]
    assert "broken.toml" in caplog.text
    monkeypatch.setenv("DASHTAM_CSV_PROFILES", str(tmp_path / "nowhere"))
    assert not CsvReader.installed().profiles
    monkeypatch.delenv("DASHTAM_CSV_PROFILES")
    assert CsvReader.installed() == CsvReader()


def read_by(profile: str, data: bytes) -> Result[Statement, ImportFailed]:
    reader: ProfiledReader = CsvReader()
    match reader.directed(profile):
        case Success(directed):
            return directed.read(data)
        case Failure(error):
            return Failure(error)


def rows(result: Result[Statement, ImportFailed]) -> list[str]:
    (batch,) = result.unwrap().batch.accounts
    return [f"{row.posted_date} {row.amount}" for row in batch.transactions]


def test_a_profile_directs_the_reader_and_one_of_another_file_is_refused() -> None:
    """The chosen profile is followed even where a built-in one fits; it never reads what lacks its columns."""
    result = read_by(GOOD, b"When;What;How much;Side\n02.01.2026;Shop;5,00;out\n03.01.2026;Pay;6,00;\n")
    assert rows(result) == ["2026-01-02 -5.00 EUR", "2026-01-03 6.00 EUR"]
    assert result.unwrap().batch.accounts[0].account.number == "12345678"
    other = read_by(GOOD, b"Date,Amount\n2026-01-02,5.00\n").failure()
    assert other.code is ImportCode.FORMAT_UNKNOWN
    assert "my bank" in other.message
    assert read_by("format = 3", b"").failure().code is ImportCode.PROFILE_INVALID


def test_a_profile_without_order_or_mark_takes_them_from_the_file_or_asks() -> None:
    """Banks that write by a person's settings have one profile; where no day decides, nobody guesses."""
    header = b"Date,Description,Card Member,Account #,Amount\n"
    result = CsvReader().read(header + b"15/01/2026,Shop,A,-12345,25.50\n")
    assert rows(result) == ["2026-01-15 -25.50 XXX"]
    error = CsvReader().read(header + b"05/01/2026,Shop,A,-12345,25.50\n").failure()
    assert error.code is ImportCode.READING_AMBIGUOUS
    assert "2 ways (days DMY" in error.message


@pytest.mark.parametrize(
    ("name", "header", "same"),
    [
        ("How  Much", "howmuch", True),
        ("Amount", "Amount (EUR)", False),
        ("Amount (*)", "AMOUNT (EUR)", True),
        ("Pay*name", "Payee of the name", True),
        ("Pay*name", "Payee of the names", False),
        ("a*a", "a", False),
    ],
)
def test_a_column_is_known_by_its_whole_name(name: str, header: str, same: bool) -> None:
    """Case and spaces do not count, and a star stands for any text."""
    profile = f'format = "csv"\nname = "x"\nheader = ["{name}"]\ndates = "YMD"\n[columns]\n'
    result = read_by(f'{profile}date = "{name}"\namount = 2\n', f"{header},b\n2026-01-02,-5.00\n".encode())
    assert isinstance(result, Success) is same


def test_the_kinds_of_account_are_those_of_the_model() -> None:
    """What a profile may say is what the model knows."""
    assert _KEYS["account_type"]["choices"] == list(AccountType)
