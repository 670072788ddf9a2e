"""What every store does with the audit trail: keeps it as it was said, seals it, closes what was left open."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import attrs
import pytest

from dashtam_core import audit
from dashtam_core.kernel import Success, SystemClock, UserId, new_id
from dashtam_core.store import Store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._shared import PATIENCE, BrokenError, pages, place_of, said
from dashtam_core.testing.samples import ANN, BEN, NOON, TEXTS, actions_of, entries_of, entry

FULL = entry(
    "import_statement",
    audit.Phase.FAILED,
    occurred_at=datetime(2020, 2, 29, 23, 59, 59, 1, UTC),
    code="too_odd",
    resource_type="import_document",
    resource_id=TEXTS[0],
    channel="http",
    request_id=TEXTS[4],
    context={
        TEXTS[0]: TEXTS[2],
        "": "",
        "whole": [2**53 - 1, -(2**53) + 1, 0, 1, True, False, None],
        "nested": {"list": [[], {}, [{"deep": [None]}]], "text": [*TEXTS]},
        "b": 1,
        "a": "1.10",
    },
    personal=bytes(range(256)),
)
BARE = entry("bare", audit.Phase.ATTEMPTED, context={}, occurred_at=NOON.replace(microsecond=0))
BARER = entry("", personal=b"", context={"none": None})
NOBODY = UserId(new_id())
LONG_AGO, FAR_AHEAD = NOON - timedelta(days=36_500), NOON + timedelta(days=36_500)


def closed(attempt: audit.AuditEntry) -> audit.AuditEntry:
    """An attempt's outcome that nobody heard of, with the same id whoever asks."""
    changes: dict[str, Any] = {"entry_id": UUID(int=attempt.entry_id.int ^ 1), "phase": audit.Phase.INDETERMINATE}
    return audit.AuditEntry(**said(attempt, audit.AuditEntry) | changes)


async def record_apart(store: Store, *entries: audit.AuditEntry) -> None:
    """Records each entry in a microsecond of its own."""
    for each in entries:
        await store.audit.record([each])
        now = datetime.now(UTC)
        while datetime.now(UTC) == now:
            pass


