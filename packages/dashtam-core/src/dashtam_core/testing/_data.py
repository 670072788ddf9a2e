"""What every store does with accounts, transactions, balances, documents and tokens."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import pytest

from dashtam_core import accounts as model
from dashtam_core.kernel import ANONYMOUS, Currency, DateRange, Money, Subject
from dashtam_core.store import Capability, Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import (
    PATIENCE,
    fields_of,
    names_of,
    overviews,
    pages,
    said,
    seen,
    within,
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
    token,
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


async def mark(store: Store, of: model.Account, *sent: model.KeyedTransaction, at: datetime = NOON) -> None:
    """Tells that of 2 to 4 March these rows of Ann's were sent, and many more."""
    keys = {(key, 1) for key in MANY_KEYS} | {(each.dedupe_key, each.occurrence) for each in sent}
    window = DateRange(SOME_DAY, date(2026, 3, 4))
    await within(store, ANN, lambda unit: unit.transactions.mark_missing(of.account_id, window, keys, at))


async def missing(store: Store, subject: Subject = ANN) -> dict[str | None, datetime]:
    """The texts of rows that are missing, and since when."""
    found = await rows_of(store, subject, hidden=True)
    return {each.description: each.missing_since for each in found if each.missing_since is not None}


async def report(store: Store, *balances: model.Balance) -> None:
    """Adds balances of Ann's in a unit of their own."""
    await within(store, ANN, lambda unit: unit.accounts.add_balances(balances))


async def hold(store: Store, *holdings: model.Holding, subject: Subject = ANN) -> None:
    """Adds holdings in a unit of their own."""
    await within(store, subject, lambda unit: unit.accounts.add_holdings(holdings))


async def held(store: Store, of: model.Account, subject: Subject = ANN) -> list[model.Holding]:
    return list(await within(store, subject, lambda unit: unit.accounts.list_holdings(of.account_id)))


async def keep(store: Store, paper: model.ImportDocument, content: bytes | None = None) -> bool:
    """Adds a document of Ann's in a unit of its own."""
    return await within(store, ANN, lambda unit: unit.documents.add(paper, content))


async def kept(store: Store, paper: model.ImportDocument, subject: Subject = ANN) -> list[Any]:
    """The document with this hash, the one with this id, and its content."""
    async with store.unit_of_work(subject) as unit:
        found = await unit.documents.find(paper.sha256), await unit.documents.get(paper.document_id)
        return [*found, await unit.documents.content(paper.document_id)]


async def balances_of(store: Store, subject: Subject, of: model.Account) -> dict[model.BalanceKind, model.Balance]:
    found = await within(store, subject, lambda unit: unit.accounts.find_account(of.account_id))
    assert found is not None
    kinds = {each.kind: each for each in found.balances}
    assert len(kinds) == len(found.balances), "one balance of each kind"
    return kinds


async def shown(store: Store, of: model.Account) -> dict[model.BalanceKind, Decimal]:
    """The amounts of Ann's balances."""
    return {kind: each.amount.amount for kind, each in (await balances_of(store, ANN, of)).items()}


