"""`dashtam users` and `dashtam keys`: accounts made and listed by who runs the service, and its key."""

from pathlib import Path

import pytest

from dashtam_core.cli import _users
from unit.cli.toy import CommandLine

PASSWORD = "violet harbour gravel 77"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> str:
    """A password that is not asked for."""
    monkeypatch.setenv("DASHTAM_PASSWORD", PASSWORD)
    return PASSWORD


@pytest.mark.usefixtures("typed")
def test_an_account_is_made_and_listed(dashtam: CommandLine) -> None:
    """With the role that is asked for, usable at once; a table and JSON tell the same."""
    roles = {"ann": (), "ben": ("--role", "READ_ONLY"), "cleo": ("--admin",)}
    made = [dashtam.json("users", "create", f"{name}@example.org", *more) for name, more in roles.items()]
    assert [each["role"] for each in made] == ["USER", "READ_ONLY", "ADMIN"]
    assert [each["email"] for each in made] == [f"{name}@example.org" for name in roles]
    assert {each["status"] for each in made} == {"ACTIVE"}
    assert dashtam.json("users", "list") == {"items": made}
    rows = [each.split() for each in dashtam("users", "list").stdout.splitlines()]
    assert rows[0][:5] == ["user", "id", "address", "role", "status"]
    assert [row[:4] for row in rows[1:]] == [[*each.values()][:4] for each in made]
    assert "  dora@example.org  USER  ACTIVE  " in dashtam("users", "create", "dora@example.org").stdout
    again = dashtam("users", "create", "ANN@example.org")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "[email_taken]" in again.stderr


def test_a_password_is_asked_for_twice(dashtam: CommandLine) -> None:
    """It is not shown, and two that differ make no account."""
    for second, people in (("other", 0), (PASSWORD, 1)):
        said = f"{PASSWORD}\n{second}\n".encode()
        asked = dashtam("users", "create", "ann@example.org", stdin=said)
        assert (asked.exit_code == 0) is bool(people)
        assert PASSWORD not in asked.output
        assert len(dashtam.json("users", "list")["items"]) == people


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize("page", [1, 2, 3])
def test_all_accounts_are_listed_however_many(
    dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Page by page, each once, also where the last page is full."""
    monkeypatch.setattr(_users, "_MAX_PAGE", page)
    emails = [f"{number}@example.org" for number in range(3)]
    for each in emails:
        dashtam.json("users", "create", each)
    assert [each["email"] for each in dashtam.json("users", "list")["items"]] == emails


def test_a_new_key_overwrites_nothing(dashtam: CommandLine, tmp_path: Path) -> None:
    """A file that is there, or cannot be, is refused by its name, and the store keeps its one key."""
    kept = tmp_path / "kept.key"
    kept.write_text("precious")
    for file in (kept, tmp_path / "none" / "new.key"):
        refused = dashtam("keys", "rotate", str(file))
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert str(file) in refused.stderr
    assert kept.read_text() == "precious"
    assert len(dashtam.store.keys.kept) == 1


def test_a_new_key_is_random(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No two are the same; retiring counts the others, of which there are none the second time."""
    monkeypatch.setenv("DASHTAM_KEY", "k" * 32)
    for name in ("one", "two"):
        assert dashtam("keys", "rotate", str(tmp_path / name)).exit_code == 0
    assert len({(tmp_path / name).read_text() for name in ("one", "two")}) == 2
    assert min(len((tmp_path / name).read_text().strip()) for name in ("one", "two")) >= 43
    assert [dashtam("keys", "retire").stdout[-4:] for _ in range(2)] == [": 2\n", ": 0\n"]
