"""Imports through the whole pipeline on the real store."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError

from conftest import Database
from dashtam_core import Actor, Dashtam, Settings
from dashtam_core.accounts import ImportStatement, ListAccounts, ListTransactions
from dashtam_core.identity import ExternalSubject
from dashtam_files import plugin as files
from dashtam_postgres import PostgresStore

SAMPLES = Path(__file__).resolve().parents[3] / "examples" / "service" / "statements"
SAMPLE = (SAMPLES / "everyday-checking.ofx").read_bytes()


@pytest.fixture
async def me(store: PostgresStore) -> AsyncGenerator[Actor]:
    settings = Settings(key="k" * 32)
    async with Dashtam.open(settings=settings, store=store, plugins=[files]) as dashtam:
        yield dashtam.acting_as(ExternalSubject("ann"))


async def rows(me: Actor) -> list[str]:
    page = (await me.ask(ListTransactions(limit=500))).unwrap()
    return sorted(f"{row.posted_date} {row.amount} {row.description}" for row in page.items)


async def test_one_file_at_once_is_taken_in_once(me: Actor) -> None:
    """Of several imports of the same bytes at the same time one adds, the others answer with its report."""
    reports = [
        each.unwrap() for each in await asyncio.gather(*[me.execute(ImportStatement(SAMPLE)) for _ in range(6)])
    ]
    assert sorted(report.already_imported for report in reports) == [False] + [True] * 5
    assert len({report.document.document_id for report in reports}) == 1
    assert {report.document.added for report in reports} == {26}
    assert len(await rows(me)) == 26


async def test_two_overlapping_files_at_once_add_each_row_once(me: Actor) -> None:
    """Two downloads that share days come in together, in any order, with the same outcome as one after another."""
    text = SAMPLE.decode("cp1252")
    head, tail = text[: text.index("<STMTTRN>")], text[text.index("</BANKTRANLIST>") :]
    body = text[len(head) : text.index("</BANKTRANLIST>")]
    pieces = ["<STMTTRN>" + piece for piece in body.split("<STMTTRN>")[1:]]
    first, second = (head + "".join(some) + tail for some in (pieces[:20], pieces[10:][::-1]))
    await asyncio.gather(*[me.execute(ImportStatement(part.encode("cp1252"))) for part in (first, second)])
    together = await rows(me)
    assert len(together) == 26
    assert (await me.execute(ImportStatement(SAMPLE))).unwrap().document.added == 0
    assert await rows(me) == together


async def test_a_file_with_several_accounts_is_taken_in_whole(me: Actor) -> None:
    """Each account of a file is there with its balance."""
    await me.execute(ImportStatement((SAMPLES / "household.ofx").read_bytes()))
    accounts = (await me.ask(ListAccounts())).unwrap().items
    assert [(each.account.mask, [b.amount.text for b in each.balances]) for each in accounts] == [
        ("4481", ["2211.28"]),
        ("0226", ["6639.87"]),
    ]


async def test_an_error_at_the_last_step_stores_nothing(me: Actor, database: Database) -> None:
    """When the document cannot be added, the accounts, rows and balances written before it are gone too."""
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE dashtam.import_document ADD CONSTRAINT full_up CHECK (false)")
    with pytest.raises(IntegrityError):
        await me.execute(ImportStatement(SAMPLE))
    assert (await rows(me), (await me.ask(ListAccounts())).unwrap().items) == ([], [])
    assert await admin.fetchval("SELECT count(*) FROM dashtam.balance") == 0
    await admin.execute("ALTER TABLE dashtam.import_document DROP CONSTRAINT full_up")
    await admin.close()
    assert (await me.execute(ImportStatement(SAMPLE))).unwrap().document.added == 26
