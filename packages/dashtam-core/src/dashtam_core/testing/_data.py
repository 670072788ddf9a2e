"""What every store does with accounts, transactions, balances and documents."""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import pytest

from dashtam_core import accounts as model
from dashtam_core.accounts import Account
from dashtam_core.kernel import Currency, DateRange, Money, Subject
from dashtam_core.store import Capability, Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import (
    ALL,
    NOTHING,
    PATIENCE,
    fields_of,
    overviews,
    pages,
    said,
    seen,
    write_everything,
)
from dashtam_core.testing.samples import (
    AMOUNTS,
    ANN,
    BEN,
    EUR,
    NOON,
    TEXTS,
    account,
    add,
    annotate,
    annotation,
    balance,
    change,
    document,
    filler,
    full,
    full_account,
    full_row,
    have,
    holding,
    row,
    rows_of,
    texts_of,
    within,
)

FEW_OR_MANY = pytest.mark.parametrize("beside", [0, 2_000], ids=["small", "bulk"])
refused = partial(pytest.raises, Exception)
"""Each store has its own way to refuse."""
STATE = ("transaction_id", "index", "dedupe_key", "occurrence", "superseded_by", "removed_at", "waits_for")
SOME_DAY, BEFORE_FILLER = date(2026, 3, 2), date(2026, 3, 27)
VERBATIM = ("description", "payee", "memo", "provider_transaction_id", "reference", "end_to_end_id")
DAYS = ("posted_date", "value_date", "transaction_date")
INSTANTS = datetime(1, 1, 2, tzinfo=UTC), NOON, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
HARD: dict[str, list[dict[str, Any]]] = {
    "amounts": [
        {"amount": text, "exchange_rate": Decimal(text), "original_amount": Money(Decimal(text), Currency("ETH"))}
        for text in AMOUNTS
    ],
    "texts": [dict.fromkeys(VERBATIM, text) for text in TEXTS],
    "calendar": [{"posted_at": at, **dict.fromkeys(DAYS, at.date())} for at in INSTANTS],
}
"""Fields of rows, the earliest first."""
MANY_KEYS = {number.to_bytes(16) for number in range(70_000)}
"""As many as a very large file has."""


def state_of(row: model.KeyedTransaction | model.Transaction) -> list[Any]:
    return [getattr(row, name) for name in STATE]


async def bring(store: Store, to: Account, paper: model.ImportDocument, *rows: model.KeyedTransaction) -> None:
    """Adds a document of Ann's and the rows that are read from it."""
    async with store.unit_of_work(ANN) as unit:
        await unit.transactions.add(paper.document_id, {to.account_id: rows})
        assert await unit.documents.add(paper)


async def mark(store: Store, of: Account, *sent: model.KeyedTransaction, at: datetime = NOON) -> None:
    """Tells that of 2 to 4 March these rows of Ann's were sent, and many more."""
    keys = {(key, 1) for key in MANY_KEYS} | {(each.dedupe_key, each.occurrence) for each in sent}
    window = DateRange(SOME_DAY, date(2026, 3, 4))
    await within(store, ANN, lambda unit: unit.transactions.mark_missing(of.account_id, window, keys, at))


async def missing(store: Store, subject: Subject = ANN) -> dict[str | None, datetime]:
    """The texts of rows that are missing, and since when."""
    found = await rows_of(store, subject, hidden=True)
    return {each.description: each.missing_since for each in found if each.missing_since is not None}


async def report(store: Store, *balances: model.Balance) -> None:
    await within(store, ANN, lambda unit: unit.accounts.add_balances(balances))


async def hold(store: Store, *holdings: model.Holding) -> None:
    await within(store, ANN, lambda unit: unit.accounts.add_holdings(holdings))


async def held(store: Store, of: Account, subject: Subject = ANN) -> list[model.Holding]:
    return list(await within(store, subject, lambda unit: unit.accounts.list_holdings(of.account_id)))


async def keep(store: Store, paper: model.ImportDocument, content: bytes | None = None) -> bool:
    return await within(store, ANN, lambda unit: unit.documents.add(paper, content))


async def kept(store: Store, paper: model.ImportDocument, subject: Subject = ANN) -> list[Any]:
    """The document with this hash, the one with this id, and its content."""
    async with store.unit_of_work(subject) as unit:
        found = await unit.documents.find(paper.sha256), await unit.documents.get(paper.document_id)
        return [*found, await unit.documents.content(paper.document_id)]


