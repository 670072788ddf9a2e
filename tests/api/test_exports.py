"""`GET /v1/exports`: the caller's data as a file."""

from collections.abc import AsyncGenerator, Iterable

import pytest

from api.people import Lines, Person, lines, problem, trail
from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import StatementWriter
from dashtam_core.store import Store
from dashtam_core.testing.samples import LinesPlugin
from dashtam_files.writers import BeancountWriter, CsvWriter, OfxWriter

CSV = "text/csv; charset=utf-8"


class Writing(LinesPlugin):
    @hookimpl
    def dashtam_writers(self) -> Iterable[StatementWriter]:
        return OfxWriter(), CsvWriter(), BeancountWriter()


@pytest.fixture
async def dashtam(data: Store, reader: Lines) -> AsyncGenerator[Dashtam]:
    """The service's own, with writers."""
    async with Dashtam.open(
        settings=Settings(master_key="k" * 32), store=data, plugins=[Writing(reader)]
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "media_type", "suffix", "begins"),
    [
        ("ofx", "application/x-ofx", "ofx", "<?xml"),
        ("csv", CSV, "csv", "account_id,"),
        ("beancount", "text/plain; charset=utf-8", "beancount", ";;"),
    ],
)
async def test_a_file_in_each_format(ann: Person, name: str, media_type: str, suffix: str, begins: str) -> None:
    """The answer is the file, with its media type and a name, and nobody on the way keeps it."""
    await ann.upload(lines("A", "2026-01-05;-4.5;Café"))
    answer = await ann.get("/v1/exports", format=name)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    named = answer.headers["content-disposition"]
    assert named.startswith('attachment; filename="dashtam-20')
    assert named.endswith(f'.{suffix}"')
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert answer.content.decode().startswith(begins)
    assert "Café" in answer.content.decode()
    assert (await ann.get("/v1/exports")).text.startswith("<?xml")


async def test_an_account_and_days_narrow_it(ann: Person, bob: Person) -> None:
    """Account and days choose what is in the file; what is another's is not in it."""
    await ann.upload(lines("A", "2026-01-05;1;one", "2026-01-06;2;two"))
    await ann.upload(lines("B", "2026-01-06;3;three"))
    ids = [each["account_id"] for each in (await ann.get("/v1/accounts")).json()["items"]]
    query = {"format": "csv", "from": "2026-01-06", "to": "2026-01-06", "account_id": ids[0]}
    text = (await ann.get("/v1/exports", **query)).text
    assert [word in text for word in ("one", "two", "three")] == [False, True, False]
    assert (await bob.get("/v1/exports", format="csv")).text.count("\n") == 1
    problem(await bob.get("/v1/exports", **query), 404, "account_not_found")


async def test_refusals_are_problems(ann: Person) -> None:
    """An unknown format, days the wrong way round, and parameters that are not as they should be."""
    error = problem(await ann.get("/v1/exports", format="pdf"), 422, "export_format_unknown")
    assert error["detail"].endswith("ask for one of beancount, csv, ofx")
    days = {"from": "2026-01-02", "to": "2026-01-01"}
    problem(await ann.get("/v1/exports", format="csv", **days), 422, "date_range_invalid")
    for query in ({"format": "x" * 65}, {"format": "csv", "account_id": "1"}, {"format": "csv", "limit": "5"}):
        problem(await ann.get("/v1/exports", **query), 422, "request_invalid")


async def test_an_export_is_in_the_trail(ann: Person, dashtam: Dashtam) -> None:
    """Who takes everything along leaves an entry, which says how much it was."""
    await ann.upload(lines("A", "2026-01-05;1;one"))
    await ann.get("/v1/exports", format="csv")
    last = (await trail(dashtam, "ann"))[-1].entry
    assert (last.action, last.context) == (
        "export_transactions",
        {"format": "csv", "accounts": 1, "transactions": 1},
    )
