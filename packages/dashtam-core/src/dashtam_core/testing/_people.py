"""What every store keeps for a person beside their data: decisions, kept answers, keys; and how all is erased."""

import asyncio
from collections import Counter
from contextlib import suppress

import attrs
import pytest

from dashtam_core.accounts import TransactionId
from dashtam_core.audit import PersonKey
from dashtam_core.kernel import Subject, new_id
from dashtam_core.messaging import KeptAnswer, KeyState
from dashtam_core.portfolio import Match, MatchKind, MatchState
from dashtam_core.store import Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._outbox import give_up, heard
from dashtam_core.testing._shared import ALL, NOTHING, BrokenError, names_of, overviews, seen, write_everything
from dashtam_core.testing.samples import (
    ANN,
    BEN,
    NOON,
    TEXTS,
    account,
    actions_of,
    add,
    balance,
    document,
    entry,
    event,
    have,
    hear_all,
    row,
    rows_of,
    tell,
    within,
)

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
ODD_KEY = "'!\"#$%&\\()*+,-./:;<=>?@[]^_`{|}~" + "x" * 200
KEPT = KeptAnswer(bytes(range(32)), '{ "b" : 1.10,"a":"\\u0000 \\ud800 ' + TEXTS[0] + '", "a":null}\n')


async def claim(store: Store, subject: Subject, command: str = "import", key: str = KEY) -> KeptAnswer | KeyState:
    """What a unit of its own says of a key."""
    return await within(store, subject, lambda unit: unit.answers.claim(command, key))


async def keep(store: Store, subject: Subject, kept: KeptAnswer = KEPT, key: str = KEY) -> None:
    async with store.unit_of_work(subject) as unit:
        assert await unit.answers.claim("import", key) is KeyState.FREE
        await unit.answers.keep("import", key, kept)


async def keys_of(store: Store, subject: Subject, *sought: PersonKey) -> list[PersonKey | None]:
    """The key of a person, and what they find under the ids of these."""
    async with store.unit_of_work(subject) as unit:
        return [await unit.person_keys.current(), *[await unit.person_keys.find(each.key_id) for each in sought]]


async def erase(store: Store) -> dict[str, int]:
    """Erases Ann; answers how much of her there was."""
    return dict(await within(store, ANN, lambda unit: unit.people.erase()))


