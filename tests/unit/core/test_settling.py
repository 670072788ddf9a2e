"""Rows that speak of others: corrected, taken back, pending and then posted, read anew; in any order."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core import Dashtam, Settings, provide
from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountImport,
    AccountType,
    Annotation,
    Arithmetic,
    ImportFailed,
    ImportReport,
    ImportStatement,
    Statement,
    SyncBatch,
    Transaction,
    TransactionData,
    TransactionFilter,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.app import Actor
from dashtam_core.connections import SyncAccounts, SyncReport
from dashtam_core.kernel import Clock, Result, Success
from dashtam_core.memory import FixedClock, MemoryProvider
from dashtam_core.plugins import hookimpl
from dashtam_core.testing.samples import ANN, EUR, LinesPlugin, LinesReader, eur, lines

PENDING, POSTED, VOID = TransactionStatus.PENDING, TransactionStatus.POSTED, TransactionStatus.VOID
STABLE = pytest.mark.parametrize("bank", [True], indirect=True, ids=["stable"])
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
OTHER = "DE99 5005 0000 1234 5678"
FIRST = date(2026, 3, 1)


class Clever(LinesReader):
    """A reader that learns: it then reads other texts and other amounts, or leaves rows out."""

    learnt: Callable[[TransactionData], TransactionData | None] | None = None

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        read = super().read(data)
        if not isinstance(read, Success) or self.learnt is None:
            return read
        statement = read.unwrap()
        accounts = [
            attrs.evolve(each, transactions=tuple(row for row in map(self.learnt, each.transactions) if row))
            for each in statement.batch.accounts
        ]
        return Success(attrs.evolve(statement, batch=attrs.evolve(statement.batch, accounts=tuple(accounts))))


@attrs.frozen
class Bank:
    """An application with a provider, a reader and a clock to play with."""

    dashtam: Dashtam
    provider: MemoryProvider
    reader: Clever
    clock: FixedClock

    @property
    def me(self) -> Actor:
        return self.dashtam.acting_as(ANN)

    async def take_in(self, *said: str, again: bool = False) -> ImportReport:
        """A file of one account that says this."""
        data = lines("account;DE00 1234", *said)
        return (await self.me.execute(ImportStatement(data, again=again))).unwrap()

    async def brings(self, *rows: TransactionData, removed: Sequence[str] = ()) -> SyncReport:
        """What a provider says of one account."""
        data = AccountData(provider_account_id="1", account_type=AccountType.CHECKING, currency=EUR)
        batch = AccountBatch(account=data, transactions=rows, removed=tuple(removed))
        self.provider.credentials = {"x": [SyncBatch(accounts=(batch,))]}
        return (await self.me.execute(SyncAccounts("memory", "x"))).unwrap()

    async def rows(self, **wanted: Any) -> list[Transaction]:
        async with self.dashtam.store.unit_of_work(ANN) as unit:
            return list(reversed(await unit.transactions.find(TransactionFilter(**wanted))))

    async def shown(self, **wanted: Any) -> list[str]:
        """What counts, the earliest first, with its status where that is not POSTED."""
        found = await self.rows(**wanted)
        return [f"{each.description}{'' if each.status is POSTED else f' {each.status}'}" for each in found]

    async def note(self, text: str) -> None:
        """The person says something of the row with this text."""
        (row,) = [each for each in await self.rows() if each.description == text]
        async with self.dashtam.store.unit_of_work(ANN) as unit:
            await unit.transactions.annotate(Annotation(transaction_id=row.transaction_id, note="mine"))

    async def noted(self) -> list[str | None]:
        return [each.description for each in await self.rows() if each.annotation is not None]


@attrs.frozen
class Providing:
    provider: MemoryProvider

    @hookimpl
    def dashtam_providers(self) -> Sequence[MemoryProvider]:
        return [self.provider]


@pytest.fixture
async def bank(request: pytest.FixtureRequest) -> AsyncGenerator[Bank]:
    stable: bool = getattr(request, "param", False)
    provider, reader, clock = MemoryProvider(stable_ids=stable), Clever(), FixedClock(NOON)
    plugins = [LinesPlugin(reader), Providing(provider)]
    overrides = [provide(Clock).by(lambda: clock)]
    async with Dashtam.open(settings=Settings(), plugins=plugins, overrides=overrides, workers=False) as dashtam:
        yield Bank(dashtam, provider, reader, clock)


def told(day: int, text: str, amount: str = "-4.50", **more: Any) -> TransactionData:
    """A row as a provider tells it."""
    return TransactionData(
        posted_date=date(2026, 3, day), amount=eur(amount), type=TransactionType.POS, description=text, **more
    )


def counts(report: ImportReport | SyncReport) -> tuple[int, int, int]:
    """Rows that were added, changed and removed."""
    accounts: Sequence[AccountImport] = (
        report.document.accounts if isinstance(report, ImportReport) else report.accounts
    )
    (one,) = accounts
    return one.added, one.changed, one.removed


# -- corrections and removals ------------------------------------------------------------------------------------

CHAIN = (
    "row;2026-03-01;-5;one;id=A",
    "row;2026-03-02;-6;two;id=B;replaces=A",
    "row;2026-03-03;-7;three;id=C;replaces=B",
)
TAKEN_BACK = (*CHAIN[:2], "row;2026-03-03;-6;void;id=C;replaces=B;void")


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize(("said", "left"), [(CHAIN, ["three"]), (TAKEN_BACK, [])], ids=["corrected", "void"])
async def test_corrections_are_followed_in_any_order(
    bank: Bank, said: Sequence[str], left: list[str], order: Sequence[int], together: int
) -> None:
    """Of a row that is corrected, and again or then taken back, the last word counts, however often it comes."""
    some = [said[place] for place in order]
    for _ in range(2):
        for place in range(0, 3, together):
            await bank.take_in(*some[place : place + together], f"warning;nonce;{_}")
        assert await bank.shown() == left


async def test_a_correction_keeps_what_a_person_said(bank: Bank) -> None:
    """It takes the transaction's place under its id, and so does the correction of the correction."""
    await bank.take_in(CHAIN[0])
    await bank.note("one")
    (before,) = await bank.rows()
    assert counts(await bank.take_in(CHAIN[1])) == (0, 1, 0)
    await bank.take_in(CHAIN[2])
    assert (await bank.rows() == [before], await bank.noted()) == (True, ["three"])
    assert counts(await bank.take_in(CHAIN[0], CHAIN[1], "row;2026-03-04;-1;new")) == (1, 0, 0)
    assert await bank.noted() == ["three"]


