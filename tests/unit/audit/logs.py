"""Audit logs for tests: entries from a number, sealed by a key that is always the same."""

from collections.abc import AsyncGenerator, AsyncIterator, Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs

from dashtam_core.audit._checkpoint import Checkpoint, Ed25519Signer, VerifierKey, sign
from dashtam_core.audit._entries import AttemptId, EntryId, Phase, RecordedEntry, leaf_hash
from dashtam_core.audit._export import write_export
from dashtam_core.audit._merkle import Frontier
from dashtam_core.audit._ports import Leaf
from dashtam_core.kernel import UserId

NAME = "example.com/audit"
SIGNER = Ed25519Signer.from_seed(NAME, bytes(range(32)))
KEY = VerifierKey.of(SIGNER)
STRANGER = Ed25519Signer.from_seed(NAME, bytes(32))
START = datetime(2026, 1, 31, 23, 59, 59, 250_000, UTC)

type LogRecord = Leaf | str


def entry(number: int, **said: object) -> RecordedEntry:
    """An entry that differs from every other number's; a second later than the one before."""
    plain = RecordedEntry(
        entry_id=EntryId(UUID(int=number + 1)),
        attempt_id=AttemptId(UUID(int=number // 2)),
        occurred_at=START + timedelta(seconds=number),
        recorded_at=START + timedelta(seconds=number, microseconds=1),
        user_id=UserId(UUID(int=number % 7)),
        action="import_statement",
        phase=Phase.SUCCEEDED if number % 2 else Phase.ATTEMPTED,
        resource_type="account",
        resource_id=f"account {number % 3}",
        channel="http",
        request_id=f"r-{number}",
        context={"added": number, "file": 'Kontoauszüge\u2028\n"\\ \U0001f600', "rows": [1, None, {"b": True}]},
        personal=number.to_bytes(8) if number % 3 else None,
    )
    return attrs.evolve(plain, **said)  # type: ignore[arg-type]  # whatever a test says


def leaf(index: int, said: RecordedEntry) -> Leaf:
    return Leaf(index, leaf_hash(said), said.entry_id, said.recorded_at, said)


def gone(whole: Leaf) -> Leaf:
    """The leaf after its entry was taken out."""
    return attrs.evolve(whole, entry=None)


def checkpoint(leaves: Iterable[Leaf], signer: Ed25519Signer = SIGNER) -> str:
    frontier = Frontier()
    for each in leaves:
        frontier.append(each.leaf_hash)
    return sign(Checkpoint(NAME, frontier.size, frontier.root()), signer)


def sealed(
    entries: Iterable[RecordedEntry], sizes: Container[int], signer: Ed25519Signer = SIGNER
) -> Iterator[LogRecord]:
    """A log of these entries with a checkpoint at each of the sizes."""
    frontier = Frontier()
    for index, said in enumerate(entries):
        each = leaf(index, said)
        frontier.append(each.leaf_hash)
        yield each
        if frontier.size in sizes:
            yield sign(Checkpoint(NAME, frontier.size, frontier.root()), signer)


def leaves_of(records: Iterable[LogRecord]) -> list[Leaf]:
    return [record for record in records if isinstance(record, Leaf)]


def renumbered(records: Sequence[LogRecord]) -> list[LogRecord]:
    """The same records, the leaves numbered as they come."""
    indexes = iter(range(len(records)))
    return [attrs.evolve(each, index=next(indexes)) if isinstance(each, Leaf) else each for each in records]


def exported(records: Iterable[LogRecord], key: VerifierKey = KEY) -> Iterator[str]:
    """The lines of an export, made one at a time."""

    async def given() -> AsyncIterator[LogRecord]:
        for record in records:
            yield record

    lines = write_export(given(), key)
    assert isinstance(lines, AsyncGenerator)
    while True:
        try:
            lines.__anext__().send(None)
        except StopIteration as line:
            yield line.value
        except StopAsyncIteration:
            return
