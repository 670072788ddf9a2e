"""Importing statements end to end, in memory: every row once, however the files come."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core import Dashtam, Settings, provide
from dashtam_core.accounts import (
    MAX_LIMIT,
    AccountId,
    AccountOverview,
    AccountsCode,
    AccountsRefused,
    DocumentId,
    GetAccount,
    GetImport,
    ImportCode,
    ImportDocument,
    ImportReport,
    ImportStatement,
    ListAccounts,
    ListTransactions,
    StatementImported,
    Transaction,
)
from dashtam_core.app import Actor
from dashtam_core.identity import ACCOUNTS_READ, ExternalSubject
from dashtam_core.kernel import Clock, Page, new_id
from dashtam_core.memory import FixedClock
from dashtam_core.messaging import RefusalCode
from dashtam_core.testing.samples import LinesPlugin, lines

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
FIRST = date(2026, 3, 1)
CHECKING, SAVINGS = "DE0012345678", "DE0087654321"

type Row = dict[str, Any]


async def take_in(me: Actor, data: bytes, filename: str | None = None) -> ImportReport:
    return (await me.execute(ImportStatement(data, filename))).unwrap()


async def everything(me: Actor, limit: int = MAX_LIMIT, **wanted: Any) -> list[Transaction]:
    found, cursor = list[Transaction](), None
    while True:
        answer = await me.ask(ListTransactions(limit=limit, cursor=cursor, **wanted))
        page: Page[Transaction] = answer.unwrap()
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def accounts_of(me: Actor) -> list[AccountOverview]:
    answer = await me.ask(ListAccounts())
    page: Page[AccountOverview] = answer.unwrap()
    return list(page.items)


def statement(accounts: Mapping[str, Sequence[Row]], *more: str) -> bytes:
    """A document with these rows for each account number."""
    said = ((f"account;{number}", *map(_line, rows)) for number, rows in accounts.items())
    return lines(*chain.from_iterable(said), *more)


def _line(row: Row) -> str:
    bank_id = f";id={row['id']}" if row["id"] else ""
    return f"row;{row['day']};{row['amount']};{row['text']}{bank_id}"


def row(text: str, day: int = 1, amount: str = "-1", bank_id: str | None = None) -> Row:
    return {"day": f"2026-03-{day:02}", "amount": amount, "text": text, "id": bank_id}


def known(rows: list[Transaction]) -> Counter[tuple[date, Decimal, str | None]]:
    return Counter((each.posted_date, each.amount.amount, each.description) for each in rows)


# -- the promise: 0 lost, 0 duplicated ---------------------------------------------------------------------------


def _content(text: str, amount: str, bank_id: str | None) -> Row:
    return {"text": text, "amount": amount, "id": bank_id}


contents = st.builds(
    _content,
    st.sampled_from(["coffee", "tea", "Rent \u00fc"]),
    st.sampled_from(["-1", "-2", "3"]),
    st.sampled_from([None, "NONREF", "0000", "F1", "F2"]),
)
months = st.lists(st.lists(contents, max_size=4), min_size=1, max_size=6)


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, list[list[Row]]], list[bytes]]:
    """Two accounts with some days of rows, twins among them, and documents of whole days that cover them all."""
    told = {number: draw(months) for number in (CHECKING, SAVINGS)}
    length = max(map(len, told.values()))
    cuts = sorted({0, length, *draw(st.lists(st.integers(0, length), max_size=4))})
    spans = list(pairwise(cuts))
    spans += draw(st.lists(st.tuples(st.integers(0, length), st.integers(0, length)), max_size=4))
    documents: list[bytes] = []
    for nonce, (start, end) in enumerate(spans):
        rows = {number: _window(days, start, end) for number, days in told.items()}
        if draw(st.booleans()):
            rows = {number: list(reversed(some)) for number, some in rows.items()}
        documents.append(statement(rows, f"warning;nonce;{nonce}"))
    again = draw(st.lists(st.sampled_from(documents), max_size=3))
    return told, draw(st.permutations([*documents, *again]))


def _window(days: list[list[Row]], start: int, end: int) -> list[Row]:
    return [
        {**told, "day": str(FIRST + timedelta(days=day))}
        for day, rows in enumerate(days)
        if start <= day < end
        for told in rows
    ]


@given(histories(), st.integers(1, 4), st.integers(1, 7))
async def test_every_row_is_imported_once(
    history: tuple[dict[str, list[list[Row]]], list[bytes]], at_once: int, limit: int
) -> None:
    """Files twice, split with overlap by whole days, in any order and several at once: 0 lost, 0 duplicated."""
    told, documents = history
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        added = 0
        for place in range(0, len(documents), at_once):
            files = documents[place : place + at_once]
            reports = await asyncio.gather(*(take_in(me, data) for data in files))
            added += sum(each.document.added for each in reports if not each.already_imported)
        names = {each.account.mask: each.account.account_id for each in await accounts_of(me)}
        stored = await everything(me, limit)
        for number, days in told.items():
            expected = Counter(
                (FIRST + timedelta(days=day), Decimal(each["amount"]), each["text"])
                for day, rows in enumerate(days)
                for each in rows
            )
            account_id = names[number[-4:]]
            mine = await everything(me, account_id=account_id)
            assert known(mine) == expected
            assert [each for each in stored if each.account_id == account_id] == mine
        assert added == len(stored) == sum(len(rows) for days in told.values() for rows in days)


# -- imports -----------------------------------------------------------------------------------------------------


async def test_a_report_counts_what_came() -> None:
    """A report tells rows read, added and there already for each account, warnings, and how the file was read."""
    clock = FixedClock(datetime(2026, 4, 1, tzinfo=UTC))
    told = [provide(Clock).by(lambda: clock)]
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()], overrides=told) as dashtam:
        me = dashtam.acting_as(ANN)
        first = statement({CHECKING: [row("a"), row("a"), row("b", 2)]})
        await take_in(me, first)
        clock.advance(timedelta(days=1))
        data = statement(
            {SAVINGS: [row("a")], CHECKING: [row("a"), row("a"), row("a"), row("b", 2)]}, "warning;odd;x"
        )
        report = await take_in(me, data, "C:\\Users\\me\\ma\x00rch.lines")
        document = report.document
        assert [(each.read, each.added) for each in document.accounts] == [(1, 1), (4, 1)]
        assert (document.added, document.skipped, report.already_imported) == (2, 3, False)
        assert (document.filename, document.format, document.encoding, document.parser) == (
            "march.lines",
            "LINES 1",
            "utf-8",
            "samples 1",
        )
        assert document.sha256 == hashlib.sha256(data).digest()
        assert document.imported_at == clock.now()
        assert [each.where for each in document.warnings] == ["x"]
        assert (await me.ask(GetImport(document.document_id))).unwrap() == document
        names = {each.account_id: each.document_id for each in await everything(me, account_id=None)}
        assert set(names.values()) >= {document.document_id}


async def test_the_same_bytes_again_are_answered_as_then() -> None:
    """A file that was taken in before adds nothing, emits nothing and answers with the report of then."""
    heard: list[StatementImported] = []

    async def hear(event: StatementImported) -> None:
        heard.append(event)

    told = [StatementImported.heard_by(hear)]
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()], subscriptions=told) as dashtam:
        me = dashtam.acting_as(ANN)
        data = statement({CHECKING: [row("a")]})
        first, *rest = await asyncio.gather(*(take_in(me, data) for _ in range(4)))
        reports = [first, *rest, await take_in(me, data, "other name")]
        assert len({each.document.document_id for each in reports}) == 1
        assert sorted(each.already_imported for each in reports) == [False, True, True, True, True]
        his = await take_in(dashtam.acting_as(BEN), data)
        assert not his.already_imported
        document = first.document
        event = StatementImported(ANN.user_id, document.document_id, (document.accounts[0].account_id,), 1)
        assert heard[:1] == [event]
        assert [each.user_id for each in heard] == [ANN.user_id, BEN.user_id]


async def test_several_statements_of_one_account_are_one_account() -> None:
    """A file may hold an account in parts: rows are counted together, and balances of each are kept."""
    parts = {CHECKING: [row("a")], f" {CHECKING.lower()} ": [row("a"), row("b")]}
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        document = (await take_in(me, statement(parts))).document
        assert [(each.read, each.added) for each in document.accounts] == [(3, 3)]
        assert len(await accounts_of(me)) == 1


async def test_account_numbers_are_not_stored() -> None:
    """Of a number the store has its last four characters and a keyed hash, nothing else."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        await take_in(me, statement({CHECKING: [row("a")]}))
        (found,) = await accounts_of(me)
        kept = str(attrs.asdict(found.account))
        assert found.account.mask == "5678"
        assert CHECKING not in kept
        assert CHECKING[:-4] not in kept
        assert found.account.name == "Checking \u2022\u20225678"