async def test_a_row_may_be_corrected_under_its_own_id(bank: Bank) -> None:
    """The id that is replaced and the one that replaces are the same, in one file as in two."""
    corrected = "row;2026-03-01;-6;right;id=A;replaces=A"
    await bank.take_in("row;2026-03-01;-5;wrong;id=A")
    await bank.take_in(corrected)
    assert await bank.shown() == ["right"]
    await bank.take_in("row;2026-03-05;-5;wrong;id=B", corrected.replace("=A", "=B"))
    assert await bank.shown() == ["right", "right"]


async def test_an_id_that_means_several_rows_corrects_none(bank: Bank) -> None:
    """Banks use one id for several rows: what cannot be told apart stays; so do rows that correct each other."""
    await bank.take_in(
        "row;2026-03-01;-5;one;id=A", "row;2026-03-02;-9;two;id=A", "row;2026-03-03;-6;x;replaces=A"
    )
    assert await bank.shown() == ["one", "two", "x"]
    await bank.take_in("row;2026-03-05;-1;y;id=Y;replaces=Z", "row;2026-03-06;-2;z;id=Z;replaces=Y")
    assert (await bank.shown())[3:] == ["y", "z"]


@STABLE
async def test_a_provider_removes_and_brings_back(bank: Bank) -> None:
    """What a provider takes back is gone and is counted; sent again, it is the transaction that it was."""
    await bank.brings(told(1, "one", provider_transaction_id="A"), told(2, "two", provider_transaction_id="B"))
    await bank.note("one")
    assert counts(await bank.brings(removed=["A", "unknown"])) == (0, 0, 1)
    assert await bank.shown() == ["two"]
    (gone,) = [each for each in await bank.rows(hidden=True) if each.removed_at is not None]
    assert gone.removed_at == bank.clock.now()
    assert counts(await bank.brings(removed=["A"])) == (0, 0, 0)
    assert counts(await bank.brings(told(1, "one", provider_transaction_id="A"))) == (0, 1, 0)
    assert (await bank.shown(), await bank.noted()) == (["one", "two"], ["one"])


