"""What every store does with accounts, transactions, balances, documents and tokens.

Rows carry keys and expectations written by hand, so that no adapter is measured by what it computes itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import pytest

from dashtam_core import accounts as model
from dashtam_core.kernel import ANONYMOUS, Currency, Money, Subject
from dashtam_core.store import Capability, Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import (
    ALL,
    NOTHING,
    PATIENCE,
    cancelled_after,
    fields_of,
    names_of,
    overviews,
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
    balance,
    document,
    filler,
    full_account,
    full_row,
    have,
    row,
    rows_of,
    texts_of,
    token,
)

FEW_OR_MANY = pytest.mark.parametrize("beside", [0, 2_000], ids=["small", "bulk"])
refused = partial(pytest.raises, Exception)
"""Each store has its own way to refuse."""


async def report(store: Store, *balances: model.Balance) -> None:
    """Adds balances of Ann's in a unit of their own."""
    async with store.unit_of_work(ANN) as unit:
        await unit.accounts.add_balances(balances)


async def balances_of(store: Store, subject: Subject, of: model.Account) -> dict[model.BalanceKind, model.Balance]:
    async with store.unit_of_work(subject) as unit:
        found = await unit.accounts.find_account(of.account_id)
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
        """What a store claims is a frozen set of capabilities, transactions among them."""
        assert type(store.capabilities) is frozenset
        assert all(type(each) is Capability for each in store.capabilities)
        assert Capability.TRANSACTIONS in store.capabilities

    async def test_ping_returns(self, store: Store) -> None:
        """An open store answers a ping."""
        await store.ping()

    async def test_leaving_a_unit_commits(self, store: Store) -> None:
        """What a unit wrote is there for the next one, and was there for itself."""
        async with store.unit_of_work(ANN) as unit:
            account_id = await write_everything(unit, ANN)
            assert await unit.accounts.find_account(account_id) is not None
            assert len(await unit.accounts.list_transactions(model.TransactionFilter(), after=None, limit=9)) == 2
        assert await seen(store, ANN, account_id) == ALL

    async def test_a_discarded_unit_leaves_nothing(self, store: Store) -> None:
        """After `discard()` the end of the block undoes everything, also what is written later."""
        async with store.unit_of_work(ANN) as unit:
            unit.discard()
            await write_everything(unit, ANN)
        assert await seen(store, ANN) == NOTHING

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, asyncio.CancelledError])
    async def test_an_exception_leaves_nothing(self, store: Store, error: type[BaseException]) -> None:
        """Any exception in the block undoes everything and goes on to the caller."""

        async def work() -> None:
            async with store.unit_of_work(ANN) as unit:
                await write_everything(unit, ANN)
                raise error

        with pytest.raises(error):
            await work()
        assert await seen(store, ANN) == NOTHING

    async def test_a_rolled_back_unit_leaves_what_was_there(self, store: Store) -> None:
        """What it added to an account is gone, what the account had stays, and no key is reserved."""
        (one,) = await have(store, ANN, account("one"))
        await add(store, ANN, one, row("stays"))
        await report(store, balance(one, "1"))
        async with store.unit_of_work(ANN) as unit:
            await unit.accounts.add_transactions(None, {one.account_id: [row("gone")]})
            await unit.accounts.add_balances([balance(one, "2", day=2)])
            unit.discard()
        assert (await texts_of(store, ANN), await shown(store, one)) == (
            ["stays"],
            {model.BalanceKind.LEDGER: Decimal(1)},
        )
        assert await add(store, ANN, one, row("gone")) == 1

    @pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
    async def test_cancelling_at_any_step_leaves_all_or_nothing(self, store: Store, steps: int) -> None:
        """Wherever a cancellation strikes, the unit is whole or absent and the store goes on serving."""

        async def work() -> None:
            async with store.unit_of_work(ANN) as unit:
                await write_everything(unit, ANN)

        await cancelled_after(steps, work())
        assert await seen(store, ANN) in (ALL, NOTHING)
        assert await have(store, BEN, account("one"))

    async def test_a_unit_that_is_never_entered_touches_nothing(self, store: Store) -> None:
        """Making a unit costs nothing and holds nothing back, however many there are."""
        made = [store.unit_of_work(ANN) for _ in range(100)]
        async with made[50] as unit:
            await write_everything(unit, ANN)
        assert await seen(store, ANN) == ALL

    async def test_no_unit_sees_half_of_another(self, store: Store) -> None:
        """A reader beside a writer sees all of what it wrote or nothing."""

        async def write() -> int:
            async with store.unit_of_work(ANN) as unit:
                await unit.accounts.add_accounts([account("a")])
                await asyncio.sleep(0)
                await unit.accounts.add_accounts([account("b")])
            return await count()

        async def count() -> int:
            return len(await overviews(store, ANN))

        counts = await asyncio.gather(count(), write(), count(), count())
        assert set(counts) <= {0, 2}
        assert counts[1] == 2

    # -- accounts ------------------------------------------------------------------------------------------------

    async def test_every_field_of_an_account_comes_back(self, store: Store) -> None:
        """An account is read as it was added."""
        full = full_account()
        bare = account("bare", created_at=NOON + timedelta(microseconds=1))
        added = await have(store, ANN, full, bare)
        assert [fields_of(each) for each in added] == [fields_of(full), fields_of(bare)]
        listed = await overviews(store, ANN)
        assert [fields_of(each.account) for each in listed] == [fields_of(full), fields_of(bare)]
        assert [each.balances for each in listed] == [(), ()]
        assert listed[0].account.created_at.utcoffset() == timedelta(0)

    async def test_an_account_is_found_by_its_key(self, store: Store) -> None:
        """Known accounts come back as they are stored, new ones are added, each at its place."""
        (one,) = await have(store, ANN, account("one", name="kept"))
        two, three = account("two"), account("three")
        found = await have(store, ANN, three, account("one", name="not taken"), two)
        assert [each.account_id for each in found] == [three.account_id, one.account_id, two.account_id]
        assert [each.name for each in found] == ["account three", "kept", "account two"]
        assert await have(store, ANN) == []

    async def test_one_account_twice_in_a_call_is_one(self, store: Store) -> None:
        """The same key twice in one call adds one account and answers twice with it."""
        first, again = account("one"), account("one")
        found = await have(store, ANN, first, account("two"), again)
        assert found[0].account_id == found[2].account_id == first.account_id
        assert len(await overviews(store, ANN)) == 2

    async def test_a_key_counts_within_its_provider(self, store: Store) -> None:
        """Two providers may use the same key for different accounts."""
        file, other = await have(store, ANN, account("one"), account("one", provider="other"))
        assert file.account_id != other.account_id

    async def test_accounts_are_listed_in_pages_as_they_were_added(self, store: Store) -> None:
        """Pages of any size give each account once, the first added first."""
        for name in "abcde":
            await have(store, ANN, account(name))
        for limit in (1, 2, 5, 6):
            names, after = list[str](), None
            async with store.unit_of_work(ANN) as unit:
                while page := await unit.accounts.list_accounts(after=after, limit=limit):
                    assert len(page) <= limit
                    names += [each.account.name for each in page]
                    after = page[-1].account.account_id
            assert names == [f"account {name}" for name in "abcde"]

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
        paper = document()
        await add(store, BEN, his, row("his"))
        async with store.unit_of_work(BEN) as unit:
            await unit.accounts.add_balances([balance(his, "1")])
            assert await unit.documents.add(paper)
        assert his.account_id != hers.account_id
        async with store.unit_of_work(ANN) as unit:
            listed = await unit.accounts.list_accounts(after=None, limit=9)
            assert [(each.account.account_id, each.balances) for each in listed] == [(hers.account_id, ())]
            assert await unit.accounts.find_account(his.account_id) is None
            for wanted in (model.TransactionFilter(), model.TransactionFilter(account_id=his.account_id)):
                assert list(await unit.accounts.list_transactions(wanted, after=None, limit=9)) == []
            assert await unit.documents.find(paper.sha256) is None
            assert await unit.documents.get(paper.document_id) is None
        assert await texts_of(store, BEN) == ["his"]

    async def test_two_people_may_have_the_same_document(self, store: Store) -> None:
        """A document is unique for one person, never across people."""
        for person in (ANN, BEN):
            mine = document()
            async with store.unit_of_work(person) as unit:
                assert await unit.documents.add(mine)
            async with store.unit_of_work(person) as unit:
                found = await unit.documents.find(mine.sha256)
            assert found is not None
            assert found.document_id == mine.document_id

    @pytest.mark.parametrize("whose", ["another's", "nobody's"])
    @pytest.mark.parametrize("beside", [0, 2_000], ids=["small", "bulk"])
    async def test_a_row_of_a_foreign_account_is_refused(self, store: Store, whose: str, beside: int) -> None:
        """A row for an account that is not the person's raises, and nothing of the call is stored."""
        (his,) = await have(store, BEN, account("his"))
        (hers,) = await have(store, ANN, account("hers"))
        target = his if whose == "another's" else account("unknown")
        rows = {hers.account_id: [row("own")], target.account_id: [row("foreign"), *filler(beside)]}
        with refused():
            async with store.unit_of_work(ANN) as unit:
                await unit.accounts.add_transactions(None, rows)
        assert await texts_of(store, ANN) == []
        assert await texts_of(store, BEN) == []

    async def test_a_balance_of_a_foreign_account_is_refused(self, store: Store) -> None:
        """A balance for another person's account raises, and nothing is stored."""
        (his,) = await have(store, BEN, account("his"))
        with refused():
            await report(store, balance(his, "1"))
        assert await balances_of(store, BEN, his) == {}

    async def test_a_token_of_another_person_is_refused(self, store: Store) -> None:
        """Nobody makes a token that acts as somebody else."""
        forged = token(BEN)
        with refused():
            async with store.unit_of_work(ANN) as unit:
                await unit.tokens.add(forged)
        async with store.unit_of_work(ANONYMOUS) as unit:
            assert await unit.tokens.find(forged.token_hash) is None

    # -- transactions --------------------------------------------------------------------------------------------

    @FEW_OR_MANY
    async def test_every_field_of_a_transaction_comes_back(self, store: Store, beside: int) -> None:
        """A transaction is read as its provider said it, with where it came from."""
        (one,) = await have(store, ANN, account("one"))
        bare = row("bare", day=2, description=None)
        full, bare = attrs.evolve(full_row(), index=7, occurrence=2), attrs.evolve(bare, index=8)
        paper = document()
        async with store.unit_of_work(ANN) as unit:
            rows = [full, bare, *filler(beside)]
            await unit.accounts.add_transactions(paper.document_id, {one.account_id: rows})
            assert await unit.documents.add(paper)
        stored = await rows_of(store, ANN, to_date=date(2026, 3, 27))
        assert [said(each, model.TransactionData) for each in stored] == [
            fields_of(full.data),
            fields_of(bare.data),
        ]
        got = stored[0]
        assert (got.transaction_id, got.account_id) == (full.transaction_id, one.account_id)
        assert got.document_id == paper.document_id
        assert (got.index, got.dedupe_key, got.occurrence) == (7, b"full............", 2)
        assert got.posted_at is not None
        assert got.posted_at.utcoffset() == timedelta(0)

    @FEW_OR_MANY
    async def test_amounts_are_never_rounded(self, store: Store, beside: int) -> None:
        """Every digit of an amount, an original amount and a rate comes back."""
        (one,) = await have(store, ANN, account("one"))
        numbers = {text: Decimal(text) for text in AMOUNTS}
        rows = [
            row(text, amount=text, exchange_rate=number, original_amount=Money(number, Currency("ETH")))
            for text, number in numbers.items()
        ]
        keyed = [attrs.evolve(each, dedupe_key=bytes([place] * 16)) for place, each in enumerate(rows)]
        assert await add(store, ANN, one, *keyed, *filler(beside)) == len(AMOUNTS) + beside
        found = await rows_of(store, ANN, to_date=date(2026, 3, 27))
        assert len(found) == len(AMOUNTS)
        for stored in found:
            expected = Decimal(str(stored.description))
            assert stored.original_amount is not None
            digits = (stored.amount.amount, stored.original_amount.amount, stored.exchange_rate)
            assert digits == (expected, expected, expected)
            assert (stored.amount.currency, stored.original_amount.currency) == (EUR, Currency("ETH"))

    @FEW_OR_MANY
    async def test_text_is_kept_verbatim(self, store: Store, beside: int) -> None:
        """Text comes back character by character: emoji, escapes, quotes, line ends, long and empty."""
        (one,) = await have(store, ANN, account("one"))
        names = ("description", "payee", "memo", "provider_transaction_id", "reference", "end_to_end_id")
        says: list[dict[str, Any]] = [dict.fromkeys(names, text) for text in TEXTS]
        rows = [row(f"text {place}", **each) for place, each in enumerate(says)]
        await add(store, ANN, one, *rows, *filler(beside))
        stored = await rows_of(store, ANN, to_date=date(2026, 3, 27))
        assert [said(each, model.TransactionData) for each in reversed(stored)] == [
            fields_of(each.data) for each in rows
        ]

    @FEW_OR_MANY
    @pytest.mark.parametrize("odd", ["\x00", "\ud800"], ids=["NUL", "surrogate"])
    async def test_odd_characters_do_not_cost_a_row(self, store: Store, odd: str, beside: int) -> None:
        """A character that a database cannot hold is kept, replaced or left out; the row and its rest stay."""
        (one,) = await have(store, ANN, account("one"))
        text = f"be{odd}fore"
        odd_row = row("odd", description=text, payee=text, memo=text)
        assert await add(store, ANN, one, odd_row, *filler(beside)) == beside + 1
        (stored,) = await rows_of(store, ANN, to_date=date(2026, 3, 27))
        assert {stored.description, stored.payee, stored.memo} <= {text, "before", "be\ufffdfore", "be?fore"}

    @FEW_OR_MANY
    async def test_the_ends_of_the_calendar_are_kept(self, store: Store, beside: int) -> None:
        """Days and instants from year 1 to year 9999 come back exactly, and sort."""
        (one,) = await have(store, ANN, account("one"))
        first, last = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        rows = [
            row(text, posted_date=at.date(), value_date=at.date(), transaction_date=at.date(), posted_at=at)
            for text, at in [("first", first), ("noon", NOON), ("last", last)]
        ]
        await add(store, ANN, one, *rows, *filler(beside))
        stored = [each for each in await rows_of(store, ANN) if not str(each.description).startswith("filler")]
        assert [said(each, model.TransactionData) for each in stored] == [
            fields_of(each.data) for each in reversed(rows)
        ]

    async def test_twins_survive_and_overlaps_add_nothing(self, store: Store) -> None:
        """A key is known by its occurrence: what is there is skipped, one more twin is added."""
        (one,) = await have(store, ANN, account("one"))
        kept = row("twin", occurrence=1)
        assert await add(store, ANN, one, kept, row("twin", occurrence=2), row("other")) == 3
        assert await add(store, ANN, one, row("twin", occurrence=1), row("twin", occurrence=2)) == 0
        assert await add(store, ANN, one, *(row("twin", occurrence=number) for number in (1, 2, 3))) == 1
        stored = await rows_of(store, ANN)
        assert sorted(str(each.description) for each in stored) == ["other", "twin", "twin", "twin"]
        assert kept.transaction_id in [each.transaction_id for each in stored]

    async def test_rows_are_counted_for_each_account(self, store: Store) -> None:
        """One call may serve several accounts; the same key in two of them is two rows."""
        one, two, three = await have(store, ANN, account("one"), account("two"), account("three"))
        await add(store, ANN, one, row("known"))
        async with store.unit_of_work(ANN) as unit:
            counts = await unit.accounts.add_transactions(
                None,
                {
                    two.account_id: [row("known"), row("new")],
                    one.account_id: [row("known"), row("new")],
                    three.account_id: [],
                },
            )
            assert dict(counts) == {one.account_id: 1, two.account_id: 2, three.account_id: 0}
            assert dict(await unit.accounts.add_transactions(None, {})) == {}
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
            texts, after = list[str | None](), None
            async with store.unit_of_work(ANN) as unit:
                while page := await unit.accounts.list_transactions(
                    model.TransactionFilter(), after=after, limit=limit
                ):
                    assert len(page) <= limit
                    texts += [each.description for each in page]
                    after = (page[-1].posted_date, page[-1].transaction_id)
            assert texts == list("fbgecad")

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
            after = (last.posted_date, last.transaction_id)
            rest = await unit.accounts.list_transactions(beyond, after=after, limit=9)
        assert [each.description for each in rest] == ["b"]

    # -- balances ------------------------------------------------------------------------------------------------

    async def test_every_field_of_a_balance_comes_back(self, store: Store) -> None:
        """A balance is read as it was reported, to the last digit and microsecond."""
        (one,) = await have(store, ANN, account("one"))
        full = balance(one, "-12345678901234567890.123456789012345678", hour=9, origin=model.BalanceOrigin.MANUAL)
        bare = balance(one, "0", kind=model.BalanceKind.LIMIT)
        await report(store, full, bare)
        await report(store)
        assert await balances_of(store, ANN, one) == {full.kind: full, bare.kind: bare}

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

    async def test_the_last_of_equals_in_one_call_is_shown(self, store: Store) -> None:
        """Among balances that nothing else tells apart the order within the call decides."""
        (one,) = await have(store, ANN, account("one"))
        await report(store, *(balance(one, amount) for amount in ("3", "1", "2")))
        assert await shown(store, one) == {model.BalanceKind.LEDGER: Decimal(2)}

    async def test_the_same_balance_again_is_no_news(self, store: Store) -> None:
        """A balance that is there already is not added: it does not become the latest of equals."""
        (one,) = await have(store, ANN, account("one"))
        for amount in ("1", "2", "1.00"):
            await report(store, balance(one, amount), balance(one, amount))
        assert await shown(store, one) == {model.BalanceKind.LEDGER: Decimal(2)}

    # -- documents -----------------------------------------------------------------------------------------------

    async def test_every_field_of_a_document_comes_back(self, store: Store) -> None:
        """A document is read with its counts and warnings in their order, by id and by hash."""
        one, two = await have(store, ANN, account("one"), account("two"))
        full = document(
            "a",
            filename=TEXTS[0],
            accounts=(model.AccountImport(two.account_id, 5, 3), model.AccountImport(one.account_id, 2, 0)),
            warnings=(
                model.ReadingWarning("date_unreadable", "line 9", "31.02."),
                model.ReadingWarning("amount_unreadable", "", None),
                model.ReadingWarning("text_odd", "line 1", TEXTS[2] + TEXTS[4]),
            ),
        )
        bare = document("b", filename=None)
        async with store.unit_of_work(ANN) as unit:
            assert [await unit.documents.add(each) for each in (full, bare)] == [True, True]
        async with store.unit_of_work(ANN) as unit:
            assert await unit.documents.get(full.document_id) == full
            assert await unit.documents.find(full.sha256) == full
            assert await unit.documents.get(bare.document_id) == bare
            assert await unit.documents.get(document().document_id) is None
            assert await unit.documents.find(document("c").sha256) is None

    async def test_a_document_is_kept_once(self, store: Store) -> None:
        """The second document with the same hash is refused, and the first stays."""
        first, again = document(), document(filename="other.ofx")
        async with store.unit_of_work(ANN) as unit:
            assert await unit.documents.add(first) is True
            assert await unit.documents.add(again) is False
        async with store.unit_of_work(ANN) as unit:
            assert await unit.documents.add(again) is False
            assert await unit.documents.find(again.sha256) == first
            assert await unit.documents.get(again.document_id) is None

    # -- tokens --------------------------------------------------------------------------------------------------

    async def test_a_token_is_found_before_anybody_is_known(self, store: Store) -> None:
        """A token's record is found by its hash, whoever asks."""
        hers = token(ANN)
        async with store.unit_of_work(ANN) as unit:
            await unit.tokens.add(hers)
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
        together = asyncio.Barrier(2)

        async def take_in(turn: int) -> None:
            accounts = [account(key) for key in keys][::turn]
            await asyncio.wait_for(together.wait(), PATIENCE)
            async with store.unit_of_work(ANN) as unit:
                await unit.accounts.add_accounts(accounts)

        await asyncio.gather(take_in(1), take_in(-1))
        assert len(await overviews(store, ANN)) == len(keys)

    @FEW_OR_MANY
    async def test_an_earlier_twin_is_added_beside_a_later_one(self, store: Store, beside: int) -> None:
        """Each occurrence stands for itself: that the second is there says nothing of the first."""
        (one,) = await have(store, ANN, account("one"))
        await add(store, ANN, one, row("twin", occurrence=2))
        assert await add(store, ANN, one, row("twin", occurrence=1), *filler(beside)) == 1 + beside

    async def test_rows_of_known_accounts_at_once_block_nobody(self, store: Store) -> None:
        """Imports that overlap, in opposite orders at once, never wait for each other in a circle."""
        (one,) = await have(store, ANN, account("one"))
        for turn in range(5):
            rows = [row(f"{turn} {number}") for number in range(4_000)]
            together = asyncio.Barrier(2)

            async def take_in(some: Sequence[model.KeyedTransaction], together: asyncio.Barrier = together) -> int:
                await asyncio.wait_for(together.wait(), PATIENCE)
                return await add(store, ANN, one, *some)

            added = await asyncio.gather(take_in(rows[:3_000]), take_in(rows[:1_000:-1]))
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
                added = await unit.accounts.add_transactions(None, rows)
                await unit.accounts.add_balances([balance(each, "1") for each in known])
            return sum(added.values())

        assert sum(await asyncio.gather(*map(take_in, range(units)))) == 2 * count
        expected = sorted(2 * [f"filler {number}" for number in range(count)])
        assert sorted(map(str, await texts_of(store, ANN))) == expected
        assert len(await overviews(store, ANN)) == 2

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
                added = await unit.accounts.add_transactions(None, {one.account_id: [row("coffee"), row("tea")]})
                kept = await unit.documents.add(document())
                await asyncio.sleep(0)
                if not keep:
                    unit.discard()
            return [*added.values(), int(kept)]

        _, kept, _ = await asyncio.gather(take_in(keep=False), take_in(keep=True), take_in(keep=False))
        assert kept == [2, 1]
        assert (await seen(store, ANN))[:3] == [1, 2, 1]
