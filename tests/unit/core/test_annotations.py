"""What a person says of their transactions, and how transactions are asked for."""

from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import (
    Account,
    AccountsCode,
    AnnotateTransaction,
    Annotation,
    Balance,
    ClearAnnotation,
    GetTransaction,
    Holding,
    ListBalances,
    ListHoldings,
    ListTransactions,
    SecurityData,
    Split,
    Transaction,
    TransactionId,
    TransactionStatus,
)
from dashtam_core.app import Actor
from dashtam_core.audit import Phase
from dashtam_core.identity import OWNER, ExternalSubject
from dashtam_core.kernel import Currency, Failure, Money, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.testing.samples import account, add, balance, entries_of, eur, have, row, rows_of

ANN, BEN = ExternalSubject("ann", OWNER), ExternalSubject("ben", OWNER)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def me(store: MemoryStore) -> AsyncGenerator[Actor]:
    async with Dashtam.open(settings=Settings(master_key="k" * 32), store=store, plugins=[]) as dashtam:
        yield dashtam.acting_as(ANN)


@pytest.fixture
async def one(store: MemoryStore) -> Account:
    (made,) = await have(store, ANN, account("one"))
    return made


@pytest.fixture
async def coffee(store: MemoryStore, one: Account) -> TransactionId:
    """A transaction of -4.50 EUR."""
    await add(store, ANN, one, row("coffee"))
    return (await rows_of(store, ANN))[0].transaction_id


def splits(*amounts: str) -> tuple[Split, ...]:
    return tuple(Split(amount=eur(each)) for each in amounts)


async def stored(me: Actor, id_: TransactionId) -> Annotation | None:
    return (await me.ask(GetTransaction(id_))).unwrap().annotation


async def test_an_annotation_is_kept_whole_and_replaced(me: Actor, coffee: TransactionId) -> None:
    """Texts are stripped, empty ones left out and tags kept once; what is not said again is gone."""
    said = AnnotateTransaction(
        transaction_id=coffee,
        category=" Food ",
        payee="Bar\t",
        note="two\nlines\n",
        tags=("b", " a", "b ", " "),
        splits=(Split(amount=eur("-4"), category=" Coffee ", note=""), Split(amount=eur("-0.5"), note=" tip")),
    )
    kept = Annotation(
        transaction_id=coffee,
        category="Food",
        payee="Bar",
        note="two\nlines",
        tags=("b", "a"),
        splits=(Split(amount=eur("-4"), category="Coffee"), Split(amount=eur("-0.5"), note="tip")),
    )
    assert (await me.execute(said)).unwrap() == kept == await stored(me, coffee)
    (await me.execute(AnnotateTransaction(transaction_id=coffee, note="only"))).unwrap()
    assert await stored(me, coffee) == Annotation(transaction_id=coffee, note="only")
    (await me.execute(AnnotateTransaction(transaction_id=coffee, note=" "))).unwrap()
    assert await stored(me, coffee) is None


async def test_an_annotation_is_cleared(me: Actor, coffee: TransactionId) -> None:
    """Nothing is left of it; to clear where nothing is said is no error."""
    (await me.execute(AnnotateTransaction(transaction_id=coffee, note="x"))).unwrap()
    for _ in range(2):
        (await me.execute(ClearAnnotation(coffee))).unwrap()
        assert await stored(me, coffee) is None


@pytest.mark.parametrize(
    ("amounts", "off"),
    [
        (["-4.50"], None),
        (["-4.5", "0"], None),
        (["-5", "0.50"], None),
        (["-4.00"], "0.50"),
        (["-4.50", "-0.01"], "-0.01"),
        (["4.50"], "9.00"),
        (["0." + "0" * 37 + "1", "9" * 38, "-" + "9" * 38, "-4.50"], "0." + "0" * 37 + "1"),
    ],
)
async def test_splits_add_up_to_the_amount(
    me: Actor, coffee: TransactionId, amounts: list[str], off: str | None
) -> None:
    """To the last digit, and the error says by how much they do not."""
    result = await me.execute(AnnotateTransaction(transaction_id=coffee, splits=splits(*amounts)))
    if off is None:
        assert result.unwrap().splits == splits(*amounts)
        return
    error = result.failure()
    assert error.code is AccountsCode.SPLITS_UNBALANCED
    assert f"are {off} EUR off -4.50 EUR" in error.message
    assert await stored(me, coffee) is None


async def test_splits_are_in_the_currency_of_the_transaction(me: Actor, coffee: TransactionId) -> None:
    """Other money is not added up."""
    dollars = (Split(amount=Money(Decimal("-4.50"), Currency("USD"))),)
    error = (await me.execute(AnnotateTransaction(transaction_id=coffee, splits=dollars))).failure()
    assert (error.code, "in EUR" in error.message) == (AccountsCode.SPLITS_UNBALANCED, True)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({"category": "x" * 200, "payee": "y" * 200, "note": "z" * 4_000}, True),
        ({"tags": tuple(map(str, range(50)))}, True),
        ({"splits": splits("-4.50", *["0"] * 99)}, True),
        ({"tags": ("👨‍👩‍👧 café",)}, True),
        ({"category": "x" * 201}, False),
        ({"payee": "y" * 201}, False),
        ({"note": "z" * 4_001}, False),
        ({"tags": ("t" * 201,)}, False),
        ({"tags": tuple(map(str, range(51)))}, False),
        ({"splits": splits("-4.50", *["0"] * 100)}, False),
        ({"splits": (Split(amount=eur("-4.50"), category="x" * 201),)}, False),
        ({"splits": (Split(amount=eur("-4.50"), note="x" * 4_001),)}, False),
        ({"note": "nul \x00"}, False),
        ({"tags": ("half \ud800",)}, False),
        ({"splits": (Split(amount=eur("-4.50"), category="esc \x1b"),)}, False),
    ],
)
async def test_what_a_person_says_has_bounds(
    me: Actor, coffee: TransactionId, said: dict[str, Any], fits: bool
) -> None:
    """The longest and the most that is taken, and one more; controls and halves of characters are no text."""
    result = await me.execute(AnnotateTransaction(transaction_id=coffee, **said))
    if isinstance(result, Failure):
        assert result.failure().code is AccountsCode.ANNOTATION_INVALID
    assert isinstance(result, Failure) is not fits