@STABLE
async def test_a_provider_with_stable_ids_changes_rows(bank: Bank) -> None:
    """An id is one transaction, whatever is said of it; what is as it was is no change."""
    row = told(1, "one", provider_transaction_id="A")
    await bank.brings(row)
    await bank.note("one")
    assert counts(await bank.brings(row)) == (0, 0, 0)
    assert counts(await bank.brings(told(2, "other", "-5", provider_transaction_id="A"))) == (0, 1, 0)
    assert (await bank.shown(), await bank.noted()) == (["other"], ["other"])


# -- pending and posted ------------------------------------------------------------------------------------------

PENDING_ROW = "row;2026-03-01;-4.50;Coffee Shop;id=P;pending"


@pytest.mark.parametrize(
    "posted",
    [
        "row;2026-03-03;-5.00;Coffee with a tip;id=Q;replaces=P",
        "row;2026-03-03;-4.50;COFFEE SHOP BERLIN;id=Q",
        "row;2026-03-03;-4.50;something else;id=P",
        "row;2026-03-03;-5.00;Coffee with a tip;id=P",
        "row;2026-03-01;-4.50;Coffee Shop;id=P",
    ],
    ids=["linked", "alike", "same id", "same id with a tip", "same key"],
)
@pytest.mark.parametrize("order", ["pending first", "posted first", "together"])
async def test_a_pending_row_becomes_the_posted_one(bank: Bank, posted: str, order: str) -> None:
    """One transaction is left, with what the person said of the pending one; the pending one is not told again."""
    text = posted.split(";")[3]
    other = "row;2026-03-03;-9;Else"
    if order == "together" and "replaces" not in posted:
        pytest.skip("a bank that sends both means two")
    if order == "pending first":
        await bank.take_in(PENDING_ROW)
        await bank.note("Coffee Shop")
        assert counts(await bank.take_in(posted, other)) == (1, 1, 0)
        assert await bank.noted() == [text]
    elif order == "posted first":
        await bank.take_in(posted, other)
        assert counts(await bank.take_in(PENDING_ROW)) == (0, 0, 0)
    else:
        await bank.take_in(PENDING_ROW, posted, other)
    for again in range(2):
        assert sorted(await bank.shown()) == sorted([text, "Else"])
        await bank.take_in(PENDING_ROW, f"warning;again;{again}")
        await bank.take_in(posted, f"warning;again;{again}")


async def test_the_closest_in_text_is_the_posted_one(bank: Bank) -> None:
    """Among rows of one amount within 8 days text decides, then the day; the others are rows of their own."""
    await bank.take_in("row;2026-03-01;-4.50;Coffee Shop;pending", "row;2026-03-02;-4.50;Bakery;pending")
    posted = (
        "row;2026-03-04;-4.50;BAKERY",
        "row;2026-03-03;-4.50;COFFEE SHOP 12",
        "row;2026-03-09;-4.50;Coffee S",
    )
    await bank.note("Coffee Shop")
    assert counts(await bank.take_in(*posted)) == (1, 2, 0)
    assert await bank.shown() == ["COFFEE SHOP 12", "BAKERY", "Coffee S"]
    assert await bank.noted() == ["COFFEE SHOP 12"]


async def test_what_may_be_either_is_kept_with_both(bank: Bank) -> None:
    """Where two fit equally and differ, nobody guesses: the pending row stays beside them."""
    await bank.take_in("row;2026-03-01;-4.50;Shop;pending")
    await bank.take_in("row;2026-03-02;-4.50;Shop A", "row;2026-03-02;-4.50;Shop B")
    assert await bank.shown() == ["Shop PENDING", "Shop A", "Shop B"]


