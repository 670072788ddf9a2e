"""That a vulnerable dependency is heard of, and how soon it is replaced."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
WORKFLOW: Final = ROOT / ".github" / "workflows" / "advisories.yml"
PAGE: Final = ROOT / "docs" / "security" / "operation.md"
PINNED: Final = re.compile(r"[a-z0-9-]+==[\w.]+(?: ; .+)?")


def test_pinned_versions_are_compared_with_advisories() -> None:
    """Each week all of them are; one that is known fails, and the page says what is then to be done."""
    steps = WORKFLOW.read_text()
    assert re.search(r'^    - cron: "\d+ \d+ \* \* [0-6]"$', steps, re.MULTILINE)
    (command,) = re.findall(r"^      - run: (pip-audit .+)$", steps, re.MULTILINE)
    assert {"--strict", "--no-deps", "--disable-pip"} < set(command.split())
    assert command.endswith(" --requirement constraints.txt")
    assert "continue-on-error" not in steps
    assert "advisories.yml" in PAGE.read_text().partition("## Dependencies")[2]


def test_every_dependency_is_pinned() -> None:
    """A range could not be compared: each line is a name and one version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
