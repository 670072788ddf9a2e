"""What the application answers about transfers and duplicates, and what a decision does."""

from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import (
    Account,
    GetTransaction,
    ImportStatement,
    ListTransactions,
    TransactionFilter,
    TransactionId,
)
from dashtam_core.app import Actor
from dashtam_core.audit import Phase
from dashtam_core.identity import OWNER, ExternalSubject
from dashtam_core.kernel import Currency, Failure, Money, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.portfolio import DecideMatch, ForgetDecision, ListMatches, MatchKind, MatchState, PortfolioCode
from dashtam_core.testing.samples import LinesPlugin, account, add, entries_of, have, lines, row, rows_of

ANN, BEN = ExternalSubject("ann", OWNER), ExternalSubject("ben", OWNER)
TRANSFER, DUPLICATE = MatchKind.TRANSFER, MatchKind.DUPLICATE
CONFIRMED, REJECTED = MatchState.CONFIRMED, MatchState.REJECTED


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def me(store: MemoryStore) -> AsyncGenerator[Actor]:
    async with Dashtam.open(
        settings=Settings(master_key="k" * 32), store=store, plugins=[LinesPlugin()]
    ) as dashtam:
        yield dashtam.acting_as(ANN)


async def have_two(store: MemoryStore, **changes: Any) -> list[Account]:
    """Two accounts, the second with these changes."""
    return await have(store, ANN, account("one", mask="1111"), account("two", **changes))


async def ids(store: MemoryStore) -> dict[str | None, TransactionId]:
    return {each.description: each.transaction_id for each in await rows_of(store, ANN, hidden=True)}


async def listed(me: Actor, kind: MatchKind, state: MatchState = MatchState.SUGGESTED, **days: date) -> list[str]:
    pairs = (
        await me.ask(ListMatches(kind=kind, state=state, from_date=days.get("a"), to_date=days.get("b")))
    ).unwrap()
    return [f"{each.first.description} > {each.second.description}" for each in pairs]


async def shown(me: Actor) -> list[str | None]:
    return [each.description for each in (await me.ask(ListTransactions())).unwrap().items]


async def code(me: Actor, command: DecideMatch | ForgetDecision) -> object:
    """The code that a command is refused with, None if it is not."""
    result = await me.execute(command)
    return result.failure().code if isinstance(result, Failure) else None


async def test_a_transfer_is_suggested_decided_and_forgotten(me: Actor, store: MemoryStore) -> None:
    """Each state has its list, and what is forgotten is suggested again."""
    one, two = await have_two(store)
    await add(store, ANN, one, row("out", amount="-50"))
    await add(store, ANN, two, row("in", day=2, amount="50"))
    first, second = (await ids(store))["out"], (await ids(store))["in"]
    forget = ForgetDecision(kind=TRANSFER, first=first, second=second)
    assert await listed(me, TRANSFER) == ["out > in"]
    for state in (CONFIRMED, REJECTED, CONFIRMED):
        match = (await me.execute(DecideMatch(kind=TRANSFER, first=first, second=second, state=state))).unwrap()
        assert (match.state, match.decided_at is not None) == (state, True)
        lists = {each: await listed(me, TRANSFER, each) for each in MatchState}
        assert {each for each, pairs in lists.items() if pairs == ["out > in"]} == {state}
        assert await listed(me, DUPLICATE, state) == []
    assert await shown(me) == ["in", "out"]
    (await me.execute(forget)).unwrap()
    assert await listed(me, TRANSFER) == ["out > in"]
    assert await code(me, forget) is PortfolioCode.MATCH_NOT_FOUND


async def test_a_confirmed_duplicate_hides_the_second(me: Actor, store: MemoryStore) -> None:
    """It is shown again once the decision is rejected, turned round or forgotten."""
    one, two = await have_two(store, mask="1111")
    await add(store, ANN, one, row("file", amount="-50"))
    await add(store, ANN, two, row("api", amount="-50"))
    first, second = (await ids(store))["file"], (await ids(store))["api"]
    decide = DecideMatch(kind=DUPLICATE, first=first, second=second, state=CONFIRMED)
    turned = attrs.evolve(decide, first=second, second=first)
    assert await listed(me, DUPLICATE) == ["file > api"]
    for command, hidden, state, pair in (
        (decide, "api", CONFIRMED, "file > api"),
        (decide, "api", CONFIRMED, "file > api"),
        (turned, "file", CONFIRMED, "api > file"),
        (attrs.evolve(decide, state=REJECTED), None, REJECTED, "file > api"),
        (decide, "api", CONFIRMED, "file > api"),
    ):
        (await me.execute(command)).unwrap()
        assert sorted(map(str, await shown(me))) == sorted({"api", "file"} - {hidden})
        assert (await listed(me, DUPLICATE, state), await listed(me, DUPLICATE)) == ([pair], [])
    assert (await me.ask(GetTransaction(second))).unwrap().superseded_by == first
    (await me.execute(ForgetDecision(kind=DUPLICATE, first=first, second=second))).unwrap()
    assert await listed(me, DUPLICATE) == ["file > api"]


