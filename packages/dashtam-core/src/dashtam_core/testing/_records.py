"""Audit entries, events and sealers for the suites, and what a store says it holds of them."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import attrs

from dashtam_core.audit import (
    AttemptId,
    AuditEntry,
    EntryFilter,
    EntryId,
    Frontier,
    Leaf,
    Phase,
    RecordedEntry,
    SealedBatch,
    leaf_hash,
)
from dashtam_core.kernel import Subject, UserId, new_id
from dashtam_core.messaging import Handover, StoredEvent
from dashtam_core.store import Store
from dashtam_core.testing._rows import ANN, NOON

PATIENCE = 30
"""Seconds after which somebody who is waited for will not come."""
ENTRY_FIELDS = tuple(field.name for field in attrs.fields(AuditEntry))


class BrokenError(Exception):
    """What goes wrong in a test on purpose."""


def entry(action: str = "open", phase: Phase = Phase.SUCCEEDED, **changes: Any) -> AuditEntry:
    """An entry of Ann's that stands alone, known by its action."""
    plain = AuditEntry(
        entry_id=EntryId(new_id()),
        attempt_id=AttemptId(new_id()),
        occurred_at=NOON,
        user_id=ANN.user_id,
        action=action,
        phase=phase,
        resource_type="account",
        channel="library",
    )
    return attrs.evolve(plain, **changes)


def event(text: str, of: Subject = ANN, name: str = "Noted") -> StoredEvent:
    """An event of a person, known by its text."""
    return StoredEvent(new_id(), of.user_id, name, f'{{"text":"{text}"}}')


async def tell(store: Store, *events: StoredEvent) -> None:
    """Commits each event in a unit of its person's."""
    for each in events:
        async with store.unit_of_work(Subject(each.user_id, frozenset())) as unit:
            unit.outbox.add([each])


async def record_apart(store: Store, *entries: AuditEntry) -> None:
    """Records each entry in a microsecond of its own."""
    for each in entries:
        await store.audit.record([each])
        now = datetime.now(UTC)
        while datetime.now(UTC) == now:
            pass


async def entries_of(store: Store, **wanted: Any) -> list[RecordedEntry]:
    """The entries by the store's clock, the first first."""
    found = await store.audit.entries(EntryFilter(**wanted), after=None, limit=5_000)
    return list(reversed(found))


async def actions_of(store: Store, **wanted: Any) -> list[str]:
    return [each.action for each in await entries_of(store, **wanted)]


async def hear(store: Store, subscriber: str) -> StoredEvent | None:
    """Takes the next event due to a subscriber."""
    async with store.deliveries.next_for(subscriber) as handover:
        return None if handover is None else handover.event


async def hear_all(store: Store, subscriber: str) -> list[StoredEvent]:
    """Takes everything that is due to a subscriber."""
    heard = list[StoredEvent]()
    while (one := await hear(store, subscriber)) is not None:
        heard.append(one)
    return heard


async def stumble(
    store: Store, subscriber: str, work: Callable[[Handover], Awaitable[object]] | None = None
) -> Handover:
    """Fails in a delivery, after some work in its unit; answers what was handed over."""
    handover: Handover | None = None
    with suppress(BrokenError):
        async with store.deliveries.next_for(subscriber) as handover:
            if handover is not None and work is not None:
                await work(handover)
            raise BrokenError
    assert handover is not None
    return handover


async def give_up(store: Store, subscriber: str, problem: str = "broken") -> Handover:
    """Fails in a delivery for good."""
    handover = await stumble(store, subscriber)
    await store.deliveries.failed(handover, subscriber, problem, retry_in=None)
    return handover


@attrs.define
class PlainSealer:
    """Seals without signing, and remembers what it was given."""

    given: list[tuple[int, bytes]] = attrs.field(factory=list[tuple[int, bytes]])
    """Size and root of the tree as it stood each time."""

    def __call__(self, frontier: Frontier, entries: Sequence[RecordedEntry]) -> SealedBatch:
        self.given.append((frontier.size, frontier.root()))
        grown = Frontier(frontier.size, frontier.peaks)
        hashes = [leaf_hash(each) for each in entries]
        for each in hashes:
            grown.append(each)
        return SealedBatch(hashes, grown, f"note {grown.size}")


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree grown from its first leaf on."""
    frontier = Frontier()
    for each in leaf_hashes:
        frontier.append(each)
    return frontier.root()


async def leaves_of(store: Store, size: int, only: EntryId | None = None) -> list[Leaf]:
    return [leaf async for some in store.audit.leaves(size=size, only=only) for leaf in some]


def said(recorded: AuditEntry) -> dict[str, Any]:
    """What its maker said of an entry."""
    return {name: getattr(recorded, name) for name in ENTRY_FIELDS}


def nobody() -> UserId:
    return UserId(new_id())
