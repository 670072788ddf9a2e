"""The command line on a real embedded store: what was taken in is there in the next process."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from e2e.conftest import data_folder
from e2e.processes import ROOT, dashtam

SAMPLES = ROOT / "examples" / "service" / "statements"


@pytest.fixture(scope="module")
def data() -> Generator[Path]:
    """A data folder with the samples imported."""
    with data_folder() as folder:
        taken = dashtam(folder, "import", *map(str, sorted(SAMPLES.iterdir())))
        assert taken.returncode == 0, taken.stderr
        yield folder


def test_what_was_imported_is_listed_by_the_next_process(data: Path) -> None:
    """Accounts and transactions outlive the process that took them in."""
    accounts = json.loads(dashtam(data, "accounts", "--json").stdout)["items"]
    assert {account["mask"] for account in accounts} == {"7702", "4481", "0226", "5500", "3000", "3201", None}
    rows = json.loads(dashtam(data, "transactions", "--json", "--limit", "500").stdout)["items"]
    assert len(rows) == 66
    (card,) = (account["account_id"] for account in accounts if account["mask"] == "5500")
    assert sum(row["account_id"] == card for row in rows) == 12


def test_importing_again_adds_nothing(data: Path) -> None:
    """The same file is answered as known, and the list stays as it was."""
    again = json.loads(dashtam(data, "import", "--json", str(SAMPLES / "household.ofx")).stdout)["imports"][0]
    assert again["already_imported"] is True
    assert len(json.loads(dashtam(data, "transactions", "--json", "--limit", "500").stdout)["items"]) == 66


def test_an_overlapping_statement_adds_only_what_is_new(data: Path, tmp_path: Path) -> None:
    """A later download of the same card brings its one new row, and every row that was there stays single."""
    text = (SAMPLES / "travel-card.qfx").read_text(encoding="cp1252")
    start, end = text.index("<STMTTRN>"), text.index("</BANKTRANLIST>")
    extra = "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260401<TRNAMT>-1.00<FITID>only-here<NAME>NEW</STMTTRN>"
    later = tmp_path / "later.qfx"
    later.write_text(text[:start] + extra + text[start:end] + text[end:], encoding="cp1252")
    taken = json.loads(dashtam(data, "import", "--json", str(later), DASHTAM_SUBJECT="local").stdout)["imports"][0]
    assert (taken["added"], taken["skipped"]) == (1, 12)
    newest = json.loads(dashtam(data, "transactions", "--json", "--limit", "1").stdout)["items"][0]
    assert newest["description"] == "NEW"


def test_another_person_has_nothing(data: Path) -> None:
    """Who acts is a setting, and sees what is theirs."""
    assert json.loads(dashtam(data, "accounts", "--json", DASHTAM_SUBJECT="else").stdout)["items"] == []


def test_a_bad_file_stores_nothing_and_says_why(data: Path, tmp_path: Path) -> None:
    """A statement cut in the middle is refused whole, with its code, on exit 2."""
    before = dashtam(data, "accounts", "--json").stdout
    cut = tmp_path / "cut.ofx"
    cut.write_bytes((SAMPLES / "everyday-checking.ofx").read_bytes()[:2_000])
    refused = dashtam(data, "import", str(cut))
    assert refused.returncode == 2
    assert "[file_truncated]" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert dashtam(data, "accounts", "--json").stdout == before


def test_the_plugins_of_this_installation_are_all_active(data: Path) -> None:
    """Every package of the workspace is found and provides something."""
    plugins = json.loads(dashtam(data, "plugins", "--json").stdout)["plugins"]
    assert {plugin["name"] for plugin in plugins} == {
        "memory",
        "embedded",
        "fastapi",
        "files",
        "postgres",
        "redis",
    }
    assert all(plugin["active"] and plugin["provides"] for plugin in plugins)


def test_the_embedded_store_needs_no_upgrade(data: Path) -> None:
    """`dashtam db upgrade` has nothing to do where the store migrates itself."""
    upgraded = dashtam(data, "db", "upgrade")
    assert upgraded.returncode == 0
    assert "nothing to do" in upgraded.stdout