@pytest.mark.parametrize(("state", "by"), [(REJECTED, "file"), (CONFIRMED, "new")])
async def test_what_something_else_hides_stays_hidden(
    me: Actor, store: MemoryStore, state: MatchState, by: str
) -> None:
    """Forgetting a decision shows only what that decision hid."""
    one, two = await have_two(store, mask="1111")
    await add(store, ANN, one, row("file", amount="-50"), row("new", amount="-50"))
    await add(store, ANN, two, row("api", amount="-50"))
    known = await ids(store)
    first, second = known["file"], known["api"]
    (await me.execute(DecideMatch(kind=DUPLICATE, first=first, second=second, state=state))).unwrap()
    async with store.unit_of_work(ANN) as unit:
        (api,) = await unit.transactions.find(TransactionFilter(transaction_ids=[second], hidden=True))
        await unit.transactions.change([attrs.evolve(api, superseded_by=known[by])])
    (await me.execute(ForgetDecision(kind=DUPLICATE, first=first, second=second))).unwrap()
    assert sorted(map(str, await shown(me))) == ["file", "new"]


async def test_one_transaction_may_stand_for_several(me: Actor, store: MemoryStore) -> None:
    """A movement that is told three times is kept once."""
    one, two = await have_two(store, mask="1111")
    await add(store, ANN, one, row("file", amount="-50"))
    await add(store, ANN, two, row("api", amount="-50"), row("api again", amount="-50"))
    known = await ids(store)
    for other in ("api", "api again"):
        decide = DecideMatch(kind=DUPLICATE, first=known["file"], second=known[other], state=CONFIRMED)
        (await me.execute(decide)).unwrap()
    assert await shown(me) == ["file"]


async def test_what_cannot_be_confirmed(me: Actor, store: MemoryStore) -> None:
    """A transfer goes from one account to another, and a row that counts no more belongs to nothing."""
    one, two = await have_two(store)
    usd = Money(Decimal(-50), Currency("USD"))
    gone = attrs.evolve(row("gone", amount="50"), removed_at=one.created_at)
    await add(store, ANN, one, row("out", amount="-50"), row("back", amount="50"))
    await add(store, ANN, two, row("in", amount="50"), row("off", amount="-50"), gone)
    dollars = row("dollars")
    await add(store, ANN, two, attrs.evolve(dollars, data=attrs.evolve(dollars.data, amount=usd)))
    known = await ids(store)
    for kind, first, second in (
        (TRANSFER, "out", "out"),
        (TRANSFER, "out", "back"),
        (TRANSFER, "in", "out"),
        (TRANSFER, "out", "off"),
        (TRANSFER, "out", "gone"),
        (DUPLICATE, "in", "gone"),
        (DUPLICATE, "gone", "in"),
        (DUPLICATE, "in", "in"),
        (DUPLICATE, "out", "dollars"),
    ):
        wanted = DecideMatch(kind=kind, first=known[first], second=known[second], state=CONFIRMED)
        assert await code(me, wanted) is PortfolioCode.MATCH_IMPOSSIBLE, (first, second)
        rejected = await code(me, attrs.evolve(wanted, state=REJECTED))
        assert rejected is (PortfolioCode.MATCH_IMPOSSIBLE if first == second else None)
    assert await listed(me, TRANSFER, CONFIRMED) == []


async def test_a_leg_belongs_to_one_confirmed_transfer(me: Actor, store: MemoryStore) -> None:
    """Another with one of its legs is refused until the first is forgotten; rejections do not count."""
    one, two = await have_two(store)
    await add(store, ANN, one, row("out", amount="-50"), row("out too", amount="-50"))
    await add(store, ANN, two, row("in", amount="50"), row("in too", amount="50"))
    known = await ids(store)
    decide = DecideMatch(kind=TRANSFER, first=known["out"], second=known["in"], state=REJECTED)
    for first, second, state, refused in (
        ("out", "in", REJECTED, None),
        ("out", "in too", CONFIRMED, None),
        ("out", "in", CONFIRMED, PortfolioCode.LEG_TAKEN),
        ("out too", "in too", CONFIRMED, PortfolioCode.LEG_TAKEN),
        ("out too", "in too", REJECTED, None),
        ("out", "in too", CONFIRMED, None),
        ("out too", "in", CONFIRMED, None),
    ):
        wanted = attrs.evolve(decide, first=known[first], second=known[second], state=state)
        assert await code(me, wanted) is refused, (first, second)
    assert sorted(await listed(me, TRANSFER, CONFIRMED)) == ["out > in too", "out too > in"]


