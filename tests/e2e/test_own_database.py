"""A PostgreSQL of the operator's own: migrated, served, and every way it can be not ready."""

import json
from pathlib import Path

import pytest

from conftest import Database
from e2e.processes import ROOT, dashtam

SAMPLE = ROOT / "examples" / "service" / "statements" / "everyday-checking.ofx"
KEY = "a key of at least 32 random characters"


def variables(database: Database, **more: str) -> dict[str, str]:
    return {
        "DASHTAM_STORE_URL": database.app_url,
        "DASHTAM_STORE_ADMIN_URL": database.admin_url,
        "DASHTAM_KEY": KEY,
        **more,
    }


def test_a_database_is_migrated_and_used(empty_database: Database, tmp_path: Path) -> None:
    """`db upgrade` makes tables and role, may be run again, and the next command works as that role."""
    own = variables(empty_database)
    for _ in range(2):
        upgraded = dashtam(tmp_path, "db", "upgrade", **own)
        assert (upgraded.returncode, upgraded.stdout) == (0, "the database is at migration 0004\n")
    served = {name: value for name, value in own.items() if name != "DASHTAM_STORE_ADMIN_URL"}
    assert dashtam(tmp_path, "import", str(SAMPLE), **served).returncode == 0
    listed = json.loads(dashtam(tmp_path, "accounts", "--json", **served).stdout)
    assert [account["mask"] for account in listed["items"]] == ["7702"]


def test_settings_come_from_a_file_too(database: Database, tmp_path: Path) -> None:
    """What `.env` says in the working folder is used where the environment is silent."""
    lines = [f"{name}='{value}'" for name, value in variables(database).items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert json.loads(dashtam(tmp_path, "accounts", "--json").stdout) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("changed", "code", "advice"),
    [
        ({"DASHTAM_STORE_URL": "postgresql://dashtam_app@127.0.0.1:1/x"}, "store_unreachable", "127.0.0.1:1/x"),
        ({"DASHTAM_STORE_URL": "postgresql://nobody:hush@{host}/x"}, "store_unreachable", "DASHTAM_STORE_URL"),
        ({"DASHTAM_STORE_URL": "mysql://host/x"}, "store_not_configured", "use one of embedded:, memory:"),
        ({"DASHTAM_KEY": ""}, "store_not_configured", "DASHTAM_KEY"),
        ({}, "store_not_migrated", "dashtam db upgrade"),
    ],
    ids=["no server", "no such role", "no such adapter", "no key", "not migrated"],
)
def test_a_store_that_is_not_ready_is_one_clear_line(
    empty_database: Database, tmp_path: Path, changed: dict[str, str], code: str, advice: str
) -> None:
    """Exit 3, the code, and what to do; never a traceback or a password."""
    host = empty_database.app_url.rpartition("@")[2].partition("/")[0]
    more = {name: value.replace("{host}", host) for name, value in changed.items()}
    refused = dashtam(tmp_path, "accounts", **variables(empty_database, **more))
    assert refused.returncode == 3
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert f"[{code}]" in line
    assert advice in line
    assert "hush" not in line


def test_an_upgrade_without_an_owner_says_what_to_set(database: Database, tmp_path: Path) -> None:
    """Migrating needs the owner's URL, and as the application's role it is rolled back with a reason."""
    missing = dashtam(tmp_path, "db", "upgrade", **variables(database, DASHTAM_STORE_ADMIN_URL=""))
    assert missing.returncode == 3
    assert "DASHTAM_STORE_ADMIN_URL" in missing.stderr
    weak = dashtam(tmp_path, "db", "upgrade", **variables(database, DASHTAM_STORE_ADMIN_URL=database.app_url))
    assert weak.returncode == 3
    assert "permission denied" in weak.stderr
    assert "Traceback" not in weak.stderr