@pytest.mark.parametrize("number", ["1234", "12", "7-7"])
async def test_short_numbers_are_not_stored_either(number: str) -> None:
    """A number that is no longer than its mask is not kept whole as one."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        await take_in(me, statement({number: []}))
        (found,) = await accounts_of(me)
    assert found.account.mask != "".join(filter(str.isalnum, number))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ImportCode.FILE_EMPTY),
        (b" \r\n\t", ImportCode.FILE_EMPTY),
        (b"LINES 1" + b" " * 1_000, ImportCode.FILE_TOO_LARGE),
        (b"<OFX>", ImportCode.FORMAT_UNKNOWN),
        (b"LINES 1\n\xff", ImportCode.FILE_UNREADABLE),
    ],
)
async def test_what_cannot_be_read_is_refused(data: bytes, code: ImportCode) -> None:
    """A file that is no statement is refused with a code, and nothing of it is stored."""
    limited = Settings(import_max_bytes=1_000)
    async with Dashtam.open(settings=limited, plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        refused = (await me.execute(ImportStatement(data))).failure()
        assert refused.code is code
        assert ":" in refused.message
        assert await accounts_of(me) == []


async def test_without_readers_the_package_to_install_is_named() -> None:
    """A core alone says what brings readers."""
    async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
        refused = (await dashtam.acting_as(ANN).execute(ImportStatement(b"x"))).failure()
    assert refused.code is ImportCode.FORMAT_UNKNOWN
    assert "pip install dashtam-files" in refused.message


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\passwd", "pass\nwd\x1b", "x" * 500, "/", ""]
)
async def test_a_filename_is_a_plain_name(name: str) -> None:
    """Of a path the last part is kept, without control characters, at most 255 long; nothing is None."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        report = await take_in(dashtam.acting_as(ANN), statement({CHECKING: []}), name)
    expected = {"x" * 500: "x" * 255, "/": None, "": None}.get(name, "passwd")
    assert report.document.filename == expected