@attrs.define
class PlainSealer:
    """Seals without signing, and remembers what it was given."""

    given: list[tuple[int, bytes]] = attrs.field(factory=list[tuple[int, bytes]])
    """Size and root of the tree as it stood each time."""

    def __call__(self, frontier: audit.Frontier, entries: Sequence[audit.RecordedEntry]) -> audit.SealedBatch:
        self.given.append((frontier.size, frontier.root()))
        grown = audit.Frontier(frontier.size, frontier.peaks)
        hashes = [audit.leaf_hash(each) for each in entries]
        for each in hashes:
            grown.append(each)
        return audit.SealedBatch(hashes, grown, f"note {grown.size}")


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree grown from its first leaf on."""
    frontier = audit.Frontier()
    for each in leaf_hashes:
        frontier.append(each)
    return frontier.root()


async def leaves_of(store: Store, size: int, only: audit.EntryId | None = None) -> list[audit.Leaf]:
    return [leaf async for some in store.audit.leaves(size=size, only=only) for leaf in some]


async def count_pages(store: Store, **wanted: Any) -> int:
    """How many entries there are, by pages of any length, which hold all of them in order."""
    whole = await store.audit.entries(audit.EntryFilter(**wanted), after=None, limit=50)
    ranks = list(map(place_of, whole))
    assert ranks == sorted(set(ranks), reverse=True)
    for limit in (1, 2, 3, 9, 10, 11):
        assert await pages(partial(store.audit.entries, audit.EntryFilter(**wanted)), limit) == [*whole]
    return len(whole)


class TrailPromises(Conformance):
    """What was said comes back, has one place in the tree for good, and what was attempted has one outcome."""

    # -- entries -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("way", ["in a unit", "on its own"])
    async def test_every_field_of_an_entry_comes_back(self, store: Store, way: str) -> None:
        """An entry is read as it was said, to the last character, digit and microsecond."""
        if way == "in a unit":
            async with store.unit_of_work(ANN) as unit:
                for each in (FULL, BARE, BARER):
                    unit.trail.add(each)
        else:
            await store.audit.record([FULL, BARE, BARER])
        found = {each.entry_id: each for each in await entries_of(store)}
        assert len(found) == 3
        for each in (FULL, BARE, BARER):
            recorded = found[each.entry_id]
            assert type(recorded) is audit.RecordedEntry
            assert type(recorded.phase) is audit.Phase
            assert said(recorded, audit.AuditEntry) == said(each, audit.AuditEntry)
            expected = audit.RecordedEntry(**said(each, audit.AuditEntry), recorded_at=recorded.recorded_at)
            assert audit.canonical(recorded) == audit.canonical(expected)
            for at in (recorded.occurred_at, recorded.recorded_at):
                assert at.utcoffset() == timedelta(0)

    async def test_what_a_caller_changes_afterwards_is_not_in_the_trail(self, store: Store) -> None:
        """An entry is what it was when it was written."""
        context: dict[str, Any] = {"count": 1, "of": [{"a": 1}]}
        await store.audit.record([entry(context=context)])
        context["count"] = 2
        context["of"][0]["b"] = 2
        assert [each.context for each in await entries_of(store)] == [{"count": 1, "of": [{"a": 1}]}]

    async def test_entries_are_filtered(self, store: Store) -> None:
        """Filters work alone and together; times are by the store's clock, from `since` on and before `until`."""
        said = [
            entry("open", audit.Phase.ATTEMPTED, resource_id="1"),
            entry("open", audit.Phase.SUCCEEDED, resource_id="1"),
            entry("close", audit.Phase.SUCCEEDED, resource_id="2"),
            entry("open", audit.Phase.SUCCEEDED, resource_id="1", user_id=BEN.user_id),
            entry("close", audit.Phase.FAILED),
        ]
        ago = [attrs.evolve(each, occurred_at=NOON - timedelta(days=day)) for day, each in enumerate(said)]
        await record_apart(store, *ago)
        whole = await entries_of(store)
        assert [each.entry_id for each in whole] == [each.entry_id for each in said]
        second, fourth = whole[1].recorded_at, whole[3].recorded_at
        assert NOON < whole[0].recorded_at < second < whole[2].recorded_at < fourth < whole[4].recorded_at
        expected: list[tuple[str, dict[str, Any]]] = [
            ("01234", {}),
            ("0124", {"user_id": ANN.user_id}),
            ("3", {"user_id": BEN.user_id}),
            ("", {"user_id": NOBODY}),
            ("013", {"action": "open"}),
            ("", {"action": "ope"}),
            ("123", {"phase": audit.Phase.SUCCEEDED}),
            ("", {"phase": audit.Phase.REPLAYED}),
            ("013", {"resource_id": "1"}),
            ("1234", {"since": second}),
            ("012", {"until": fourth}),
            ("12", {"since": second, "until": fourth}),
            ("", {"since": second, "until": second}),
            ("1", {"user_id": ANN.user_id, "action": "open", "phase": audit.Phase.SUCCEEDED, "resource_id": "1"}),
            ("3", {"action": "open", "since": whole[2].recorded_at}),
        ]
        for places, wanted in expected:
            found = await entries_of(store, **wanted)
            assert [each.entry_id for each in found] == [whole[int(place)].entry_id for place in places], wanted

    @pytest.mark.parametrize("wanted", [{}, {"user_id": ANN.user_id}])
    async def test_pages_lose_and_repeat_nothing(self, store: Store, wanted: dict[str, Any]) -> None:
        """Pages of any length run through all by time and id, also those of one commit, whoever's they are."""
        await store.audit.record([])
        assert await count_pages(store) == 0
        await store.audit.record([entry(str(number)) for number in range(4)])
        await store.audit.record([entry("alone")])
        foreign = entry("foreign", user_id=BEN.user_id)
        await store.audit.record([*(entry(str(number)) for number in reversed(range(4))), foreign])
        assert await count_pages(store, **wanted) == 10 - len(wanted)

    # -- sealing -------------------------------------------------------------------------------------------------

    async def test_each_entry_gets_one_leaf(self, store: Store) -> None:
        """Sealing goes on where it stopped, `limit` at a time; with nothing new no checkpoint is made."""
        assert await store.audit.seal(PlainSealer(), limit=10) == 0
        assert [*await store.audit.checkpoints(), *await store.audit.checkpoints(last=True)] == []
        async with store.unit_of_work(ANN) as unit:
            unit.trail.add(entry("0"))
            unit.trail.add(entry("1"))
        async with store.unit_of_work(ANN) as unit:
            unit.trail.add(entry("undone"))
            unit.discard()
        await store.audit.record([entry(str(number)) for number in range(2, 7)])
        sealer = PlainSealer()
        assert [await store.audit.seal(sealer, limit=3) for _ in range(4)] == [3, 3, 1, 0]
        leaves, hashes = await leaves_of(store, 7), list(await store.audit.leaf_hashes(7))
        assert [leaf.index for leaf in leaves] == [*range(7)]
        assert [leaf.leaf_hash for leaf in leaves] == hashes
        assert sealer.given[:3] == [(size, root_of(hashes[:size])) for size in (0, 3, 6)]
        assert list(await store.audit.checkpoints()) == [(3, "note 3"), (6, "note 6"), (7, "note 7")]
        assert sorted(await actions_of(store)) == [*"0123456"]
        whole = {each.entry_id: each for each in await entries_of(store)}
        assert {leaf.entry_id for leaf in leaves} == whole.keys()
        for leaf in leaves:
            recorded = whole[leaf.entry_id]
            assert leaf.entry == recorded
            assert (leaf.recorded_at, leaf.leaf_hash) == (recorded.recorded_at, audit.leaf_hash(recorded))

    async def test_what_was_sealed_can_be_read_in_parts(self, store: Store) -> None:
        """The leaves of an earlier size, one entry's leaf, the last checkpoint, and how many have no leaf yet."""
        assert await store.audit.lag() == audit.SealingLag(0, 0.0)
        await store.audit.record([entry(str(number)) for number in range(5)])
        for unsealed, sealed in ((5, 4), (1, 1)):
            lag = await store.audit.lag()
            assert (lag.unsealed, lag.oldest_seconds >= 0) == (unsealed, True)
            assert await store.audit.seal(PlainSealer(), limit=4) == sealed
        assert await store.audit.lag() == audit.SealingLag(0, 0.0)
        leaves = await leaves_of(store, 5)
        assert [await leaves_of(store, size) for size in (0, 1, 3)] == [[], leaves[:1], leaves[:3]]
        assert list(await store.audit.leaf_hashes(3)) == [leaf.leaf_hash for leaf in leaves[:3]]
        last = leaves[4].entry_id
        parts = [
            await leaves_of(store, size, only) for size, only in ((5, last), (4, last), (5, entry().entry_id))
        ]
        assert parts == [[leaves[4]], [], []]
        assert list(await store.audit.checkpoints(last=True)) == [(5, "note 5")]

    async def test_a_sealer_that_fails_leaves_nothing(self, store: Store) -> None:
        """Its error goes on to the caller; neither leaf nor checkpoint stays, and the next one begins anew."""

        def broken(_: audit.Frontier, __: object) -> audit.SealedBatch:
            raise BrokenError

        await store.audit.record([entry(str(number)) for number in range(3)])
        with pytest.raises(BrokenError):
            await store.audit.seal(broken, limit=10)
        assert list(await store.audit.checkpoints()) == []
        assert (await store.audit.lag()).unsealed == 3
        sealer = PlainSealer()
        assert await store.audit.seal(sealer, limit=10) == 3
        assert sealer.given == [(0, audit.Frontier().root())]

    async def test_what_comes_while_sealing_is_sealed_later(self, store: Store) -> None:
        """Entries that are recorded beside a seal, or in a unit still open, are in it or in a later one."""
        await store.audit.record([entry("early")])
        beside, plain, loop = list[Future[None]](), PlainSealer(), asyncio.get_running_loop()

        def sealer(frontier: audit.Frontier, entries: Any) -> audit.SealedBatch:
            record = store.audit.record([entry("beside")])
            beside.append(asyncio.run_coroutine_threadsafe(record, loop))
            return plain(frontier, entries)

        async with store.unit_of_work(ANN) as unit:
            unit.trail.add(entry("late"))
            await unit.flush()
            sealing = asyncio.create_task(store.audit.seal(sealer, limit=10))
            await asyncio.wait([sealing], timeout=1)  # a store with one writer seals after the unit
        sealed = await asyncio.wait_for(sealing, PATIENCE)
        await asyncio.wait_for(asyncio.gather(*map(asyncio.wrap_future, beside)), PATIENCE)
        assert (sealed or 0) + (await store.audit.seal(plain, limit=10) or 0) == 3
        leaves = await leaves_of(store, 3)
        assert [leaf.index for leaf in leaves] == [0, 1, 2]
        first, *later = [leaf.entry and leaf.entry.action for leaf in leaves]
        assert (first, {*later}) == ("early", {"beside", "late"})

    async def test_two_who_seal_at_once_make_one_tree(self, store: Store) -> None:
        """However many seal while others write, each entry has one leaf, and the checkpoints are in order."""

        async def write(number: int) -> None:
            for turn in range(5):
                async with store.unit_of_work(ANN) as unit:
                    unit.trail.add(entry(f"{number} {turn}"))
                    await unit.flush()
                    await asyncio.sleep(0)

        async def seal() -> int:
            return sum([await store.audit.seal(PlainSealer(), limit=3) or 0 for _ in range(10)])

        sealed = await asyncio.gather(seal(), seal(), *map(write, range(8)))
        total = sum(each or 0 for each in sealed)
        while rest := await store.audit.seal(PlainSealer(), limit=7):
            total += rest
        leaves = await leaves_of(store, 40)
        assert (total, [leaf.index for leaf in leaves]) == (40, [*range(40)])
        assert {leaf.entry_id for leaf in leaves} == {each.entry_id for each in await entries_of(store)}
        sizes = [size for size, _ in await store.audit.checkpoints()]
        assert sizes == sorted({*sizes, 40})

    async def test_a_clean_log_verifies(self, store: Store) -> None:
        """All that any entry may hold, more than one batch of it, passes verification inside and as an export."""
        pytest.importorskip("cryptography", reason="checkpoints are signed with dashtam-core[crypto]")
        signer = audit.Ed25519Signer.from_seed("example.com/suite", bytes(range(32)))
        sealing = audit.Sealing(store.audit, lambda: signer, SystemClock())
        await store.audit.record([FULL, BARE, BARER])
        assert await sealing.seal() == 3
        published = (await store.audit.checkpoints(last=True))[0][1]
        await store.audit.record([entry(context={"number": number}) for number in range(1_100)])
        assert await sealing.seal() == 1_100
        size, key = 1_103, audit.VerifierKey.of(signer)
        records = audit.log_records(store.audit.leaves(size=size), await store.audit.checkpoints())
        lines = [line async for line in audit.write_export(records, key)]
        whole = audit.Verified(size, 0, size, root_of(await store.audit.leaf_hashes(size)))
        assert audit.verify_export(lines, vkey=str(key), published=published) == Success(whole)
        (last,) = await leaves_of(store, size, audit.EntryId(FULL.entry_id))
        assert said(last.entry, audit.AuditEntry) == said(FULL, audit.AuditEntry)

    # -- sweeping ------------------------------------------------------------------------------------------------

    async def test_an_attempt_without_outcome_is_closed(self, store: Store) -> None:
        """Each open attempt gets the entry that `close` makes of it, once; it is sealed like any other."""
        opened = [entry(name, audit.Phase.ATTEMPTED, context={"n": 1}, personal=b"p") for name in ("a", "b")]
        await store.audit.record([*opened, entry("his", audit.Phase.ATTEMPTED, user_id=BEN.user_id)])
        assert await store.audit.seal(PlainSealer(), limit=9) == 3
        assert await store.audit.sweep(closed, before=FAR_AHEAD) == 3
        for attempt in opened:
            first, second = [each for each in await entries_of(store) if each.attempt_id == attempt.attempt_id]
            assert {first.phase, second.phase} == {audit.Phase.ATTEMPTED, audit.Phase.INDETERMINATE}
            changes = {"entry_id": first.entry_id, "phase": first.phase}
            assert said(first, audit.AuditEntry) == said(second, audit.AuditEntry) | changes
        assert await store.audit.sweep(closed, before=FAR_AHEAD) == 0
        assert await store.audit.seal(PlainSealer(), limit=9) == 3
        phases = [leaf.entry and leaf.entry.phase for leaf in await leaves_of(store, 6)]
        assert phases == [audit.Phase.ATTEMPTED] * 3 + [audit.Phase.INDETERMINATE] * 3

    async def test_a_young_attempt_is_left_alone(self, store: Store) -> None:
        """Only what was recorded before `before`, by the store's clock, is closed."""
        await record_apart(
            store,
            entry("old", audit.Phase.ATTEMPTED, occurred_at=FAR_AHEAD),
            entry("young", audit.Phase.ATTEMPTED, occurred_at=LONG_AGO),
        )
        old, young = await entries_of(store)
        assert await store.audit.sweep(closed, before=old.recorded_at) == 0
        assert await store.audit.sweep(closed, before=young.recorded_at) == 1
        assert await actions_of(store, phase=audit.Phase.INDETERMINATE) == ["old"]

    @pytest.mark.parametrize("phase", [phase for phase in audit.Phase if phase is not audit.Phase.ATTEMPTED])
    async def test_what_has_ended_is_left_alone(self, store: Store, phase: audit.Phase) -> None:
        """No attempt with an outcome is closed, and nothing that stands alone is an attempt."""
        attempt = entry(phase=audit.Phase.ATTEMPTED)
        outcome = entry(phase=phase, attempt_id=attempt.attempt_id)
        await store.audit.record([attempt, entry(phase=phase)])
        async with store.unit_of_work(ANN) as unit:
            unit.trail.add(outcome)
        assert await store.audit.sweep(closed, before=FAR_AHEAD) == 0
        assert len(await entries_of(store)) == 3
