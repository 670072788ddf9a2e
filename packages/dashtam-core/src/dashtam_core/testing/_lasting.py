"""What a store that outlives the process finds again when it is opened on the same data."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from dashtam_core.audit import PersonKey
from dashtam_core.kernel import new_id
from dashtam_core.store import Capability, Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._outbox import give_up, heard
from dashtam_core.testing._people import KEPT, claim, keep
from dashtam_core.testing._shared import ALL, overviews, seen, write_everything
from dashtam_core.testing._trail import PlainSealer, leaves_of
from dashtam_core.testing.samples import ANN, document, entries_of, entry, event, rows_of, tell

type Reopen = Callable[[], Awaitable[Store]]


async def again(store: Store, reopen: Reopen | None) -> Store:
    """The store as the next process finds it."""
    if reopen is not None:
        return await reopen()
    assert Capability.IMMUTABLE_AUDIT not in store.capabilities, (
        "the store claims immutable_audit, whose entries outlive the process: provide the fixture `reopen`, "
        "an async function that closes the store and gives one on the same data"
    )
    return pytest.skip(f"no fixture reopen: {type(store).__name__} is not said to outlive the process")


async def everything(store: Store) -> list[dict[str, Any]]:
    """All that Ann has, as plain values."""
    found: list[Any] = [*await overviews(store, ANN), *await rows_of(store, ANN)]
    async with store.unit_of_work(ANN) as unit:
        found += await unit.accounts.list_holdings(found[0].account.account_id)
        found += [await unit.documents.find(document().sha256), await unit.person_keys.current()]
    return [attrs.asdict(each) for each in found]


class LastingPromises(Conformance):
    """What was committed is there for the next process."""

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """An async function that closes the store and gives one on the same data; None where nothing is kept."""
        return None

    async def test_what_a_person_has_outlives_the_process(self, store: Store, reopen: Reopen | None) -> None:
        """Accounts, balances, rows, holdings, documents, keys and kept answers are read as they were."""
        async with store.unit_of_work(ANN) as unit:
            await write_everything(unit)
            await unit.person_keys.add(PersonKey(new_id(), b"key"))
        await keep(store, ANN)
        had = await everything(store)
        store = await again(store, reopen)
        assert await everything(store) == had
        assert await seen(store, ANN) == ALL
        assert await claim(store, ANN) == KEPT

    async def test_what_was_not_delivered_outlives_the_process(self, store: Store, reopen: Reopen | None) -> None:
        """Events that wait come to who was registered; dead letters are told of, and come when retried."""
        await store.deliveries.register({"mail": ["Noted"]})
        dead, waits, later = event("dead"), event("waits"), event("later")
        await tell(store, dead)
        await give_up(store, "mail")
        await tell(store, waits)
        letters = await store.deliveries.dead(limit=9)
        store = await again(store, reopen)
        assert list(await store.deliveries.dead(limit=9)) == list(letters)
        await tell(store, later)
        assert await heard(store, "mail") == dict.fromkeys((waits, later), 1)
        assert await store.deliveries.retry() == 1
        assert await heard(store, "mail") == {dead: 1}

    async def test_the_trail_outlives_the_process(self, store: Store, reopen: Reopen | None) -> None:
        """Entries, leaves and checkpoints are as they were, and sealing goes on where it stopped."""
        await store.audit.record([entry(str(number), context={"n": number}) for number in range(5)])
        assert await store.audit.seal(PlainSealer(), limit=4) == 4
        had = await entries_of(store), await leaves_of(store, 4), list(await store.audit.checkpoints())
        store = await again(store, reopen)
        found = await entries_of(store), await leaves_of(store, 4), list(await store.audit.checkpoints())
        assert found == had
        sealer = PlainSealer()
        assert (await store.audit.seal(sealer, limit=9), sealer.given[0][0]) == (1, 4)