async def shown(store: Store, of: Account, subject: Subject = ANN) -> list[model.Balance]:
    """The balances that an account is shown with, by kind."""
    found = await within(store, subject, lambda unit: unit.accounts.find_account(of.account_id))
    assert found is not None
    return sorted(found.balances, key=lambda each: each.kind)


async def take_in(store: Store, count: int, turn: int = 1, *, keep: bool = True) -> int:
    """Imports as many rows into two accounts, first the one or the other; answers how many were new."""
    async with store.unit_of_work(ANN) as unit:
        known = await unit.accounts.add_accounts([account("one"), account("two")][::turn])
        await asyncio.sleep(0)
        rows = {each.account_id: filler(count)[::turn] for each in known}
        added = await unit.transactions.add(None, rows)
        await unit.accounts.add_balances([balance(each, "1") for each in known])
        await unit.documents.add(document())
        if not keep:
            unit.discard()
    return sum(added.values())


class DataPromises(Conformance):
    """What a store does with accounts, transactions, balances and documents."""

    @pytest.fixture
    async def one(self, store: Store) -> Account:
        """An account of Ann's."""
        return (await have(store, ANN, account("one")))[0]

    @pytest.fixture
    async def two(self, store: Store, one: Account) -> Account:
        """Another one, added after the first."""
        return (await have(store, ANN, one, account("two")))[1]

    # -- the store and its units ---------------------------------------------------------------------------------

    async def test_capabilities_are_named(self, store: Store) -> None:
        """An open store answers a ping, and claims a frozen set of capabilities, transactions among them."""
        await store.ping()
        assert type(store.capabilities) is frozenset
        assert all(type(each) is Capability for each in store.capabilities)
        assert Capability.TRANSACTIONS in store.capabilities

    async def test_a_rolled_back_unit_leaves_what_was_there(self, store: Store, one: Account) -> None:
        """What it added to an account is gone, what the account had stays, and no key is reserved."""
        await add(store, ANN, one, row("stays"))
        (stays,), paper, had = (await rows_of(store, ANN), document(), balance(one, "1"))
        await report(store, had)
        await annotate(store, ANN, annotation(stays))
        await keep(store, paper, b"content")
        async with store.unit_of_work(ANN) as unit:
            await unit.transactions.add(None, {one.account_id: [row("gone")]})
            await unit.transactions.change([attrs.evolve(stays, dedupe_key=bytes(16), memo="gone")])
            await unit.transactions.annotate(annotation(stays, "gone"))
            await unit.transactions.mark_missing(one.account_id, DateRange(date.min, date.max), set(), NOON)
            await unit.accounts.add_balances([balance(one, "2", day=2)])
            await unit.documents.change(attrs.evolve(paper, filename="gone"))
            unit.discard()
        (found,) = await rows_of(store, ANN)
        assert fields_of(found) == fields_of(attrs.evolve(stays, annotation=annotation(stays)))
        assert await kept(store, paper) == [paper, paper, b"content"]
        assert await shown(store, one) == [had]
        assert await add(store, ANN, one, row("gone")) == 1

    async def test_no_unit_sees_half_of_another(self, store: Store) -> None:
        """A reader beside a writer sees all of what it wrote or nothing."""

        async def write() -> None:
            async with store.unit_of_work(ANN) as unit:
                await unit.accounts.add_accounts([account("a")])
                await asyncio.sleep(0)
                await unit.accounts.add_accounts([account("b")])

        found = await asyncio.gather(*(overviews(store, ANN) for _ in range(3)), write(), overviews(store, ANN))
        assert {len(each) for each in found if each is not None} <= {0, 2}
        assert len(await overviews(store, ANN)) == 2

    # -- accounts ------------------------------------------------------------------------------------------------

    async def test_every_field_of_an_account_comes_back(self, store: Store) -> None:
        """An account is read as it was added, whatever becomes of what was added or read."""
        whole, bare = (full_account(), account("bare", created_at=NOON + timedelta(microseconds=1)))
        expected = [fields_of(whole), fields_of(bare)]
        added = await have(store, ANN, whole, bare)
        assert list(map(fields_of, added)) == expected
        whole.name = added[0].name = "changed"
        listed = await overviews(store, ANN)
        assert [fields_of(each.account) for each in listed] == expected
        assert [each.balances for each in listed] == [(), ()]
        assert listed[0].account.created_at.utcoffset() == timedelta(0)

    async def test_an_account_is_found_by_its_key(self, store: Store, one: Account) -> None:
        """Known ones come back as they are stored, new ones are added once, and pages list all in that order."""
        new, other, again = (account("new"), account("one", provider="other"), account("new"))
        found = await have(store, ANN, new, account("one", name="not taken"), other, again)
        assert [each.account_id for each in found] == [each.account_id for each in (new, one, other, new)]
        assert await have(store, ANN) == []
        for limit in (1, 2, 3, 4):
            async with store.unit_of_work(ANN) as unit:
                listed = await pages(unit.accounts.list_accounts, limit)
            assert [each.account.name for each in listed] == ["account one", "account new", "account one"]

    # -- two people ----------------------------------------------------------------------------------------------

    async def test_people_are_apart(self, store: Store) -> None:
        """No read shows another person's account, transaction, balance or document."""
        await within(store, BEN, write_everything)
        (his,), (hers,) = (await have(store, BEN, account("one")), await have(store, ANN, account("one")))
        await add(store, BEN, his, row("due", day=3))
        paper = await within(store, BEN, lambda unit: unit.documents.find(document().sha256))
        assert paper is not None
        assert his.account_id != hers.account_id
        assert (await seen(store, ANN), await shown(store, hers)) == ([1, *NOTHING[1:]], [])
        async with store.unit_of_work(ANN) as unit:
            assert await unit.accounts.find_account(his.account_id) is None
            days = {"from_date": date.min, "to_date": date.max}
            assert list(await unit.accounts.list_balances(his.account_id, **days)) == []
        assert await kept(store, paper) == [None] * 3
        assert (await held(store, his), await texts_of(store, ANN, account_id=his.account_id)) == ([], [])
        await mark(store, his)
        assert await missing(store, BEN) == {}
        assert await seen(store, BEN) == [1, 3, *ALL[2:]]

    @pytest.mark.parametrize("whose", ["another's", "nobody's"])
    @pytest.mark.parametrize("what", ["row", "rows", "balance", "holding"])
    async def test_nothing_hangs_on_a_foreign_account(self, store: Store, whose: str, what: str) -> None:
        """A row, balance or holding for an account that is not the person's raises, and nothing is stored."""
        (his,), (hers,) = (await have(store, BEN, account("his")), await have(store, ANN, account("hers")))
        to = his if whose == "another's" else account("unknown")
        rows = {
            hers.account_id: [row("own")],
            to.account_id: [row("foreign"), *filler(2_000 if what == "rows" else 0)],
        }
        with refused():
            match what:
                case "balance":
                    await report(store, balance(hers, "1"), balance(to, "1"))
                case "holding":
                    await hold(store, holding(hers, "1"), holding(to, "1"))
                case _:
                    await within(store, ANN, lambda unit: unit.transactions.add(None, rows))
        for person, of in ((BEN, his), (ANN, hers)):
            found = (await texts_of(store, person), await held(store, of, person), await shown(store, of, person))
            assert found == ([], [], [])

    # -- transactions --------------------------------------------------------------------------------------------

    @FEW_OR_MANY
    async def test_every_field_of_a_transaction_comes_back(self, store: Store, one: Account, beside: int) -> None:
        """A transaction is read as its provider said it, with where it came from and what stands for it."""
        whole, paper = attrs.evolve(full_row(), index=7, occurrence=2), document()
        rows = [
            attrs.evolve(row("earlier", day=4), superseded_by=whole.transaction_id, waits_for="FITID-9"),
            whole,
            attrs.evolve(row("bare", day=2, description=None), index=8),
            attrs.evolve(row("gone"), removed_at=NOON),
        ]
        await bring(store, one, paper, *rows, *filler(beside))
        stored = await rows_of(store, ANN, to_date=BEFORE_FILLER, hidden=True)
        assert [said(each, model.TransactionData) for each in stored] == [fields_of(each.data) for each in rows]
        assert list(map(state_of, stored)) == list(map(state_of, rows))
        came_with = {(each.account_id, each.document_id, each.missing_since, each.annotation) for each in stored}
        assert came_with == {(one.account_id, paper.document_id, None, None)}
        assert str(stored[1].posted_at).endswith("+00:00")

    @FEW_OR_MANY
    @pytest.mark.parametrize("hard", HARD)
    async def test_rows_that_are_hard_to_keep_come_back(self, store: Store, hard: str, beside: int) -> None:
        """Every digit of 38, character and escape, day and instant of the years 1 to 9999 is as it was said."""
        (one,) = await have(store, ANN, account("one"))
        rows = [row(f"{place}", **fields) for place, fields in enumerate(HARD[hard])]
        assert await add(store, ANN, one, *rows, *filler(beside)) == len(rows) + beside
        stored = [each for each in await rows_of(store, ANN) if not str(each.description).startswith("filler")]
        found = [said(each, model.TransactionData) for each in reversed(stored)]
        assert found == [fields_of(each.data) for each in rows]

    @FEW_OR_MANY
    @pytest.mark.parametrize("odd", ["\x00", "\ud800"], ids=["NUL", "surrogate"])
    async def test_odd_characters_cost_no_row(self, store: Store, one: Account, odd: str, beside: int) -> None:
        """A character that a database cannot hold is kept, replaced or left out; the row and its rest stay."""
        text = f"be{odd}fore"
        odd_row = row("odd", description=text, payee=text, memo=text, category=text)
        assert await add(store, ANN, one, odd_row, *filler(beside)) == beside + 1
        await annotate(store, ANN, annotation(odd_row, text))
        await hold(store, holding(one, "1", security=model.SecurityData(name=text)))
        (has,) = await held(store, one)
        (stored,) = await rows_of(store, ANN, to_date=BEFORE_FILLER)
        assert stored.annotation is not None
        texts = {stored.description, stored.payee, stored.memo, stored.category, stored.annotation.note}
        assert texts | {has.security.name} <= {text, "before", "be\ufffdfore", "be?fore"}

    @FEW_OR_MANY
    async def test_twins_survive_and_overlaps_add_nothing(self, store: Store, one: Account, beside: int) -> None:
        """A key is known by its occurrence: what is there is skipped, an earlier or later twin is added."""
        first, *twins = (row("twin", occurrence=number) for number in (2, 1, 3))
        assert await add(store, ANN, one, first, row("other")) == 2
        assert await add(store, ANN, one, row("twin", occurrence=2), *twins, *filler(beside)) == 2 + beside
        assert await add(store, ANN, one, row("twin", occurrence=2), *twins, *filler(beside)) == 0
        stored = await rows_of(store, ANN, to_date=BEFORE_FILLER)
        assert [each.description for each in stored] == ["other", "twin", "twin", "twin"]
        assert {each.transaction_id for each in stored} >= {each.transaction_id for each in (first, *twins)}

    @pytest.mark.parametrize("count", [1, 3, 499, 500, 501, 2_000])
    async def test_any_number_of_rows_is_added(self, store: Store, one: Account, two: Account, count: int) -> None:
        """However many rows come for however many accounts, each is stored, counted, and not added again."""
        (three,) = await have(store, ANN, account("three"))
        assert await add(store, ANN, one, *filler(count)) == count
        async with store.unit_of_work(ANN) as unit:
            rows = {two: filler(count), one: [*reversed(filler(count)), row("new")], three: []}
            added = await unit.transactions.add(None, {of.account_id: some for of, some in rows.items()})
            assert dict(added) == {one.account_id: 1, two.account_id: count, three.account_id: 0}
            assert dict(await unit.transactions.add(None, {})) == {}
        expected = sorted(f"filler {number}" for number in range(count))
        for of, more in ((one, ["new"]), (two, [])):
            found = await texts_of(store, ANN, account_id=of.account_id)
            assert sorted(map(str, found)) == expected + more

    async def test_transactions_are_found_by_what_they_are(self, store: Store, one: Account, two: Account) -> None:
        """Filters combine, both days count, who asks finds what is hidden; the latest first, pages of any size."""
        paper, a = document(), row("a", 1, provider_transaction_id="1")
        posted, pending = model.TransactionStatus.POSTED, model.TransactionStatus.PENDING
        e = row("e", 5, provider_transaction_id="2", status=pending)
        rows = [
            a,
            row("b", 2, provider_transaction_id="2", status=pending),
            attrs.evolve(row("c", 3, provider_transaction_id="1"), waits_for="9"),
            attrs.evolve(row("d", 4, status=model.TransactionStatus.VOID), removed_at=NOON, waits_for="8"),
            attrs.evolve(e, superseded_by=a.transaction_id),
        ]
        x, y, z = row("x", 2), row("y", 3), row("z", 2)
        await add(store, ANN, two, z, y, x)
        await add(store, ANN, one, *rows)
        await bring(store, one, paper, row("f", 6))
        second, third = date(2026, 3, 2), date(2026, 3, 3)
        expected: list[tuple[str, str, dict[str, Any]]] = [
            ("fyczxba", "fedyczxba", {}),
            ("fcba", "fedcba", {"account_id": one.account_id}),
            ("fyczxb", "fedyczxb", {"from_date": second}),
            ("zxba", "zxba", {"to_date": second}),
            ("yczxb", "yczxb", {"from_date": second, "to_date": third}),
            ("yc", "yc", {"from_date": third, "to_date": third}),
            ("cb", "cb", {"account_id": one.account_id, "from_date": second, "to_date": third}),
            ("zx", "zx", {"account_id": two.account_id, "to_date": second}),
            ("fyczxa", "fyczxa", {"status": posted}),
            ("b", "eb", {"status": pending}),
            ("cb", "dcb", {"waiting": True}),
            ("a", "ea", {"transaction_ids": [a.transaction_id, e.transaction_id]}),
            ("a", "ea", {"keys": {a.dedupe_key, e.dedupe_key} | MANY_KEYS}),
            ("ca", "ca", {"provider_ids": ["1", "3"]}),
            ("b", "eb", {"provider_ids": {"2", "it's"}}),
            ("f", "f", {"document_id": paper.document_id}),
            ("a", "a", {"provider_ids": ["1"], "to_date": second, "account_id": one.account_id}),
            ("c", "c", {"provider_ids": ["1"], "waiting": True, "status": posted}),
            ("", "", {"account_id": account("unknown").account_id}),
            ("", "", {"document_id": document().document_id}),
            ("", "", {"from_date": date(2026, 3, 7)}),
            *(("", "", {sought: []}) for sought in ("transaction_ids", "keys", "provider_ids")),
        ]
        for texts, all_texts, wanted in expected:
            assert await texts_of(store, ANN, **wanted) == list(texts)
            assert await texts_of(store, BEN, **wanted, hidden=True) == []
            for limit in (1, 2, 3, 8):
                sought = model.TransactionFilter(**wanted, hidden=True)
                async with store.unit_of_work(ANN) as unit:
                    found = await pages(partial(unit.transactions.find, sought), limit)
                assert [each.description for each in found] == list(all_texts)

    # -- what becomes of transactions ----------------------------------------------------------------------------

    @FEW_OR_MANY
    async def test_a_change_replaces_all_that_was_said(self, store: Store, one: Account, beside: int) -> None:
        """Every field is as the change has it, also unknown again; what the person said of the row stays."""
        await add(store, ANN, one, row("bare"), *filler(beside))
        *others, bare = await rows_of(store, ANN)
        mine, paper = annotation(bare), document()
        await annotate(store, ANN, mine)
        said_of = fields_of(full_row().data) | {"document_id": paper.document_id, "index": 7, "occurrence": 2}
        whole = attrs.evolve(bare, **said_of, dedupe_key=bytes(16), missing_since=NOON, waits_for="FITID-9")
        await bring(store, one, paper)
        await change(store, ANN, *(attrs.evolve(each, memo="new") for each in others), whole)
        await change(store, ANN)
        hidden = attrs.evolve(bare, removed_at=NOON, superseded_by=bare.transaction_id)
        for expected in (whole, hidden, bare):
            await change(store, ANN, expected)
            (found,) = await rows_of(store, ANN, to_date=BEFORE_FILLER, hidden=True)
            assert fields_of(found) == fields_of(attrs.evolve(expected, annotation=mine))
        assert {each.memo for each in await rows_of(store, ANN, from_date=BEFORE_FILLER)} <= {"new"}

    @pytest.mark.parametrize("whose", ["another's", "another's as one's own", "nobody's"])
    async def test_a_row_that_is_not_there_is_not_changed(self, store: Store, whose: str) -> None:
        """To change or annotate a row of another person, or of nobody, raises, and nothing of the call is kept."""
        (his,), (hers,) = (await have(store, BEN, account("one")), await have(store, ANN, account("one")))
        await add(store, BEN, his, row("his"))
        await add(store, ANN, hers, row("hers"))
        (own,), (foreign,) = await rows_of(store, ANN), await rows_of(store, BEN)
        told = {
            "another's": foreign,
            "another's as one's own": attrs.evolve(foreign, account_id=hers.account_id),
            "nobody's": attrs.evolve(own, transaction_id=row("").transaction_id, dedupe_key=bytes(16)),
        }[whose]
        with pytest.raises(LookupError):
            await change(store, ANN, attrs.evolve(own, memo="new"), attrs.evolve(told, memo="new"))
        with pytest.raises(LookupError):
            await annotate(store, ANN, annotation(own), annotation(told))
        found = [*await rows_of(store, ANN), *await rows_of(store, BEN)]
        assert list(map(fields_of, found)) == list(map(fields_of, (own, foreign)))

    async def test_a_change_frees_the_key_that_the_row_had(self, store: Store, one: Account) -> None:
        """A row is known by what it is now: its old key is another's to take, its new one is taken."""
        await add(store, ANN, one, row("a"), row("b"))
        b, a = await rows_of(store, ANN)
        await change(store, ANN, attrs.evolve(a, dedupe_key=bytes(16), occurrence=3))
        assert await add(store, ANN, one, attrs.evolve(row("c"), dedupe_key=bytes(16), occurrence=3)) == 0
        assert await add(store, ANN, one, row("a")) == 1
        with refused():
            await change(store, ANN, attrs.evolve(b, dedupe_key=a.dedupe_key))
        assert await texts_of(store, ANN) == ["a", "b", "a"]

    async def test_what_a_statement_is_without_is_marked(self, store: Store, one: Account, two: Account) -> None:
        """Posted, unhidden rows of an account's days that were not sent are missing since then, until they are."""
        sent, c = row("sent", 2), row("c", 4)
        twin = attrs.evolve(row("twin", 2), dedupe_key=sent.dedupe_key, occurrence=2)
        others = [
            *(row("before", 1), row("after", 5), row("pending", 3, status=model.TransactionStatus.PENDING)),
            attrs.evolve(row("gone", 3), removed_at=NOON),
            attrs.evolve(row("old", 3), superseded_by=sent.transaction_id),
        ]
        await add(store, ANN, one, sent, twin, c, *others)
        await add(store, ANN, two, row("other", 3))
        await annotate(store, ANN, annotation(c))
        await mark(store, one, sent)
        assert await missing(store) == {"twin": NOON, "c": NOON}
        later = NOON + timedelta(days=1)
        await mark(store, one, c, at=later)
        assert await missing(store) == {"twin": NOON, "sent": later}
        assert (await rows_of(store, ANN, transaction_ids=[c.transaction_id]))[0].annotation == annotation(c)

    async def test_what_a_person_says_of_a_row_is_shown_with_it(self, store: Store, one: Account) -> None:
        """What is said replaces what was said before, and is taken away by saying nothing; an import keeps it."""
        coffee = row("coffee")
        await add(store, ANN, one, coffee, row("tea"))
        splits = (full(model.Split), model.Split(amount=Money(Decimal(0), EUR)))
        id_ = coffee.transaction_id
        whole = full(model.Annotation, transaction_id=id_, tags=("b", "a", "b", TEXTS[4]), splits=splits)
        nothing = model.Annotation(transaction_id=id_)
        for annotated in (whole, annotation(coffee), nothing, nothing, whole):
            await annotate(store, ANN, annotated)
            assert await add(store, ANN, one, row("coffee")) == 0
            shown_with = {each.description: each.annotation for each in await rows_of(store, ANN)}
            assert shown_with == {"coffee": None if annotated is nothing else annotated, "tea": None}

    # -- balances ------------------------------------------------------------------------------------------------

    async def test_the_latest_balance_of_each_kind_is_shown(self, store: Store, one: Account) -> None:
        """The later day wins, then the later instant (none is first), then the last to come that is news."""
        times = [(5, None), (4, 23), (5, None), (5, 9), (5, None), (5, 8), (5, 9), (6, None)]
        told = [balance(one, f"{place}", day, hour) for place, (day, hour) in enumerate(times)]
        available = balance(one, "99", day=1, kind=model.BalanceKind.AVAILABLE)
        for added, latest in zip(told, (0, 0, 2, 3, 3, 3, 6, 7), strict=True):
            await report(store, added, available)
            assert await shown(store, one) == [available, told[latest]]
        equal = [balance(one, amount, day=7) for amount in ("3", "1", "2")]
        for more in (equal, [equal[0]] * 2, [balance(one, "1.00", day=7)]):
            await report(store, *more)
            assert await shown(store, one) == [available, equal[-1]]

    async def test_balances_are_the_history_of_an_account(self, store: Store, one: Account, two: Account) -> None:
        """Each is there as it was told, by day, kind, instant (none first) and arrival; both ends are included."""
        available = model.BalanceKind.AVAILABLE
        told = [
            balance(one, "1", day=1),
            balance(one, "2", day=2, kind=available, hour=9),
            balance(one, "4", day=2),
            balance(one, "3", day=2, origin=model.BalanceOrigin.COMPUTED),
            balance(one, "5", day=2, hour=8),
            balance(one, AMOUNTS[5], day=2, hour=9),
            balance(one, "7", day=3, kind=available),
            full(model.Balance, account_id=one.account_id, as_of=date(2026, 3, 4)),
        ]
        await report(store, *told[:4:-1], told[2], balance(two, "9", day=2))
        await report(store, *told[:2], told[4], told[3])
        await report(store)
        assert await shown(store, one) == [told[7], told[5]]
        async with store.unit_of_work(ANN) as unit:
            for first, last in ((1, 3), (2, 2), (2, 3), (3, 1), (4, 9)):
                days = {"from_date": date(2026, 3, first), "to_date": date(2026, 3, last)}
                expected = [each for each in told if first <= each.as_of.day <= last]
                assert list(await unit.accounts.list_balances(one.account_id, **days)) == expected

    async def test_an_account_holds_what_it_did_on_its_latest_day(self, store: Store) -> None:
        """Every field comes back, in the order of arrival; of a security on a day the first one stays."""
        one, two = await have(store, ANN, account("one"), account("two"))
        whole = full(model.Holding, account_id=one.account_id, as_of=SOME_DAY)
        bare, other = holding(one, "0", day=2, security=model.SecurityData()), holding(two, "7")
        await hold(store, holding(one, "1", day=1))
        await hold(store, bare, other, whole)
        await hold(store, holding(one, "9", day=2), holding(one, "8", day=1))
        assert (await held(store, one), await held(store, two)) == ([bare, whole], [other])

    # -- documents -----------------------------------------------------------------------------------------------

    async def test_every_field_of_a_document_comes_back(self, store: Store, one: Account, two: Account) -> None:
        """A document is read with its counts and warnings in their order, by id and by hash."""
        whole = full(
            model.ImportDocument,
            sha256=document("a").sha256,
            filename=TEXTS[0],
            accounts=(
                full(model.AccountImport, account_id=two.account_id),
                model.AccountImport(one.account_id, 2, 0),
            ),
            warnings=(
                model.ReadingWarning("date_unreadable", "line 9", "31.02."),
                model.ReadingWarning("amount_unreadable", "", None),
                model.ReadingWarning("text_odd", "line 1", TEXTS[2] + TEXTS[4]),
            ),
        )
        for paper in (whole, document("b", filename=None)):
            assert await keep(store, paper)
            assert await kept(store, paper) == [paper, paper, None]
        assert await kept(store, document("c")) == [None] * 3

    async def test_a_document_is_kept_once(self, store: Store) -> None:
        """A person's second document with the same hash is refused, the first stays; others have theirs."""
        first, again = document(), document(filename="other.ofx")
        async with store.unit_of_work(ANN) as unit:
            assert await unit.documents.add(first, b"first") is True
            assert await unit.documents.add(again, b"again") is False
        assert await keep(store, again, b"again") is False
        assert await kept(store, again) == [first, None, None]
        assert await within(store, BEN, lambda unit: unit.documents.add(again)) is True
        assert await kept(store, again, BEN) == [again, again, None]
        assert await kept(store, first) == [first, first, b"first"]

    async def test_what_is_said_of_a_document_changes_and_its_content_stays(self, store: Store) -> None:
        """Content comes back byte by byte, and nobody else changes what is said of it."""
        one, content = document("1"), bytes(range(256)) * 1_000
        assert await keep(store, one, content)
        warned = (model.ReadingWarning("odd", "line 1"),)
        changed = attrs.evolve(
            one, filename=None, parser="suite 2", imported_at=NOON.replace(day=2), warnings=warned
        )
        await within(store, ANN, lambda unit: unit.documents.change(changed))
        with suppress(Exception):
            await within(store, BEN, lambda unit: unit.documents.change(one))
        assert await kept(store, one) == [changed, changed, content]

    # -- at once -------------------------------------------------------------------------------------------------

    async def test_accounts_added_at_once_in_any_order_are_added_once(self, store: Store) -> None:
        """Many accounts, in opposite orders at once, block nobody and are there once."""
        keys = [f"{number:04}" for number in range(1_600)]
        some, others = ([account(key) for key in keys] for _ in range(2))
        await asyncio.gather(have(store, ANN, *some), have(store, ANN, *reversed(others)))
        assert len(await overviews(store, ANN)) == len(keys)

    async def test_rows_of_known_accounts_at_once_block_nobody(self, store: Store, one: Account) -> None:
        """Imports that overlap, in opposite orders at once, never wait for each other in a circle."""
        for turn in range(5):
            rows = [row(f"{turn} {number}") for number in range(4_000)]
            overlapping = rows[:3_000], rows[:1_000:-1]
            added = await asyncio.gather(*(add(store, ANN, one, *some) for some in overlapping))
            assert sum(added) == len(rows)

    @pytest.mark.parametrize("count", [40, 1_000], ids=["small", "bulk"])
    @pytest.mark.parametrize("units", [2, 8])
    async def test_imports_at_once_add_each_row_once(self, store: Store, count: int, units: int) -> None:
        """Overlapping rows of the same accounts, in opposite orders at once, are stored once and block nobody."""
        turns = [1, -1] * (units // 2)
        added = await asyncio.gather(*(take_in(store, count, turn) for turn in turns))
        assert sum(added) == 2 * count
        expected = sorted(2 * [f"filler {number}" for number in range(count)])
        assert sorted(map(str, await texts_of(store, ANN))) == expected
        assert len(await overviews(store, ANN)) == 2

    async def test_who_gives_up_stands_in_nobodys_way(self, store: Store) -> None:
        """A unit that is rolled back beside another leaves the same keys to it."""
        added = await asyncio.gather(*(take_in(store, 2, keep=keep) for keep in (False, True, False)))
        assert added[1] == 4
        assert (await seen(store, ANN))[:3] == [2, 4, 1]

    @pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
    async def test_imports_into_an_account_follow_one_another(self, store: Store, *, known: bool) -> None:
        """Who adds or finds an account that another unit did waits until that one ends, and sees what it left."""
        asked = asyncio.Event()

        async def second() -> list[str | None]:
            asked.set()
            async with store.unit_of_work(ANN) as unit:
                (found,) = await unit.accounts.add_accounts([account("one")])
                rows = await unit.transactions.find(model.TransactionFilter(account_id=found.account_id))
                return [each.description for each in rows]

        if known:
            await have(store, ANN, account("one"))
        async with store.unit_of_work(ANN) as unit:
            (one,) = await unit.accounts.add_accounts([account("one")])
            task = asyncio.create_task(second())
            await asked.wait()
            for _ in range(50):
                await unit.transactions.find(model.TransactionFilter())
                assert not task.done()
            await unit.transactions.add(None, {one.account_id: [row("coffee")]})
        assert await asyncio.wait_for(task, PATIENCE) == ["coffee"]

    async def test_one_document_at_once_is_kept_once(self, store: Store) -> None:
        """Of many who add the same document one succeeds, and all others then see it."""

        async def take_in() -> bool:
            mine = document()
            async with store.unit_of_work(ANN) as unit:
                added = await unit.documents.add(mine)
                found = await unit.documents.find(mine.sha256)
            assert found is not None
            assert (found.document_id == mine.document_id) is added
            return added

        assert sum(await asyncio.gather(*(take_in() for _ in range(8)))) == 1