# -- queries -----------------------------------------------------------------------------------------------------


async def test_pages_follow_each_other() -> None:
    """Pages of any size give every transaction once, the latest first, and the last page has no cursor."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        rows = [row(f"{day}/{number}", day) for day in (1, 2, 3) for number in range(3)]
        await take_in(me, statement({CHECKING: rows}))
        whole = await everything(me)
        assert [each.posted_date.day for each in whole] == [3, 3, 3, 2, 2, 2, 1, 1, 1]
        for limit in (1, 2, 4, 9):
            assert await everything(me, limit) == whole
        exact = (await me.ask(ListTransactions(limit=9))).unwrap()
        assert exact.next_cursor is None


async def test_a_cursor_is_good_for_its_list_alone() -> None:
    """A cursor of another filter, list or person is refused, and so is any made up."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me, him = dashtam.acting_as(ANN), dashtam.acting_as(BEN)
        await take_in(me, statement({CHECKING: [row("a"), row("b", 2)], SAVINGS: [row("c")]}))
        rows = (await me.ask(ListTransactions(limit=1))).unwrap().next_cursor
        accounts = (await me.ask(ListAccounts(limit=1))).unwrap().next_cursor
        assert rows is not None
        assert accounts is not None
        assert len((await me.ask(ListAccounts(limit=1, cursor=accounts))).unwrap().items) == 1
        refusals = {
            _refusal(await me.ask(ListTransactions(limit=1, cursor=accounts))),
            _refusal(await me.ask(ListTransactions(cursor=rows, from_date=FIRST))),
            _refusal(await him.ask(ListTransactions(cursor=rows))),
            _refusal(await me.ask(ListTransactions(cursor="made up"))),
            _refusal(await me.ask(ListTransactions(cursor=""))),
            _refusal(await me.ask(ListAccounts(cursor=rows))),
            _refusal(await him.ask(ListAccounts(cursor=accounts))),
        }
        assert {each.code for each in refusals} == {AccountsCode.CURSOR_INVALID}


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1])
async def test_a_page_has_bounds(limit: int) -> None:
    """A page of none, fewer or too many is refused with the bounds."""
    async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
        me = dashtam.acting_as(ANN)
        for refused in (await me.ask(ListAccounts(limit=limit)), await me.ask(ListTransactions(limit=limit))):
            assert refused.failure().code is AccountsCode.LIMIT_INVALID
            assert "1 to 500" in refused.failure().message