async def test_what_is_left_of_a_tie_is_no_guess_for_others(bank: Bank) -> None:
    """A row that might be one of two does not become a third one's for want of a better."""
    await bank.take_in("row;2026-03-01;-4.50;Shop;pending", "row;2026-03-01;-4.50;Sh;pending")
    await bank.take_in("row;2026-03-02;-4.50;Shop A", "row;2026-03-02;-4.50;Shop B")
    assert sorted(await bank.shown()) == ["Sh PENDING", "Shop A", "Shop B", "Shop PENDING"]


async def test_a_row_is_posted_on_its_day_or_later(bank: Bank) -> None:
    """What was posted before a row was pending, or more than 8 days after, is another one."""
    await bank.take_in("row;2026-03-05;-4.50;Coffee;pending")
    await bank.take_in("row;2026-03-04;-4.50;Coffee")
    await bank.take_in("row;2026-03-14;-4.50;Coffee", "row;2026-03-05;-4.50;Coffee;pending")
    assert await bank.shown() == ["Coffee", "Coffee PENDING", "Coffee"]


async def test_a_pending_row_that_never_comes_is_given_up(bank: Bank) -> None:
    """After 8 days it is VOID, and counts as removed; posted after all, it is a transaction again."""
    await bank.take_in("row;2026-03-01;-4.50;Coffee;pending")
    assert counts(await bank.take_in("row;2026-03-09;-1;Tea")) == (1, 0, 0)
    assert counts(await bank.take_in("row;2026-03-10;-2;Tea")) == (1, 0, 1)
    assert await bank.shown() == ["Coffee VOID", "Tea", "Tea"]
    assert counts(await bank.take_in("row;2026-03-01;-4.50;Coffee")) == (0, 1, 0)
    assert await bank.shown() == ["Coffee", "Tea", "Tea"]


async def test_a_pending_row_that_is_still_sent_is_not_given_up(bank: Bank) -> None:
    """As long as the bank shows it, it waits."""
    await bank.take_in("row;2026-03-01;-4.50;Coffee;pending")
    await bank.take_in("row;2026-03-01;-4.50;Coffee;pending", "row;2026-03-20;-1;Tea")
    assert await bank.shown() == ["Coffee PENDING", "Tea"]


async def test_daily_twins_do_not_swallow_each_other(bank: Bank) -> None:
    """A coffee a day, each pending first, all posted a day later: as many as there were, at any time."""
    for day in range(1, 9):
        said = [f"row;2026-03-{day:02};-4.50;Coffee;pending"]
        said += [f"row;2026-03-{each:02};-4.50;Coffee posted" for each in range(2, day + 1)]
        await bank.take_in(*said)
        assert len(await bank.rows()) == day
    await bank.take_in(*(f"row;2026-03-{each:02};-4.50;Coffee posted" for each in range(2, 10)))
    assert await bank.shown() == ["Coffee posted"] * 8


async def test_a_posted_row_stands_for_one_pending_row(bank: Bank) -> None:
    """A second pending row of the same amount is not taken for one that was posted already."""
    await bank.take_in("row;2026-03-01;-4.50;Coffee one;pending")
    await bank.take_in("row;2026-03-03;-4.50;Coffee")
    await bank.take_in("row;2026-03-02;-4.50;Coffee two;pending")
    assert await bank.shown() == ["Coffee two PENDING", "Coffee"]


async def test_a_row_that_was_taken_for_posted_comes_back_when_it_is(bank: Bank) -> None:
    """A guess hides a pending row; the row itself, once posted, counts beside the one that was taken for it."""
    await bank.take_in("row;2026-03-01;-4.50;Coffee;pending")
    await bank.take_in("row;2026-03-03;-4.50;Coffee")
    assert counts(await bank.take_in("row;2026-03-01;-4.50;Coffee")) == (0, 1, 0)
    assert await bank.shown() == ["Coffee", "Coffee"]


@pytest.mark.parametrize("turn", [1, -1])
async def test_of_twins_those_posted_come_first(bank: Bank, turn: int) -> None:
    """Which of two equal rows is pending does not depend on their order in the file."""
    both = ["row;2026-03-01;-4.50;Coffee;pending", "row;2026-03-01;-4.50;Coffee"]
    await bank.take_in(*both)
    await bank.take_in(*both[::turn], "row;2026-03-02;-1;Tea")
    assert sorted(await bank.shown()) == ["Coffee", "Coffee PENDING", "Tea"]


