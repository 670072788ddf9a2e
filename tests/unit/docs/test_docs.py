"""What the documentation says is true, and every link in it leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from dashtam_core.settings import PREFIX, Settings
from dashtam_fastapi import ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/*.md"))
    if "node_modules" not in page.parts
)
INDEX = ROOT / "docs" / "index.md"


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    inside = [link for link in links(page) if not re.match(r"[a-z]+:", link)]
    missing = [link for link in inside if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_every_page_can_be_reached_from_the_index() -> None:
    """No page of the documentation is orphaned."""
    reached = {(INDEX.parent / link.partition("#")[0]).resolve() for link in links(INDEX)} | {INDEX}
    assert [page for page in PAGES if page.is_relative_to(INDEX.parent) and page not in reached] == []


@pytest.mark.parametrize(
    "name",
    [
        "architecture/directory-structure.md",
        "architecture/dependency-injection-architecture.md",
        "architecture/error-handling-architecture.md",
        "architecture/testing-architecture.md",
        "architecture/audit-trail-architecture.md",
        "architecture/database-architecture.md",
        "architecture/cache-architecture.md",
        "architecture/domain-events-architecture.md",
        "architecture/secrets-management-architecture.md",
        "architecture/structured-logging-architecture.md",
        "guides/audit-usage-patterns.md",
        "guides/domain-events-usage.md",
    ],
)
def test_the_index_links_a_page_or_says_it_is_to_come(name: str) -> None:
    """Each page of the plan is a link once it is written, and announced until then."""
    if (INDEX.parent / name).exists():
        assert f"]({name})" in INDEX.read_text()
    else:
        assert re.search(rf"`{re.escape(name)}`\): to come", INDEX.read_text())


def test_the_example_of_the_readme_prints_what_it_says() -> None:
    """The embedding code runs as it stands, and its output is the one beside it."""
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    assert printed is not None
    run = subprocess.run(
        [sys.executable, "-c", code[1]], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert run.stdout == printed[1]


def test_the_page_on_settings_lists_every_variable() -> None:
    """The guide names each setting of the core and of the service, and no other."""
    page = (ROOT / "docs/guides/settings.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"DASHTAM_[A-Z_]+", table))
    fields = set(attrs.fields_dict(Settings)) | set(ServiceSettings.model_fields)
    assert named == {PREFIX + name.upper() for name in fields}


def test_a_decision_is_short() -> None:
    """Ten lines or so for a choice that may surprise."""
    long = [page.name for page in ROOT.glob("docs/decisions/*.md") if len(page.read_text().splitlines()) > 16]
    assert long == []