async def test_others_decide_nothing(me: Actor, store: MemoryStore) -> None:
    """Rows of another person, or of nobody, are not found, and leave an audit entry with the code."""
    one, two = await have_two(store)
    await add(store, ANN, one, row("out", amount="-50"))
    await add(store, ANN, two, row("in", amount="50"))
    known = await ids(store)
    decide = DecideMatch(kind=TRANSFER, first=known["out"], second=known["in"], state=CONFIRMED)
    ben = me.dashtam.acting_as(BEN)
    assert await code(ben, decide) is PortfolioCode.MATCH_NOT_FOUND
    assert await code(me, attrs.evolve(decide, second=TransactionId(new_id()))) is PortfolioCode.MATCH_NOT_FOUND
    (await me.execute(decide)).unwrap()
    assert await listed(ben, TRANSFER, CONFIRMED) == []
    assert await code(ben, ForgetDecision(kind=TRANSFER, first=decide.first, second=decide.second)) is not None
    (done,) = await entries_of(store, user_id=ANN.user_id, phase=Phase.SUCCEEDED)
    assert (done.action, done.resource_id) == ("decide_match", str(decide.first))
    assert done.context == {"kind": "transfer", "second": str(decide.second), "state": "confirmed"}


async def test_the_days_of_a_list(me: Actor, store: MemoryStore) -> None:
    """One leg in them is enough; without days they are the 90 up to the newest row, and 366 at most."""
    one, two = await have_two(store)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 3, 31)]
    await add(store, ANN, one, *(row(f"out {day}", amount="-50", posted_date=day) for day in days))
    await add(store, ANN, two, *(row(f"in {day}", amount="50", posted_date=day) for day in days))
    old, new, last = (f"out {day} > in {day}" for day in days)
    assert await listed(me, TRANSFER) == [last, new]
    assert await listed(me, TRANSFER, b=days[0]) == [old]
    assert await listed(me, TRANSFER, a=days[0]) == [last, new, old]
    assert await listed(me, TRANSFER, a=days[0], b=days[1]) == [new, old]
    assert await listed(me, TRANSFER, a=date(2027, 1, 1)) == []
    assert await listed(me, TRANSFER, a=date(2025, 3, 31), b=days[2]) == [last, new, old]
    for a, b in ((date(2025, 3, 30), days[2]), (days[1], days[0])):
        refused = (await me.ask(ListMatches(kind=TRANSFER, from_date=a, to_date=b))).failure()
        assert refused.code is PortfolioCode.MATCH_DAYS_INVALID


async def test_pairs_across_the_ends_of_the_days_are_what_they_are(me: Actor, store: MemoryStore) -> None:
    """A row whose fellow lies outside is not paired with another inside."""
    one, two = await have_two(store)
    await add(store, ANN, one, row("out", day=10, amount="-50"))
    await add(store, ANN, two, row("near", day=11, amount="50"), row("far", day=6, amount="50"))
    assert await listed(me, TRANSFER, a=date(2026, 3, 1), b=date(2026, 3, 10)) == ["out > near"]
    assert await listed(me, TRANSFER, a=date(2026, 3, 1), b=date(2026, 3, 9)) == []


@pytest.mark.parametrize("day", [date.min, date.max])
async def test_the_ends_of_the_calendar_are_days_too(me: Actor, store: MemoryStore, day: date) -> None:
    """Nothing is counted beyond the first or the last day there is; who has nothing is suggested nothing."""
    assert await listed(me, TRANSFER) == []
    one, two = await have_two(store)
    await add(store, ANN, one, row("out", amount="-50", posted_date=day))
    await add(store, ANN, two, row("in", amount="50", posted_date=day))
    assert await listed(me, TRANSFER) == ["out > in"]


async def test_too_many_rows_are_refused(me: Actor, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than anybody has in such days are not compared."""
    monkeypatch.setattr("dashtam_core.portfolio._listing._MAX_ROWS", 2)
    (one,) = await have(store, ANN, account("one"))
    await add(store, ANN, one, row("a"), row("b"))
    assert await listed(me, TRANSFER) == []
    await add(store, ANN, one, row("c"))
    assert (await me.ask(ListMatches(kind=TRANSFER))).failure().code is PortfolioCode.MATCH_DAYS_INVALID


async def test_an_import_leaves_decisions_alone(me: Actor, store: MemoryStore) -> None:
    """A file that tells of a hidden row again neither shows it nor makes it anew."""
    rows = ("row;2026-01-05;-50;rent", "row;2026-01-06;-1;tea")
    (await me.execute(ImportStatement(lines("account;DE00 1234", *rows)))).unwrap()
    (await me.execute(ImportStatement(lines("account;XX99 1234", *rows[:1])))).unwrap()
    (pair,) = (await me.ask(ListMatches(kind=DUPLICATE))).unwrap()
    first, second = pair.match.first, pair.match.second
    (await me.execute(DecideMatch(kind=DUPLICATE, first=first, second=second, state=CONFIRMED))).unwrap()
    (await me.execute(ImportStatement(lines("account;XX99 1234", *rows)))).unwrap()
    assert await shown(me) == ["tea", "tea", "rent"]