class DataPromises(Conformance):
    """What a store does with accounts, transactions, balances, documents and tokens."""

    # -- the store and its units ---------------------------------------------------------------------------------

    async def test_capabilities_are_named(self, store: Store) -> None:
        """An open store answers a ping, and claims a frozen set of capabilities, transactions among them."""
        await store.ping()
        assert type(store.capabilities) is frozenset
        assert all(type(each) is Capability for each in store.capabilities)
        assert Capability.TRANSACTIONS in store.capabilities

    async def test_a_rolled_back_unit_leaves_what_was_there(self, store: Store) -> None:
        """What it added to an account is gone, what the account had stays, and no key is reserved."""
        (one,) = await have(store, ANN, account("one"))
        await add(store, ANN, one, row("stays"))
        await report(store, balance(one, "1"))
        (stays,), paper = await rows_of(store, ANN), document()
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
        found = await rows_of(store, ANN)
        assert list(map(fields_of, found)) == [fields_of(attrs.evolve(stays, annotation=annotation(stays)))]
        assert await kept(store, paper) == [paper, paper, b"content"]
        assert await shown(store, one) == {model.BalanceKind.LEDGER: Decimal(1)}
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
        """An account is read as it was added."""
        whole = full_account()
        bare = account("bare", created_at=NOON + timedelta(microseconds=1))
        added = await have(store, ANN, whole, bare)
        assert [fields_of(each) for each in added] == [fields_of(whole), fields_of(bare)]
        listed = await overviews(store, ANN)
        assert [fields_of(each.account) for each in listed] == [fields_of(whole), fields_of(bare)]
        assert [each.balances for each in listed] == [(), ()]
        assert listed[0].account.created_at.utcoffset() == timedelta(0)

    async def test_an_account_is_found_by_its_key(self, store: Store) -> None:
        """Known ones come back as they are stored, new ones are added once, each at its place and provider."""
        (one,) = await have(store, ANN, account("one", name="kept"))
        new, other, again = account("new"), account("one", provider="other"), account("new")
        found = await have(store, ANN, new, account("one", name="not taken"), other, again)
        expected = [new.account_id, one.account_id, other.account_id, new.account_id]
        assert [each.account_id for each in found] == expected
        assert await names_of(store, ANN) == ["kept", "account new", "account one"]
        assert await have(store, ANN) == []

    async def test_accounts_are_listed_in_pages_as_they_were_added(self, store: Store) -> None:
        """Pages of any size give each account once, the first added first."""
        for name in "abcde":
            await have(store, ANN, account(name))
        for limit in (1, 2, 5, 6):
            async with store.unit_of_work(ANN) as unit:
                listed = await pages(unit.accounts.list_accounts, limit)
            assert [each.account.name for each in listed] == [f"account {name}" for name in "abcde"]

    async def test_changing_an_answer_changes_nothing_stored(self, store: Store) -> None:
        """An entity that was added or read is the caller's own: only the store's methods write."""
        mine = account("one")
        (added,) = await have(store, ANN, mine)
        mine.name = added.name = "changed"
        assert await names_of(store, ANN) == ["account one"]

    # -- two people ----------------------------------------------------------------------------------------------

    async def test_people_are_apart(self, store: Store) -> None:
        """No read shows another person's account, transaction, balance or document."""
        (his,) = await have(store, BEN, account("same"))
        (hers,) = await have(store, ANN, account("same"))
        paper, days = document(), {"from_date": date.min, "to_date": date.max}
        await add(store, BEN, his, row("his"))
        await hold(store, holding(his, "1"), subject=BEN)
        async with store.unit_of_work(BEN) as unit:
            await unit.accounts.add_balances([balance(his, "1")])
            assert await unit.documents.add(paper, b"content")
        assert his.account_id != hers.account_id
        listed = [(each.account.account_id, each.balances) for each in await overviews(store, ANN)]
        assert listed == [(hers.account_id, ())]
        async with store.unit_of_work(ANN) as unit:
            assert await unit.accounts.find_account(his.account_id) is None
            assert list(await unit.accounts.list_balances(his.account_id, **days)) == []
        assert await kept(store, paper) == [None] * 3
        assert (await held(store, his), await texts_of(store, ANN)) == ([], [])
        assert await texts_of(store, ANN, account_id=his.account_id) == []
        await mark(store, his)
        assert await missing(store, BEN) == {}
        assert await texts_of(store, BEN) == ["his"]

    @pytest.mark.parametrize("whose", ["another's", "nobody's"])
    @pytest.mark.parametrize("what", ["row", "rows", "balance", "holding"])
    async def test_nothing_hangs_on_a_foreign_account(self, store: Store, whose: str, what: str) -> None:
        """A row, balance or holding for an account that is not the person's raises, and nothing is stored."""
        (his,), (hers,) = await have(store, BEN, account("his")), await have(store, ANN, account("hers"))
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
            assert (await texts_of(store, person), await held(store, of, person)) == ([], [])
            assert await balances_of(store, person, of) == {}

    async def test_a_token_of_another_person_is_refused(self, store: Store) -> None:
        """Nobody makes a token that acts as somebody else."""
        forged = token(BEN)
        with refused():
            await within(store, ANN, lambda unit: unit.tokens.add(forged))
        assert await within(store, ANONYMOUS, lambda unit: unit.tokens.find(forged.token_hash)) is None

    # -- transactions --------------------------------------------------------------------------------------------

    @FEW_OR_MANY
    async def test_every_field_of_a_transaction_comes_back(self, store: Store, beside: int) -> None:
        """A transaction is read as its provider said it, with where it came from and what stands for it."""
        (one,) = await have(store, ANN, account("one"))
        whole = attrs.evolve(full_row(), index=7, occurrence=2)
        rows = [
            attrs.evolve(row("earlier", day=4), superseded_by=whole.transaction_id, waits_for="FITID-9"),
            whole,
            attrs.evolve(row("bare", day=2, description=None), index=8),
            attrs.evolve(row("gone"), removed_at=NOON),
        ]
        paper = document()
        async with store.unit_of_work(ANN) as unit:
            await unit.transactions.add(paper.document_id, {one.account_id: [*rows, *filler(beside)]})
            assert await unit.documents.add(paper)
        stored = await rows_of(store, ANN, to_date=BEFORE_FILLER, hidden=True)
        assert [said(each, model.TransactionData) for each in stored] == [fields_of(each.data) for each in rows]
        assert list(map(state_of, stored)) == list(map(state_of, rows))
        assert {(each.account_id, each.document_id) for each in stored} == {(one.account_id, paper.document_id)}
        assert {(each.missing_since, each.annotation) for each in stored} == {(None, None)}
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
    async def test_odd_characters_do_not_cost_a_row(self, store: Store, odd: str, beside: int) -> None:
        """A character that a database cannot hold is kept, replaced or left out; the row and its rest stay."""
        (one,) = await have(store, ANN, account("one"))
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
    async def test_twins_survive_and_overlaps_add_nothing(self, store: Store, beside: int) -> None:
        """A key is known by its occurrence: what is there is skipped, an earlier or later twin is added."""
        (one,) = await have(store, ANN, account("one"))
        first, *twins = (row("twin", occurrence=number) for number in (2, 1, 3))
        assert await add(store, ANN, one, first, row("other")) == 2
        assert await add(store, ANN, one, row("twin", occurrence=2), *twins, *filler(beside)) == 2 + beside
        assert await add(store, ANN, one, row("twin", occurrence=2), *twins, *filler(beside)) == 0
        stored = await rows_of(store, ANN, to_date=BEFORE_FILLER)
        assert [each.description for each in stored] == ["other", "twin", "twin", "twin"]
        assert {each.transaction_id for each in stored} >= {each.transaction_id for each in (first, *twins)}

    async def test_rows_are_counted_for_each_account(self, store: Store) -> None:
        """One call may serve several accounts; the same key in two of them is two rows."""
        one, two, three = await have(store, ANN, account("one"), account("two"), account("three"))
        await add(store, ANN, one, row("known"))
        async with store.unit_of_work(ANN) as unit:
            rows = {each.account_id: [row("known"), row("new")] for each in (two, one)}
            counts = await unit.transactions.add(None, {**rows, three.account_id: []})
            assert dict(counts) == {one.account_id: 1, two.account_id: 2, three.account_id: 0}
            assert dict(await unit.transactions.add(None, {})) == {}
        assert sorted(map(str, await texts_of(store, ANN, account_id=two.account_id))) == ["known", "new"]

    @pytest.mark.parametrize("count", [1, 3, 499, 500, 501, 2_000])
    async def test_any_number_of_rows_is_added_once(self, store: Store, count: int) -> None:
        """However many rows come in a call, each is stored, and none a second time."""
        one, two = await have(store, ANN, account("one"), account("two"))
        assert await add(store, ANN, one, *filler(count)) == count
        assert await add(store, ANN, one, *reversed(filler(count)), row("new")) == 1
        assert await add(store, ANN, two, *filler(count)) == count
        expected = sorted([*(f"filler {number}" for number in range(count)), "new"])
        assert sorted(map(str, await texts_of(store, ANN, account_id=one.account_id))) == expected

    async def test_transactions_are_listed_latest_first(self, store: Store) -> None:
        """Order is by day, then by id, the latest first; pages lose and repeat nothing, also among ties."""
        one, two = await have(store, ANN, account("one"), account("two"))
        days = {"a": 5, "b": 9, "c": 5, "d": 1, "e": 5, "f": 9, "g": 5}
        rows = {text: row(text, day) for text, day in days.items()}
        await add(store, ANN, two, *(rows[text] for text in "gcae"))
        await add(store, ANN, one, *(rows[text] for text in "dbf"))
        for limit in (1, 2, 3, 6, 7, 8):
            async with store.unit_of_work(ANN) as unit:
                listed = await pages(partial(unit.transactions.find, model.TransactionFilter()), limit)
            assert [each.description for each in listed] == list("fbgecad")

    async def test_transactions_are_filtered_by_account_and_days(self, store: Store) -> None:
        """Filters combine, days are included at both ends, and a page may begin anywhere."""
        one, two = await have(store, ANN, account("one"), account("two"))
        await add(store, ANN, one, row("a", 1), row("b", 2), row("c", 3), row("d", 4))
        await add(store, ANN, two, row("x", 2), row("y", 3))
        second, third = date(2026, 3, 2), date(2026, 3, 3)
        expected: list[tuple[str, dict[str, Any]]] = [
            ("dycxba", {}),
            ("dcba", {"account_id": one.account_id}),
            ("dycxb", {"from_date": second}),
            ("xba", {"to_date": second}),
            ("ycxb", {"from_date": second, "to_date": third}),
            ("yc", {"from_date": third, "to_date": third}),
            ("cb", {"account_id": one.account_id, "from_date": second, "to_date": third}),
            ("x", {"account_id": two.account_id, "to_date": second}),
            ("", {"account_id": account("unknown").account_id}),
            ("", {"from_date": date(2026, 3, 5)}),
        ]
        for texts, wanted in expected:
            assert await texts_of(store, ANN, **wanted) == list(texts)
        last = (await rows_of(store, ANN, account_id=one.account_id))[1]
        beyond = model.TransactionFilter(account_id=one.account_id, from_date=second)
        async with store.unit_of_work(ANN) as unit:
            rest = await unit.transactions.find(beyond, after=(last.posted_date, last.transaction_id), limit=9)
        assert [each.description for each in rest] == ["b"]

    async def test_transactions_are_found_by_what_they_are(self, store: Store) -> None:
        """What counts no more is found by who asks for it; and nothing is found where nothing is sought."""
        (one,), paper = await have(store, ANN, account("one")), document()
        pending, void = model.TransactionStatus.PENDING, model.TransactionStatus.VOID
        a = row("a", 1, provider_transaction_id="1")
        rows = [
            a,
            row("b", 2, provider_transaction_id="2", status=pending),
            attrs.evolve(row("c", 3, provider_transaction_id="1"), waits_for="9"),
            attrs.evolve(row("d", 4, status=void), removed_at=NOON, waits_for="8"),
            e := attrs.evolve(
                row("e", 5, provider_transaction_id="2", status=pending), superseded_by=a.transaction_id
            ),
        ]
        await add(store, ANN, one, *rows)
        async with store.unit_of_work(ANN) as unit:
            await unit.transactions.add(paper.document_id, {one.account_id: [row("f", 6)]})
            assert await unit.documents.add(paper)
        expected: list[tuple[str, str, dict[str, Any]]] = [
            ("fcba", "fedcba", {}),
            ("fca", "fca", {"status": model.TransactionStatus.POSTED}),
            ("b", "eb", {"status": pending}),
            ("cb", "dcb", {"waiting": True}),
            ("a", "ea", {"transaction_ids": [a.transaction_id, e.transaction_id]}),
            ("a", "ea", {"keys": {a.dedupe_key, e.dedupe_key} | MANY_KEYS}),
            ("ca", "ca", {"provider_ids": ["1", "3"]}),
            ("b", "eb", {"provider_ids": {"2", "it's"}}),
            ("f", "f", {"document_id": paper.document_id}),
            ("", "", {"document_id": document().document_id}),
            ("", "", {"transaction_ids": []}),
            ("", "", {"keys": []}),
            ("", "", {"provider_ids": ()}),
            ("a", "a", {"provider_ids": ["1"], "to_date": SOME_DAY, "account_id": one.account_id}),
            ("c", "c", {"provider_ids": ["1"], "waiting": True, "status": model.TransactionStatus.POSTED}),
        ]
        for texts, all_texts, wanted in expected:
            assert await texts_of(store, ANN, **wanted) == list(texts)
            assert await texts_of(store, ANN, **wanted, hidden=True) == list(all_texts)
            assert await texts_of(store, BEN, **wanted, hidden=True) == []

    # -- what becomes of transactions ----------------------------------------------------------------------------

    @FEW_OR_MANY
    async def test_a_change_replaces_all_that_was_said(self, store: Store, beside: int) -> None:
        """Every field is as the change has it, also unknown again; what the person said of the row stays."""
        (one,), paper = await have(store, ANN, account("one")), document()
        await add(store, ANN, one, row("bare"), *filler(beside))
        *others, bare = await rows_of(store, ANN)
        mine = annotation(bare)
        await annotate(store, ANN, mine)
        said_of = fields_of(full_row().data) | {"document_id": paper.document_id, "index": 7, "occurrence": 2}
        whole = attrs.evolve(bare, **said_of, dedupe_key=bytes(16), missing_since=NOON, waits_for="FITID-9")
        async with store.unit_of_work(ANN) as unit:
            await unit.transactions.change([*(attrs.evolve(each, memo="new") for each in others), whole])
            await unit.transactions.change([])
            assert await unit.documents.add(paper)
        hidden = attrs.evolve(bare, removed_at=NOON, superseded_by=bare.transaction_id)
        for expected in (whole, hidden, bare):
            await change(store, ANN, expected)
            (found,) = await rows_of(store, ANN, to_date=BEFORE_FILLER, hidden=True)
            assert fields_of(found) == fields_of(attrs.evolve(expected, annotation=mine))
        assert {each.memo for each in await rows_of(store, ANN, from_date=BEFORE_FILLER)} <= {"new"}

    @pytest.mark.parametrize("whose", ["another's", "another's as one's own", "nobody's"])
    async def test_a_row_that_is_not_there_is_not_changed(self, store: Store, whose: str) -> None:
        """To change or annotate a row of another person, or of nobody, raises, and nothing of the call is kept."""
        (his,), (hers,) = await have(store, BEN, account("one")), await have(store, ANN, account("one"))
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

    async def test_a_change_frees_the_key_that_the_row_had(self, store: Store) -> None:
        """A row is known by what it is now: its old key is another's to take, its new one is taken."""
        (one,) = await have(store, ANN, account("one"))
        await add(store, ANN, one, row("a"), row("b"))
        b, a = await rows_of(store, ANN)
        await change(store, ANN, attrs.evolve(a, dedupe_key=bytes(16), occurrence=3))
        assert await add(store, ANN, one, attrs.evolve(row("c"), dedupe_key=bytes(16), occurrence=3)) == 0
        assert await add(store, ANN, one, row("a")) == 1
        with refused():
            await change(store, ANN, attrs.evolve(b, dedupe_key=a.dedupe_key))
        assert await texts_of(store, ANN) == ["a", "b", "a"]

    async def test_what_a_statement_is_without_is_marked(self, store: Store) -> None:
        """Posted, unhidden rows of an account's days that were not sent are missing since then, until they are."""
        one, two = await have(store, ANN, account("one"), account("two"))
        sent, twin = row("sent", 2), attrs.evolve(row("twin", 2), dedupe_key=row("sent").dedupe_key, occurrence=2)
        pending = row("pending", 3, status=model.TransactionStatus.PENDING)
        gone = attrs.evolve(row("gone", 3), removed_at=NOON)
        old = attrs.evolve(row("old", 3), superseded_by=sent.transaction_id)
        others = [row("before", 1), pending, gone, old, row("after", 5)]
        await add(store, ANN, one, sent, twin, row("c", 4), *others)
        await add(store, ANN, two, row("other", 3))
        (noted,) = [each for each in await rows_of(store, ANN) if each.description == "c"]
        await annotate(store, ANN, annotation(noted))
        later = NOON + timedelta(days=1)
        await mark(store, one, sent)
        assert await missing(store) == {"twin": NOON, "c": NOON}
        await mark(store, one, row("c", 4), at=later)
        assert await missing(store) == {"twin": NOON, "sent": later}
        assert (await rows_of(store, ANN, transaction_ids=[noted.transaction_id]))[0].annotation is not None

    async def test_what_a_person_says_of_a_row_is_shown_with_it(self, store: Store) -> None:
        """What is said replaces what was said before, and is taken away by saying nothing; an import keeps it."""
        (one,) = await have(store, ANN, account("one"))
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

    async def test_the_latest_balance_of_each_kind_is_shown(self, store: Store) -> None:
        """The later day wins, then the later instant (none is the earliest), then what was added last."""
        (one,) = await have(store, ANN, account("one"))
        steps: Sequence[tuple[model.Balance, str]] = [
            (balance(one, "1", day=5), "1"),
            (balance(one, "2", day=4, hour=23), "1"),
            (balance(one, "3", day=5), "3"),
            (balance(one, "4", day=5, hour=9), "4"),
            (balance(one, "5", day=5), "4"),
            (balance(one, "6", day=5, hour=8), "4"),
            (balance(one, "7", day=5, hour=9), "7"),
            (balance(one, "8", day=6), "8"),
        ]
        available = balance(one, "99", day=1, kind=model.BalanceKind.AVAILABLE)
        for added, latest in steps:
            await report(store, added, available)
            expected = {model.BalanceKind.LEDGER: Decimal(latest), model.BalanceKind.AVAILABLE: Decimal(99)}
            assert await shown(store, one) == expected

    @pytest.mark.parametrize("calls", [[["3", "1", "2"]], [["1", "1"], ["2", "2"], ["1.00", "1.00"]]])
    async def test_the_last_of_equal_balances_is_shown(self, store: Store, calls: Sequence[Sequence[str]]) -> None:
        """Nothing else tells them apart, so the order decides; a balance that is there already is no news."""
        (one,) = await have(store, ANN, account("one"))
        for amounts in calls:
            await report(store, *(balance(one, amount) for amount in amounts))
        assert await shown(store, one) == {model.BalanceKind.LEDGER: Decimal(2)}

    async def test_balances_are_the_history_of_an_account(self, store: Store) -> None:
        """Each is there as it was told, by day, kind, instant (none first) and arrival; both ends are included."""
        one, two = await have(store, ANN, account("one"), account("two"))
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
        assert await balances_of(store, ANN, one) == {each.kind: each for each in (told[5], told[7])}
        async with store.unit_of_work(ANN) as unit:
            for first, last in ((1, 3), (2, 2), (2, 3), (3, 1), (4, 9)):
                days = {"from_date": date(2026, 3, first), "to_date": date(2026, 3, last)}
                expected = [each for each in told if first <= each.as_of.day <= last]
                assert list(await unit.accounts.list_balances(one.account_id, **days)) == expected

    async def test_an_account_holds_what_it_did_on_its_latest_day(self, store: Store) -> None:
        """Every field comes back, in the order of arrival; of a security on a day the first one stays."""
        one, two = await have(store, ANN, account("one"), account("two"))
        whole = full(model.Holding, account_id=one.account_id, as_of=SOME_DAY)
        bare = holding(one, "0", day=2, security=model.SecurityData())
        told = [
            [holding(one, "1", day=1)],
            [bare, holding(two, "7"), whole],
            [holding(one, "9", day=2), holding(one, "8", day=1)],
        ]
        for some in told:
            await hold(store, *some)
        assert (await held(store, one), await held(store, two)) == ([bare, whole], [holding(two, "7")])

    # -- documents -----------------------------------------------------------------------------------------------

    async def test_every_field_of_a_document_comes_back(self, store: Store) -> None:
        """A document is read with its counts and warnings in their order, by id and by hash."""
        one, two = await have(store, ANN, account("one"), account("two"))
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
        bare = document("b", filename=None)
        for paper in (whole, bare):
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

    # -- tokens --------------------------------------------------------------------------------------------------

    async def test_a_token_is_found_before_anybody_is_known(self, store: Store) -> None:
        """A token's record is found by its hash, whoever asks."""
        hers = token(ANN)
        await within(store, ANN, lambda unit: unit.tokens.add(hers))
        for asking in (ANONYMOUS, BEN, ANN):
            async with store.unit_of_work(asking) as unit:
                found = await unit.tokens.find(hers.token_hash)
                assert await unit.tokens.find(token(ANN, "2").token_hash) is None
            assert found is not None
            assert fields_of(found) == fields_of(hers)

    # -- at once -------------------------------------------------------------------------------------------------

    async def test_accounts_added_at_once_in_any_order_are_added_once(self, store: Store) -> None:
        """Many accounts, in opposite orders at once, block nobody and are there once."""
        keys = [f"{number:04}" for number in range(1_600)]
        some, others = ([account(key) for key in keys] for _ in range(2))
        await asyncio.gather(have(store, ANN, *some), have(store, ANN, *reversed(others)))
        assert len(await overviews(store, ANN)) == len(keys)

    async def test_rows_of_known_accounts_at_once_block_nobody(self, store: Store) -> None:
        """Imports that overlap, in opposite orders at once, never wait for each other in a circle."""
        (one,) = await have(store, ANN, account("one"))
        for turn in range(5):
            rows = [row(f"{turn} {number}") for number in range(4_000)]
            overlapping = rows[:3_000], rows[:1_000:-1]
            added = await asyncio.gather(*(add(store, ANN, one, *some) for some in overlapping))
            assert sum(added) == len(rows)

    @pytest.mark.parametrize("count", [40, 1_000], ids=["small", "bulk"])
    @pytest.mark.parametrize("units", [2, 8])
    async def test_imports_at_once_add_each_row_once(self, store: Store, count: int, units: int) -> None:
        """Overlapping rows of the same accounts, in opposite orders at once, are stored once and block nobody."""

        async def take_in(number: int) -> int:
            turn = -1 if number % 2 else 1
            async with store.unit_of_work(ANN) as unit:
                known = await unit.accounts.add_accounts([account("one"), account("two")][::turn])
                await asyncio.sleep(0)
                rows = {each.account_id: filler(count)[::turn] for each in known}
                added = await unit.transactions.add(None, rows)
                await unit.accounts.add_balances([balance(each, "1") for each in known])
            return sum(added.values())

        assert sum(await asyncio.gather(*map(take_in, range(units)))) == 2 * count
        expected = sorted(2 * [f"filler {number}" for number in range(count)])
        assert sorted(map(str, await texts_of(store, ANN))) == expected
        assert len(await overviews(store, ANN)) == 2

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

    async def test_who_gives_up_stands_in_nobodys_way(self, store: Store) -> None:
        """A unit that is rolled back beside another leaves the same keys to it."""

        async def take_in(*, keep: bool) -> list[int]:
            async with store.unit_of_work(ANN) as unit:
                (one,) = await unit.accounts.add_accounts([account("one")])
                added = await unit.transactions.add(None, {one.account_id: [row("coffee"), row("tea")]})
                kept = await unit.documents.add(document())
                await asyncio.sleep(0)
                if not keep:
                    unit.discard()
            return [*added.values(), int(kept)]

        _, kept, _ = await asyncio.gather(take_in(keep=False), take_in(keep=True), take_in(keep=False))
        assert kept == [2, 1]
        assert (await seen(store, ANN))[:3] == [1, 2, 1]