@pytest.mark.parametrize("removed_with", ["the posted row", "nothing"])
@STABLE
async def test_a_provider_replaces_a_pending_row_and_removes_it(bank: Bank, removed_with: str) -> None:
    """As Plaid does: the posted row has an id of its own and names the pending one, which is removed as well."""
    await bank.brings(told(1, "pending", provider_transaction_id="P", status=PENDING))
    await bank.note("pending")
    posted = told(2, "posted", "-5", provider_transaction_id="Q", replaces="P")
    await bank.brings(posted, removed=["P"] if removed_with == "the posted row" else [])
    await bank.brings(removed=["P"])
    assert (await bank.shown(), await bank.noted()) == (["posted"], ["posted"])


# -- reading again -----------------------------------------------------------------------------------------------


async def test_a_better_reading_changes_rows_in_place(bank: Bank) -> None:
    """Other texts, other amounts: the same transactions with what a person said of them, and none twice."""
    said = ("row;2026-03-01;-4.50;Cofee", "row;2026-03-01;-4.50;Cofee", "row;2026-03-02;-9;Rent")
    first = await bank.take_in(*said)
    await bank.note("Rent")
    before = await bank.rows()
    bank.reader.learnt = lambda row: attrs.evolve(
        row, description=f"{row.description} !", amount=row.amount + row.amount
    )
    assert (await bank.take_in(*said)).already_imported
    second = await bank.take_in(*said, again=True)
    assert second.document.document_id == first.document.document_id
    assert counts(second) == (0, 3, 0)
    assert (await bank.rows(), await bank.noted()) == (before, ["Rent !"])
    assert await bank.shown() == ["Cofee !", "Cofee !", "Rent !"]
    assert counts(await bank.take_in(*said, again=True)) == (0, 0, 0)


async def test_a_row_keeps_its_place_where_others_shift(bank: Bank) -> None:
    """Day and amount say which row is which, if a better reading finds one more at the top."""
    said = ("row;2026-03-01;-1;Tea", "row;2026-03-02;-4.50;Coffee", "row;2026-03-03;-9;Rent")
    bank.reader.learnt = lambda row: None if row.description == "Tea" else row
    await bank.take_in(*said)
    await bank.note("Rent")
    bank.reader.learnt = lambda row: attrs.evolve(row, description=f"{row.description} !")
    assert counts(await bank.take_in(*said, again=True)) == (1, 2, 0)
    assert (await bank.shown(), await bank.noted()) == (["Tea !", "Coffee !", "Rent !"], ["Rent !"])


async def test_what_a_better_reading_finds_or_drops_is_added_or_taken_back(bank: Bank) -> None:
    """A row that is none is gone, one that was overlooked is there; a later file finds what was read better."""
    said = ("row;2026-03-01;-1;Tea", "row;2026-03-02;-4.50;Coffee", "row;2026-03-03;100;Total")
    bank.reader.learnt = lambda row: None if row.description == "Tea" else row
    await bank.take_in(*said)
    bank.reader.learnt = lambda row: None if row.description == "Total" else row
    assert counts(await bank.take_in(*said, again=True)) == (1, 0, 1)
    assert await bank.shown() == ["Tea", "Coffee"]
    assert counts(await bank.take_in(*said, "row;2026-03-04;-2;Cake")) == (1, 0, 0)