async def test_only_ones_own_transactions_are_found(me: Actor, coffee: TransactionId) -> None:
    """Another person's, and one that is not there, are neither shown nor annotated nor cleared."""
    ben = me.dashtam.acting_as(BEN)
    for somebody, id_ in ((ben, coffee), (me, TransactionId(new_id()))):
        for answer in (
            await somebody.ask(GetTransaction(id_)),
            await somebody.execute(AnnotateTransaction(transaction_id=id_, note="x")),
            await somebody.execute(ClearAnnotation(id_)),
        ):
            assert answer.failure().code is AccountsCode.TRANSACTION_NOT_FOUND


async def test_the_trail_counts_and_does_not_tell(me: Actor, store: MemoryStore, coffee: TransactionId) -> None:
    """The entry names the transaction and how much was said of it, not what."""
    (await me.execute(AnnotateTransaction(transaction_id=coffee, note="secret", tags=("secret",)))).unwrap()
    (entry,) = await entries_of(store, user_id=ANN.user_id, phase=Phase.SUCCEEDED)
    assert (entry.action, entry.resource_id) == ("annotate_transaction", str(coffee))
    assert (entry.context, "secret" in repr(entry)) == ({"tags": 1, "splits": 0}, False)


async def test_a_hidden_transaction_can_be_asked_for(me: Actor, store: MemoryStore, one: Account) -> None:
    """What counts no more is not listed, and found by its id."""
    await add(store, ANN, one, attrs.evolve(row("gone"), removed_at=one.created_at))
    (gone,) = await rows_of(store, ANN, hidden=True)
    assert (await me.ask(ListTransactions())).unwrap().items == []
    assert (await me.ask(GetTransaction(gone.transaction_id))).unwrap().description == "gone"


async def test_transactions_are_listed_by_status(me: Actor, store: MemoryStore, one: Account) -> None:
    """Pending ones alone; a cursor goes on for the same status only."""
    pending = [row(f"pending {day}", day, status=TransactionStatus.PENDING) for day in (1, 2)]
    await add(store, ANN, one, row("posted"), *pending)
    wanted = ListTransactions(status=TransactionStatus.PENDING, limit=1)
    first = (await me.ask(wanted)).unwrap()
    second = (await me.ask(attrs.evolve(wanted, cursor=first.next_cursor))).unwrap()
    assert [_text(each) for page in (first, second) for each in page.items] == ["pending 2", "pending 1"]
    posted = attrs.evolve(wanted, status=TransactionStatus.POSTED, cursor=first.next_cursor)
    assert (await me.ask(posted)).failure().code is AccountsCode.CURSOR_INVALID


def _text(row: Transaction) -> str | None:
    return row.description


async def report(store: MemoryStore, *balances: Balance) -> None:
    async with store.unit_of_work(ANN) as unit:
        await unit.accounts.add_balances(balances)


async def test_the_history_of_balances(me: Actor, store: MemoryStore, one: Account) -> None:
    """The year up to the latest without days, else what was asked for: ten years at most."""
    assert (await me.ask(ListBalances(account_id=one.account_id))).unwrap() == []
    days = [date(2025, 2, 28), date(2025, 3, 1), date(2026, 3, 1)]
    await report(store, *(balance(one, str(number), as_of=day) for number, day in enumerate(days)))
    for first, last, found in (
        (None, None, [1, 2]),
        (days[0], None, [0, 1, 2]),
        (None, days[1], [0, 1]),
        (days[0], days[0], [0]),
        (date(2016, 2, 23), days[2], [0, 1, 2]),
        (date(2026, 3, 2), None, []),
    ):
        asked = ListBalances(account_id=one.account_id, from_date=first, to_date=last)
        assert [int(each.amount.amount) for each in (await me.ask(asked)).unwrap()] == found
    for first, last in ((days[2], days[0]), (date(2016, 2, 22), days[2])):
        asked = ListBalances(account_id=one.account_id, from_date=first, to_date=last)
        assert (await me.ask(asked)).failure().code is AccountsCode.DATE_RANGE_INVALID


async def test_what_an_account_holds(me: Actor, store: MemoryStore, one: Account) -> None:
    """The latest day's holdings."""
    old, new = (
        Holding(account_id=one.account_id, security=SecurityData(name="ETF"), as_of=day, units=Decimal(units))
        for day, units in ((date(2026, 3, 1), 1), (date(2026, 3, 2), 2))
    )
    async with store.unit_of_work(ANN) as unit:
        await unit.accounts.add_holdings([new, old])
    assert (await me.ask(ListHoldings(one.account_id))).unwrap() == [new]


async def test_only_ones_own_accounts_tell(me: Actor, one: Account) -> None:
    """Neither balances nor holdings of another person's account are told."""
    ben = me.dashtam.acting_as(BEN)
    for query in (ListBalances(account_id=one.account_id), ListHoldings(one.account_id)):
        assert (await ben.ask(query)).failure().code is AccountsCode.ACCOUNT_NOT_FOUND
