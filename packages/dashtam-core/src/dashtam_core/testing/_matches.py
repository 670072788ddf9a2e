"""What every store does with what a person decided about pairs of transactions."""

import attrs
import pytest

from dashtam_core.accounts import TransactionId
from dashtam_core.kernel import new_id
from dashtam_core.portfolio import Match, MatchKind, MatchState
from dashtam_core.store import Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import within
from dashtam_core.testing.samples import ANN, BEN, NOON, account, add, have, row, rows_of


async def pair(store: Store, kind: MatchKind = MatchKind.TRANSFER) -> Match:
    """A decision, not kept, about two rows of Ann's."""
    (one,) = await have(store, ANN, account("one"))
    await add(store, ANN, one, row("a"), row("b", day=2))
    two, first = await rows_of(store, ANN)
    return Match(kind, first.transaction_id, two.transaction_id, MatchState.CONFIRMED, NOON)


class MatchPromises(Conformance):
    """Decisions are kept, replaced and forgotten, each for its person."""

    async def test_a_decision_is_kept_and_replaced(self, store: Store) -> None:
        """One decision for a kind and two rows in their order: the last, to the microsecond."""
        match = await pair(store)
        turned = attrs.evolve(match, first=match.second, second=match.first)
        rejected = attrs.evolve(match, state=MatchState.REJECTED)
        async with store.unit_of_work(ANN) as unit:
            for each in (turned, match, rejected, attrs.evolve(match, kind=MatchKind.DUPLICATE)):
                await unit.matches.keep(each)
        async with store.unit_of_work(ANN) as unit:
            assert list(await unit.matches.find(MatchKind.TRANSFER)) == [rejected, turned]
            assert [each.state for each in await unit.matches.find(MatchKind.DUPLICATE)] == [match.state]

    async def test_a_decision_is_forgotten(self, store: Store) -> None:
        """What was dropped is gone, the second time there is nothing to drop, and a rollback brings it back."""
        match = await pair(store)
        await within(store, ANN, lambda unit: unit.matches.keep(match))
        for discarded, known in ((True, True), (False, True), (False, False)):
            async with store.unit_of_work(ANN) as unit:
                assert await unit.matches.drop(match.kind, match.first, match.second) is known
                assert list(await unit.matches.find(match.kind)) == []
                if discarded:
                    unit.discard()

    async def test_a_decision_is_of_ones_own_rows(self, store: Store) -> None:
        """Nobody decides about rows of another person or of nobody, or sees or drops another's decision."""
        match = await pair(store)
        await within(store, ANN, lambda unit: unit.matches.keep(match))
        for person, odd in ((BEN, match), (ANN, attrs.evolve(match, second=TransactionId(new_id())))):
            with pytest.raises(LookupError):
                async with store.unit_of_work(person) as unit:
                    await unit.matches.keep(odd)
        async with store.unit_of_work(BEN) as unit:
            assert list(await unit.matches.find(match.kind)) == []
            assert not await unit.matches.drop(match.kind, match.first, match.second)