class PersonPromises(Conformance):
    """Decisions, answers and keys are their person's alone; whoever is erased leaves nothing but the trail."""

    # -- decisions -----------------------------------------------------------------------------------------------

    @pytest.fixture
    async def match(self, store: Store) -> Match:
        """A decision about two rows of Ann's, kept."""
        (one,) = await have(store, ANN, account("one"))
        await add(store, ANN, one, row("a"), row("b", day=2))
        two, first = [each.transaction_id for each in await rows_of(store, ANN)]
        match = Match(MatchKind.TRANSFER, first, two, MatchState.CONFIRMED, NOON)
        await within(store, ANN, lambda unit: unit.matches.keep(match))
        return match

    async def test_a_decision_is_kept_and_replaced(self, store: Store, match: Match) -> None:
        """One decision for a kind and two rows in their order: the last, to the microsecond."""
        turned = attrs.evolve(match, first=match.second, second=match.first)
        rejected = attrs.evolve(match, state=MatchState.REJECTED)
        async with store.unit_of_work(ANN) as unit:
            for each in (turned, rejected, attrs.evolve(match, kind=MatchKind.DUPLICATE)):
                await unit.matches.keep(each)
        async with store.unit_of_work(ANN) as unit:
            assert list(await unit.matches.find(MatchKind.TRANSFER)) == [rejected, turned]
            assert [each.state for each in await unit.matches.find(MatchKind.DUPLICATE)] == [match.state]

    async def test_a_decision_is_forgotten(self, store: Store, match: Match) -> None:
        """What was dropped is gone, the second time there is nothing to drop, and a rollback brings it back."""
        for discarded, known in ((True, True), (False, True), (False, False)):
            async with store.unit_of_work(ANN) as unit:
                assert await unit.matches.drop(match.kind, match.first, match.second) is known
                assert list(await unit.matches.find(match.kind)) == []
                if discarded:
                    unit.discard()

    async def test_a_decision_is_of_ones_own_rows(self, store: Store, match: Match) -> None:
        """Nobody decides about rows of another person or of nobody, or sees or drops another's decision."""
        for person, odd in ((BEN, match), (ANN, attrs.evolve(match, second=TransactionId(new_id())))):
            with pytest.raises(LookupError):
                async with store.unit_of_work(person) as unit:
                    await unit.matches.keep(odd)
        async with store.unit_of_work(BEN) as unit:
            assert list(await unit.matches.find(match.kind)) == []
            assert not await unit.matches.drop(match.kind, match.first, match.second)

    # -- answers -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("key", [KEY, "x", ODD_KEY])
    async def test_a_kept_answer_comes_back_as_it_was(self, store: Store, key: str) -> None:
        """The next unit that claims the key gets the digest and the answer, byte by byte, however often."""
        await keep(store, ANN, KEPT, key)
        await store.maintain()
        assert [await claim(store, ANN, key=key) for _ in range(2)] == [KEPT, KEPT]

    async def test_a_key_is_one_persons_for_one_command(self, store: Store) -> None:
        """The same key of another person or for another command is free, and so is another key, also at once."""
        await keep(store, ANN)
        others = ((BEN, "import", KEY), (ANN, "export", KEY), (ANN, "import", KEY.upper()), (ANN, "import", "1"))
        claims = await asyncio.gather(*(claim(store, *each) for each in others))
        assert claims == [KeyState.FREE] * len(others)
        his = KeptAnswer(bytes(32), "2")
        await keep(store, BEN, his)
        assert (await claim(store, ANN), await claim(store, BEN)) == (KEPT, his)

    async def test_an_answer_is_kept_with_the_change(self, store: Store) -> None:
        """A claim unanswered or undone leaves its key free; a unit that is entered again finds what it kept."""
        unit = store.unit_of_work(ANN)
        for ending in ("claim", "discard", "raise", "keep"):
            assert await claim(store, ANN) is KeyState.FREE
            with suppress(BrokenError):
                async with unit:
                    claims = [await unit.answers.claim("import", KEY) for _ in range(2)]
                    assert claims == [KeyState.FREE] * 2
                    if ending != "claim":
                        await unit.answers.keep("import", KEY, KEPT)
                    if ending == "discard":
                        unit.discard()
                    if ending == "raise":
                        raise BrokenError
        async with unit:
            assert await unit.answers.claim("import", KEY) == KEPT

    @pytest.mark.parametrize("units", [2, 8])
    async def test_of_many_at_once_one_acts(self, store: Store, units: int) -> None:
        """A key in use is held from everybody else, or they wait and get the answer of whoever was first."""

        async def act(number: int) -> KeptAnswer | KeyState:
            async with store.unit_of_work(ANN) as unit:
                claimed = await unit.answers.claim("import", KEY)
                if claimed is KeyState.FREE:
                    await unit.accounts.add_accounts([account(str(number))])
                    await unit.answers.keep("import", KEY, KEPT)
                return claimed

        answers = await asyncio.gather(*map(act, range(units)))
        assert answers.count(KeyState.FREE) == 1
        assert all(each in {KeyState.FREE, KeyState.HELD} or each == KEPT for each in answers)
        assert len(await names_of(store, ANN)) == 1

    # -- keys ----------------------------------------------------------------------------------------------------

    async def test_the_first_key_counts(self, store: Store) -> None:
        """There is none at first, nor after one was undone; whoever comes second gets the first one's."""
        first, second = PersonKey(new_id(), bytes(range(60))), PersonKey(new_id(), b"second")
        async with store.unit_of_work(ANN) as unit:
            await unit.person_keys.add(PersonKey(new_id(), b"undone"))
            unit.discard()
        async with store.unit_of_work(ANN) as unit:
            assert await unit.person_keys.current() is None
            assert await unit.person_keys.add(first) == first
            assert await unit.person_keys.add(second) == first
        assert await within(store, ANN, lambda unit: unit.person_keys.add(second)) == first
        assert await keys_of(store, ANN, first, second) == [first, first, None]

    async def test_keys_made_at_once_are_one(self, store: Store) -> None:
        """Of many who make the person's first key at once, all get the same, and nobody else has or finds it."""

        async def make(number: int) -> PersonKey:
            key = PersonKey(new_id(), bytes([number]))
            return await within(store, ANN, lambda unit: unit.person_keys.add(key))

        hers, *others = await asyncio.gather(*map(make, range(8)))
        assert {*others, *await keys_of(store, ANN)} == {hers}
        assert await keys_of(store, BEN, hers) == [None, None]
        his = PersonKey(new_id(), b"his")
        assert await within(store, BEN, lambda unit: unit.person_keys.add(his)) == his

    # -- erasure -------------------------------------------------------------------------------------------------

    async def _have_two_people(self, store: Store) -> PersonKey:
        key = PersonKey(new_id(), b"key")
        for person in (ANN, BEN):
            async with store.unit_of_work(person) as unit:
                await write_everything(unit)
                unit.trail.add(entry(user_id=person.user_id))
            await keep(store, person)
        (more,) = await have(store, ANN, account("more"))
        await add(store, ANN, more, row("a"), row("b"), row("c"))
        async with store.unit_of_work(ANN) as unit:
            await unit.person_keys.add(key)
            await unit.accounts.add_balances([balance(more, "1", day) for day in (1, 2)])
            assert await unit.documents.add(document("2"))
            assert await unit.documents.add(document("3"))
        return key

    async def test_everything_of_a_person_is_erased_and_counted(self, store: Store) -> None:
        """Accounts, transactions, balances and documents are counted, all else goes too; others' stay."""
        key = await self._have_two_people(store)
        noted, one = ((await rows_of(store, ANN))[-2:], (await overviews(store, ANN))[0].account)
        paper = await within(store, ANN, lambda unit: unit.documents.find(document().sha256))
        assert await erase(store) == {"accounts": 2, "transactions": 5, "balances": 3, "documents": 3, "tokens": 0}
        assert (await seen(store, ANN), await seen(store, BEN)) == (NOTHING, ALL)
        assert (await claim(store, ANN), await claim(store, BEN)) == (KeyState.FREE, KEPT)
        assert await keys_of(store, ANN, key) == [None, None]
        assert await actions_of(store, user_id=ANN.user_id) == ["open"]
        assert paper is not None
        async with store.unit_of_work(ANN) as unit:
            await unit.accounts.add_accounts([one])
            rows = [attrs.evolve(row(f"{each.description}"), transaction_id=each.transaction_id) for each in noted]
            await unit.transactions.add(None, {one.account_id: rows})
            assert await unit.documents.add(paper)
        assert await seen(store, ANN) == [1, 2, 1, 0, 0, 0], "nothing comes back with the ids of then"

    async def test_a_person_is_told_what_would_be_erased(self, store: Store) -> None:
        """Every row of theirs, nobody else's, and the trail; but no key. Once they are erased, the trail alone."""
        key = await self._have_two_people(store)
        await store.deliveries.register({"mail": ["Noted"]})
        await tell(store, event("waiting"), event("unwanted", BEN))
        told = await within(store, ANN, lambda unit: unit.people.export())
        assert sorted(len(rows) for rows in told.values() if len(rows) > 1) == [2, 3, 3, 5]
        for text in ("account more", "tea", "march.ofx", "mine", KEY, "waiting", "open"):
            assert text in str(told)
        for gone in (key.wrapped, BEN.user_id, "unwanted"):
            assert str(gone) not in str(told)
        await erase(store)
        told = await within(store, ANN, lambda unit: unit.people.export())
        assert [row["action"] for rows in told.values() for row in rows] == ["open"]

    async def test_what_waits_to_be_told_of_a_person_is_erased(self, store: Store) -> None:
        """Events of theirs, dead letters too, are gone; the erasure's own is told, and everybody else's."""
        await store.deliveries.register({"mail": ["Noted"]})
        his, gone = event("his", BEN), event("gone")
        await tell(store, event("dead"))
        await give_up(store, "mail")
        await tell(store, event("waits"), his)
        async with store.unit_of_work(ANN) as unit:
            await unit.people.erase()
            unit.discard()
        lag = await store.deliveries.lag()
        assert (lag.waiting, lag.dead) == (2, 1)
        async with store.unit_of_work(ANN) as unit:
            await unit.people.erase()
            unit.outbox.add([gone])
        assert await heard(store, "mail") == Counter([his, gone])
        assert await store.deliveries.retry() == 0

    async def test_an_erasure_can_be_undone_until_it_is_committed(self, store: Store) -> None:
        """A unit that is rolled back erased nothing, not even what it then wrote in its place."""
        key = await self._have_two_people(store)
        async with store.unit_of_work(ANN) as unit:
            await unit.people.erase()
            assert await unit.accounts.list_accounts(after=None, limit=9) == []
            await unit.accounts.add_accounts([account("new")])
            unit.discard()
        assert await names_of(store, ANN) == ["account one", "account more"]
        assert await keys_of(store, ANN) == [key]
        assert await claim(store, ANN) == KEPT

    async def test_who_was_erased_may_come_again(self, store: Store) -> None:
        """The same keys and documents are new to the store afterwards; who has nothing is erased of nothing."""
        await self._have_two_people(store)
        await store.deliveries.register({"watch": ["UserErased"]})
        for _ in range(2):
            async with store.unit_of_work(ANN) as unit:
                await unit.people.erase()
                unit.outbox.add([event("gone", name="UserErased")])
                unit.trail.add(entry("erase_user"))
            assert len(await hear_all(store, "watch")) == 1
        assert set((await erase(store)).values()) == {0}
        assert await actions_of(store, user_id=ANN.user_id) == ["open", "erase_user", "erase_user"]
        await within(store, ANN, write_everything)
        assert await seen(store, ANN) == ALL