async def test_days_the_wrong_way_round_are_refused() -> None:
    """A range that ends before it starts is an error and not an empty page; one day is a range."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me = dashtam.acting_as(ANN)
        await take_in(me, statement({CHECKING: [row("a"), row("b", 2)]}))
        wrong = await me.ask(ListTransactions(from_date=FIRST + timedelta(days=1), to_date=FIRST))
        assert wrong.failure().code is AccountsCode.DATE_RANGE_INVALID
        assert [each.description for each in await everything(me, from_date=FIRST, to_date=FIRST)] == ["a"]


async def test_what_is_anothers_is_not_found() -> None:
    """Another person's account, import and transactions look just like ones that never were."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        me, him = dashtam.acting_as(ANN), dashtam.acting_as(BEN)
        document: ImportDocument = (await take_in(him, statement({CHECKING: [row("his")]}))).document
        his = document.accounts[0].account_id
        answers: list[AccountsRefused] = []
        for account_id in (his, AccountId(new_id())):
            answers.append(_refusal(await me.ask(GetAccount(account_id))))
            answers.append(_refusal(await me.ask(ListTransactions(account_id=account_id))))
        assert len(set(answers)) == 1
        assert answers[0].code is AccountsCode.ACCOUNT_NOT_FOUND
        absent = {_refusal(await me.ask(GetImport(each))) for each in (document.document_id, DocumentId(new_id()))}
        assert {each.code for each in absent} == {AccountsCode.IMPORT_NOT_FOUND}
        assert len(absent) == 1
        assert await everything(me) == []
        assert [each.description for each in await everything(him)] == ["his"]


def _refusal(answer: Any) -> AccountsRefused:
    refused: object = answer.failure()
    assert isinstance(refused, AccountsRefused)
    return refused


async def test_who_may_only_read_imports_nothing() -> None:
    """Importing takes the permission to write, reading the one to read."""
    reader = ExternalSubject("ann", frozenset({ACCOUNTS_READ}))
    nobody = ExternalSubject("ann", frozenset())
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        refused = await dashtam.acting_as(reader).execute(ImportStatement(statement({CHECKING: [row("a")]})))
        assert refused.failure().code is RefusalCode.PERMISSION_DENIED
        assert await everything(dashtam.acting_as(reader)) == []
        denied = await dashtam.acting_as(nobody).ask(ListTransactions())
        assert denied.failure().code is RefusalCode.PERMISSION_DENIED
