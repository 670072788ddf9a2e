"""Exporting what is in the store: which accounts and rows a writer gets, and what the answer says."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import date

import attrs
import pytest

from dashtam_core import Dashtam, Settings, hookimpl, provide
from dashtam_core.accounts import (
    AccountId,
    AccountsCode,
    AccountsRefused,
    Export,
    ExportedAccount,
    ExportTransactions,
    ImportStatement,
    StatementWriter,
    _export,
)
from dashtam_core.audit import EntryFilter, Phase
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Clock, Failure, Result, Success, new_id
from dashtam_core.memory import FixedClock
from dashtam_core.messaging import RefusalCode, Refused
from dashtam_core.plugins import Plugins
from dashtam_core.testing.samples import LinesPlugin, lines

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
TWO = lines(
    *("account;DE00 1234;EUR;Everyday", "row;2026-01-07;1000;Wages", "row;2026-01-05;-12.5;Coffee"),
    *("row;2026-01-07;-3;Tea", "balance;2026-01-31;987.50", "account;DE11 5678", "row;2026-02-06;-1;Cake"),
)


@attrs.frozen
class Listing:
    """Writes each account with its balances and rows, one a line."""

    name: str = "listing"
    media_type: str = "text/plain; charset=utf-8"
    suffix: str = ".txt"

    def write(self, accounts: Iterable[ExportedAccount], /) -> Iterator[str]:
        for each in accounts:
            balances = " ".join(str(balance.amount) for balance in each.balances)
            rows = ", ".join(row.description or "" for row in each.transactions)
            yield f"{each.account.mask} [{balances}]: {rows} é\n"


class Writing(LinesPlugin):
    """Reads lines, and writes listings."""

    @hookimpl
    def dashtam_writers(self) -> Iterable[StatementWriter]:
        return [Listing()]


@pytest.fixture
async def dashtam() -> AsyncGenerator[Dashtam]:
    """An application in which Ann has two accounts."""
    told = [provide(Clock).by(FixedClock)]
    settings = Settings(master_key="k" * 32)
    async with Dashtam.open(settings=settings, plugins=[Writing()], overrides=told, workers=False) as opened:
        (await opened.acting_as(ANN).execute(ImportStatement(TWO))).unwrap()
        yield opened


async def export(dashtam: Dashtam, query: ExportTransactions, who: ExternalSubject = ANN) -> str:
    answer: Result[Export, AccountsRefused | Refused] = await dashtam.acting_as(who).ask(query)
    return answer.unwrap().data.decode()


async def refusal(dashtam: Dashtam, query: ExportTransactions) -> AccountsRefused | Refused:
    match await dashtam.acting_as(ANN).ask(query):
        case Failure(error):
            return error
        case Success(export):
            raise AssertionError(export)


async def test_every_account_with_its_rows_the_oldest_first(dashtam: Dashtam) -> None:
    """Accounts in the order they were added, rows by their day, the latest balances beside them."""
    assert await export(dashtam, ExportTransactions("listing")) == (
        "1234 [987.50 EUR]: Coffee, Wages, Tea é\n5678 []: Cake é\n"
    )


async def test_pages_are_walked_to_their_end(dashtam: Dashtam, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many accounts and rows the store gives at once, each is exported once."""
    whole = await export(dashtam, ExportTransactions("listing"))
    for rows in (1, 2, 3):
        monkeypatch.setattr(_export, "_ROWS", rows)
        monkeypatch.setattr(_export, "_ACCOUNTS", 1)
        assert await export(dashtam, ExportTransactions("listing")) == whole


async def test_days_narrow_the_rows(dashtam: Dashtam) -> None:
    """Both days are included, and an account without rows is there all the same."""
    query = ExportTransactions("listing", from_date=date(2026, 1, 6), to_date=date(2026, 1, 7))
    assert await export(dashtam, query) == "1234 [987.50 EUR]: Wages, Tea é\n5678 []:  é\n"


async def test_one_account(dashtam: Dashtam) -> None:
    """The account that is asked for, and no other."""
    async with dashtam.store.unit_of_work(ANN) as unit:
        _, second = await unit.accounts.list_accounts(after=None, limit=2)
    query = ExportTransactions("listing", second.account.account_id)
    assert await export(dashtam, query) == "5678 []: Cake é\n"
    assert query.resource_id == str(second.account.account_id)
    assert (await dashtam.acting_as(BEN).ask(query)).failure().code is AccountsCode.ACCOUNT_NOT_FOUND


async def test_nobody_gets_what_is_another_persons(dashtam: Dashtam) -> None:
    """A person with no accounts has an empty file."""
    assert await export(dashtam, ExportTransactions("listing"), BEN) == ""


async def test_the_file_says_what_it_is(dashtam: Dashtam) -> None:
    """Its media type and suffix are the writer's, its name tells the day."""
    made = (await dashtam.acting_as(ANN).ask(ExportTransactions("listing"))).unwrap()
    assert (made.media_type, made.filename) == ("text/plain; charset=utf-8", "dashtam-2026-01-01.txt")
    assert "Coffee" not in repr(made)


async def test_an_export_is_in_the_audit_trail(dashtam: Dashtam) -> None:
    """Its entry says who took how much along in which format, and nothing of what it was."""
    await export(dashtam, ExportTransactions("listing"))
    latest, _ = await dashtam.store.audit.entries(EntryFilter(action="export_transactions"), after=None, limit=9)
    assert (latest.phase, latest.user_id, latest.resource_type) == (Phase.SUCCEEDED, ANN.user_id, "export")
    assert latest.context == {"format": "listing", "accounts": 2, "transactions": 4}


async def test_what_cannot_be_exported(dashtam: Dashtam) -> None:
    """An unknown format names those there are; a range the wrong way round and a strange account are refused."""
    error = await refusal(dashtam, ExportTransactions("pdf"))
    assert error.code is AccountsCode.EXPORT_FORMAT_UNKNOWN
    assert error.message == "no installed writer has the format 'pdf': ask for one of listing"
    swapped = ExportTransactions("listing", from_date=date(2026, 1, 2), to_date=date(2026, 1, 1))
    assert (await refusal(dashtam, swapped)).code is AccountsCode.DATE_RANGE_INVALID
    strange = ExportTransactions("listing", AccountId(new_id()))
    assert (await refusal(dashtam, strange)).code is AccountsCode.ACCOUNT_NOT_FOUND
    weak = dashtam.acting_as(ExternalSubject("ann", frozenset()))
    assert (await weak.ask(ExportTransactions("listing"))).failure().code is RefusalCode.PERMISSION_DENIED


async def test_without_a_writer() -> None:
    """The message says which package brings some."""
    async with Dashtam.open(settings=Settings(), plugins=[], workers=False) as dashtam:
        assert (await refusal(dashtam, ExportTransactions("ofx"))).message.endswith("pip install dashtam-files")


def test_a_writer_that_is_none_is_left_out() -> None:
    """A plugin whose writer lacks a part is named with it; two writers of one format are nobody's."""

    class Broken:
        @hookimpl
        def dashtam_writers(self) -> Iterable[object]:
            return ["ofx"]

    found = Plugins.of([Broken(), Writing()])
    assert [each.name for each in found.writers] == ["listing"]
    assert "dashtam_writers answers a str without media_type, name, suffix, write" in found.reports[1].problems[0]
    assert Plugins.of([Writing(), Writing()]).writers == []