# -- what a statement says of itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "verdict", "difference"),
    [
        (["balance;2026-03-01;10;OPENING_BOOKED", "balance;2026-03-31;4.40;CLOSING_BOOKED"], "reconciled", None),
        (["balance;2026-03-01;10;OPENING_BOOKED", "balance;2026-03-31;5;CLOSING_BOOKED"], "mismatch", "0.60"),
        (["balance;2026-03-01;10;OPENING_BOOKED"], "unknown", None),
        (["balance;2026-03-31;4.40;CLOSING_BOOKED", "balance;2026-03-01;10"], "unknown", None),
    ],
)
async def test_a_statement_has_to_add_up(
    bank: Bank, said: Sequence[str], verdict: str, difference: str | None
) -> None:
    """Opening balance and booked rows give the closing one; what is pending is not booked."""
    rows = "row;2026-03-02;-5.50;a", "row;2026-03-03;-0.10;b", "row;2026-03-04;-9;c;pending"
    (one,) = (await bank.take_in(*rows, *said)).document.accounts
    assert one.arithmetic is Arithmetic(verdict)
    assert one.difference == (None if difference is None else eur(difference))


async def test_a_day_that_is_cut_is_reported(bank: Bank) -> None:
    """Two files share a row of a day, and each has one that the other lacks: twins there cannot be told apart."""
    await bank.take_in("row;2026-03-01;-1;a", "row;2026-03-02;-1;b", "row;2026-03-02;-1;c")
    cut = await bank.take_in("row;2026-03-02;-1;c", "row;2026-03-02;-1;d", "row;2026-03-03;-1;e")
    assert [(each.rule, each.raw) for each in cut.document.warnings] == [("day_cut", "2026-03-02")]
    for whole in (["row;2026-03-03;-1;e", "row;2026-03-04;-1;f"], ["row;2026-03-02;-1;c"]):
        assert (await bank.take_in(*whole)).document.warnings == ()


async def test_a_day_of_rows_that_changed_is_not_cut(bank: Bank) -> None:
    """A pending row that has been posted, and one that was corrected, are not missing from the later file."""
    right = "row;2026-03-02;-6;right;id=B;replaces=A"
    await bank.take_in("row;2026-03-02;-1;a", "row;2026-03-02;-4.50;Shop;pending")
    await bank.take_in("row;2026-03-02;-5;wrong;id=A")
    for more in (["row;2026-03-02;-5;wrong;id=A", right], [right, "row;2026-03-02;-1;late"]):
        later = await bank.take_in("row;2026-03-02;-1;a", "row;2026-03-02;-4.50;SHOP 12", *more)
        assert later.document.warnings == ()


async def test_what_a_later_statement_is_without_is_flagged(bank: Bank) -> None:
    """Not on its last day, which may be cut, nor outside its window; sent again, it is not missing any more."""
    rows = [f"row;2026-03-{day:02};-1;{day}" for day in range(1, 6)]
    await bank.take_in(*rows)
    await bank.take_in("row;2026-03-03;-1;3", "window;2026-03-02;2026-03-05")
    flagged = {each.description: each.missing_since for each in await bank.rows() if each.missing_since}
    assert flagged == {"2": NOON, "4": NOON}
    bank.clock.advance(timedelta(days=1))
    await bank.take_in("row;2026-03-02;-1;2", "window;2026-03-01;2026-03-05")
    flagged = {each.description: each.missing_since for each in await bank.rows() if each.missing_since}
    assert flagged == {"1": bank.clock.now(), "3": bank.clock.now(), "4": NOON}
    assert len(await bank.shown()) == 5


async def test_numbers_of_others_are_not_stored(bank: Bank) -> None:
    """Kept are the last four characters and a hash, which is that of the account itself, however it is spaced."""
    await bank.take_in(f"row;2026-03-01;-1;a;other={OTHER}", f"row;2026-03-02;-1;b;other={OTHER.replace(' ', '')}")
    a, b = await bank.rows()
    assert a.counterparty is not None
    assert (a.counterparty.mask, a.counterparty.account) == ("5678", None)
    assert a.counterparty.number_hash
    assert a.counterparty == b.counterparty
    kept = str([attrs.asdict(each) for each in (a, b)])
    assert not any(each in kept for each in (OTHER, OTHER.replace(" ", "")))


# -- any history -------------------------------------------------------------------------------------------------

DAYS = 12
type Event = tuple[int, int, Mapping[str, Any]]
"""A row of a day, shown in what is downloaded from a time on until another."""

contents = st.tuples(st.sampled_from(["coffee", "coffee shop", "tea"]), st.sampled_from(["-1", "-2"]))
days = st.integers(0, DAYS - 1)
times = st.integers(0, 3)


@attrs.frozen
class Told:
    """A row, the time from which it is told until it is told no more, and whether it counts in the end."""

    day: int
    text: str
    amount: str
    more: str = ""
    since: int = 0
    until: int = 9
    counts: bool = True

    def line(self) -> str:
        return f"row;{FIRST + timedelta(days=self.day)};{self.amount};{self.text}{self.more}"


@st.composite
def tellings(draw: st.DrawFn, number: int) -> list[Told]:
    """A plain row, a row that is corrected or taken back, or one that is pending until it is posted."""
    (text, amount), day, since = draw(contents), draw(days), draw(times)
    later = Told(min(day + draw(st.integers(0, 9)), DAYS - 1), *draw(contents))
    match draw(st.sampled_from(["plain", "plain", "corrected", "linked", "settled", "dropped"])):
        case "plain":
            id_ = draw(st.sampled_from(["", "", ";id=NONREF", f";id=F{number % 2}"]))
            return [Told(day, text, amount, id_)]
        case "corrected":
            ids = [f"{number}.{place}" for place in range(draw(st.integers(2, 3)))]
            void = draw(st.booleans())
            chain = [Told(draw(days), *draw(contents), f";id={ids[0]}", counts=False)]
            for before, id_ in pairwise(ids):
                chain.append(Told(draw(days), *draw(contents), f";id={id_};replaces={before}", counts=False))
            last = attrs.evolve(chain[-1], counts=not void, more=f"{chain[-1].more}{';void' if void else ''}")
            return [*chain[:-1], last]
        case "linked":
            pending = Told(day, text, amount, f";id=P{number};pending", until=since, counts=False)
            return [pending, attrs.evolve(later, more=f";id=Q{number};replaces=P{number}", since=since)]
        case "settled":
            pending = Told(day, text, amount, ";pending", until=since, counts=False)
            return [pending, attrs.evolve(pending, more="", since=since, until=9, counts=True)]
        case _:
            return [Told(day, text, amount, ";pending", until=since, counts=False)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Told], list[list[bytes]]]:
    """What there was, and files of whole days as they were downloaded then, the last ones, of all days, too."""
    rows = [each for number in range(draw(st.integers(1, 7))) for each in draw(tellings(number))]
    cuts = sorted({0, DAYS, *draw(st.lists(days, max_size=3))})
    spans = [(start, end, 9) for start, end in pairwise(cuts)]
    spans += draw(st.lists(st.tuples(days, st.integers(1, DAYS), times), max_size=4))
    files: list[bytes] = []
    for nonce, (start, end, time) in enumerate(spans):
        said = [each for each in rows if start <= each.day < end and each.since <= time < each.until + (time == 9)]
        ordered = sorted(said, key=lambda each: each.day, reverse=draw(st.booleans()))
        files.append(lines("account;DE00 1234", *(each.line() for each in ordered), f"warning;nonce;{nonce}"))
    files = draw(st.permutations([*files, *draw(st.lists(st.sampled_from(files), max_size=2))]))
    at_once = draw(st.integers(1, 3))
    return rows, [files[place : place + at_once] for place in range(0, len(files), at_once)]


@given(histories())
@settings(deadline=None)
async def test_the_end_is_the_same_however_files_come(history: tuple[list[Told], list[list[bytes]]]) -> None:
    """Split, repeated, overlapping, at once, in any order: every row that counts is there once, and no other."""
    rows, files = history
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()], workers=False) as dashtam:
        me = dashtam.acting_as(ANN)
        for some in files:
            for answer in await asyncio.gather(*(me.execute(ImportStatement(data)) for data in some)):
                answer.unwrap()
        async with dashtam.store.unit_of_work(ANN) as unit:
            found = await unit.transactions.find(TransactionFilter())
    counting = [each for each in rows if each.counts]
    assert Counter(
        (each.posted_date, each.amount.amount, each.description) for each in found if each.status is POSTED
    ) == Counter((FIRST + timedelta(days=each.day), Decimal(each.amount), each.text) for each in counting)
    linked = {f"P{number}" for number in range(9)}
    assert [each for each in found if each.provider_transaction_id in linked] == []
