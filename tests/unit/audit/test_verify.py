"""Verification of the log where it is kept: what it finds, and what it calls it."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import attrs
import pytest

from dashtam_core.audit._checkpoint import AuditCode, AuditRefused, Checkpoint, VerifierKey, sign
from dashtam_core.audit._entries import Phase, RecordedEntry
from dashtam_core.audit._merkle import EMPTY_ROOT
from dashtam_core.audit._ports import Leaf
from dashtam_core.audit._verify import RETIRE_ACTION, Verified, Verifier, log_records
from dashtam_core.kernel import Failure, Success
from unit.audit.logs import (
    KEY,
    NAME,
    SIGNER,
    START,
    STRANGER,
    LogRecord,
    checkpoint,
    entry,
    gone,
    leaf,
    leaves_of,
    renumbered,
    sealed,
)

LOG = list(sealed(map(entry, range(10)), {4, 10}))
LEAVES = leaves_of(LOG)


def verified(records: Sequence[LogRecord], published: str | None = None) -> Verified | AuditRefused:
    verifier = Verifier(KEY, published=published)
    for record in records:
        verifier.read(record)
    match verifier.finish():
        case Success(value):
            return value
        case Failure(error):
            return error


def tampering(records: Sequence[LogRecord], published: str | None = None) -> str:
    """What was found, which must be tampering."""
    found = verified(records, published)
    assert isinstance(found, AuditRefused), found
    assert found.code is AuditCode.AUDIT_TAMPERED
    return found.message


def replaced(place: int, record: LogRecord) -> list[LogRecord]:
    return [*LOG[:place], record, *LOG[place + 1 :]]


def changed(index: int, **said: object) -> Leaf:
    whole = LEAVES[index]
    assert whole.entry is not None
    return attrs.evolve(whole, entry=attrs.evolve(whole.entry, **said))  # type: ignore[arg-type]  # the test's


def test_a_clean_log_is_verified() -> None:
    """Every entry is counted, and size and root are those of the last checkpoint."""
    found = verified(LOG)
    assert isinstance(found, Verified)
    assert (found.entries, found.retired, found.tree_size) == (10, 0, 10)
    assert sign(Checkpoint(NAME, 10, found.root), SIGNER) == LOG[-1]


def test_an_empty_log_is_verified() -> None:
    """Nothing was sealed, so nothing is wrong."""
    assert verified([]) == Verified(0, 0, 0, EMPTY_ROOT)


def test_a_changed_entry_is_named() -> None:
    """The index and the id of the first entry that is not what was sealed."""
    assert f"entry 2 ({LEAVES[2].entry_id}) was changed" in tampering(replaced(2, changed(2, code="no")))


def test_an_entry_that_cannot_be_is_found_not_raised() -> None:
    """A float that got into a context by force is tampering as well."""
    assert "entry 2" in tampering(replaced(2, changed(2, context={"amount": 0.5})))


def test_an_entry_changed_with_its_leaf_is_caught_by_the_checkpoint() -> None:
    """The entries in question are those since the last checkpoint that was right."""
    assert "entries 4 to 9 " in tampering(replaced(6, leaf(5, entry(5, code="no"))))
    assert "entries 0 to 3 " in tampering(replaced(3, leaf(3, entry(3, code="no"))))


@pytest.mark.parametrize("said", [{"entry_id": LEAVES[0].entry_id}, {"recorded_at": START}])
def test_a_leaf_that_files_its_entry_as_another_is_found(said: dict[str, object]) -> None:
    """Id and time of the leaf are in no hash while the entry is there, so they are compared with it."""
    assert "entry 2" in tampering(replaced(2, attrs.evolve(LEAVES[2], **said)))  # type: ignore[arg-type]  # see above


def test_a_gap_is_named() -> None:
    """The index of the first leaf that is not there."""
    assert "entry 2 is missing" in tampering([*LOG[:2], *LOG[3:]])


@pytest.mark.parametrize("repeated", [0, 1])
def test_a_repeated_leaf_is_found(repeated: int) -> None:
    """The same index again, right after or later."""
    assert "entry 2 is out of order" in tampering([*LOG[:2], LOG[repeated], *LOG[2:]])


def test_an_order_of_its_own_is_found() -> None:
    """Two leaves that changed places, with their indexes and without."""
    swapped = [LOG[0], LOG[2], LOG[1], *LOG[3:]]
    assert "entry 1 is missing" in tampering(swapped)
    assert "entries 0 to 3 " in tampering(renumbered(swapped))


def test_an_entry_sealed_twice_in_a_row_is_found() -> None:
    """Even where a checkpoint vouches for both."""
    twice = list(sealed([entry(0), entry(1), entry(1)], {3}))
    assert f"entry 2 ({LEAVES[1].entry_id}) is there twice" in tampering(twice)


def test_a_copy_far_away_is_found_by_the_checkpoint() -> None:
    """A copied entry makes another tree, wherever it is put."""
    copied = renumbered([*LOG[:4], LOG[4], *LOG[5:9], LOG[0], *LOG[9:]])
    assert "over 10 entries" in tampering(copied)


@pytest.mark.parametrize("size", [31, 33, 64])
def test_a_leaf_hash_of_another_length_is_found(size: int) -> None:
    """Also where no entry is there to compute it from."""
    assert "entry 1 " in tampering(replaced(1, attrs.evolve(gone(LEAVES[1]), leaf_hash=bytes(size))))


def test_a_checkpoint_of_another_key_is_found() -> None:
    """Whoever rewrites the log can sign it with a key of their own only."""
    assert "not the log's own" in tampering([*LEAVES, checkpoint(LEAVES, STRANGER)])


def test_a_log_shorter_than_its_checkpoint_is_found() -> None:
    """Entries cut off at the end leave a checkpoint that counts more."""
    assert "2 entries are missing from 8 on" in tampering([*LOG[:9], LOG[-1]])


def test_a_log_longer_than_its_checkpoint_is_found() -> None:
    """Entries put in leave a checkpoint that counts fewer."""
    assert "entries were put in" in tampering([*LOG, leaf(10, entry(10)), LOG[-1]])


def test_entries_under_no_checkpoint_are_not_vouched_for() -> None:
    """What follows the last checkpoint was not sealed by the log's key."""
    assert "the entries 10 to 10 are under no" in tampering([*LOG, leaf(10, entry(10))])
    assert "the entries 0 to 9 are under no" in tampering(LEAVES)


def test_the_first_finding_stays() -> None:
    """Nothing is read after the first failure, so it is the first that is named."""
    verifier = Verifier(KEY)
    for record in [LOG[1], *LOG]:
        verifier.read(record)
    assert verifier.failure is not None
    assert verifier.finish() == Failure(verifier.failure)
    assert "entry 0 is missing" in verifier.failure.message


class TestPublished:
    """With a checkpoint that was kept elsewhere."""

    @pytest.mark.parametrize("size", [0, 1, 7, 10])
    def test_a_log_that_only_grew_agrees(self, size: int) -> None:
        """The published checkpoint may be of any size that the log had, whether or not it is in the log."""
        assert isinstance(verified(LOG, checkpoint(LEAVES[:size])), Verified)

    def test_a_log_cut_off_with_its_checkpoints_is_found(self) -> None:
        """Without it, a log that ends at an earlier checkpoint looks whole."""
        assert isinstance(verified(LOG[:5]), Verified)
        assert "6 entries are missing from 4 on" in tampering(LOG[:5], checkpoint(LEAVES))

    @pytest.mark.parametrize("size", [3, 8, 10])
    def test_a_history_signed_anew_is_found(self, size: int) -> None:
        """The owner of the key cannot put another history in the place of the published one."""
        anew = list(sealed([entry(0, code="no"), *map(entry, range(1, 10))], {4, 10}))
        assert isinstance(verified(anew), Verified)
        assert f"the first {size} entries" in tampering(anew, checkpoint(LEAVES[:size]))

    def test_a_wrong_root_of_nothing_is_found(self) -> None:
        """A published checkpoint of the empty log has just one root."""
        assert "the first 0 entries" in tampering(LOG, sign(Checkpoint(NAME, 0, bytes(32)), SIGNER))

    def test_one_that_the_log_did_not_sign_is_refused(self) -> None:
        """It says nothing of the log, so the log is not blamed."""
        found = verified(LOG, checkpoint(LEAVES, STRANGER))
        assert isinstance(found, AuditRefused)
        assert found.code is AuditCode.CHECKPOINT_INVALID


def retirement(
    number: int, before: int, missing: Sequence[Leaf] | None = None, said: Mapping[str, object] | None = None
) -> RecordedEntry:
    """What the log says when entries below `before` are taken out; `missing` are all that are gone then."""
    context = {"before": (START + timedelta(seconds=before)).isoformat()}
    if missing is not None:
        context["digest"] = hashlib.sha256(b"".join(each.leaf_hash for each in missing)).hexdigest()
    return entry(number, **{"action": RETIRE_ACTION, "phase": Phase.SUCCEEDED, "context": context, **(said or {})})


def log_with(*retirements: RecordedEntry, missing: Sequence[int]) -> list[LogRecord]:
    """Ten entries with retirements after them, of which some are missing."""
    records = sealed([*map(entry, range(10)), *retirements], {4, 10, 10 + len(retirements)})
    return [gone(each) if isinstance(each, Leaf) and each.index in missing else each for each in records]


class TestRetired:
    """With entries that were taken out because the log keeps them so long and no longer."""

    def test_what_was_retired_may_be_missing(self) -> None:
        """Its leaf is still in the tree, and the log says that it was retired."""
        found = verified(log_with(retirement(10, 5), missing=range(5)))
        assert isinstance(found, Verified)
        assert (found.entries, found.retired, found.tree_size) == (6, 5, 11)

    def test_later_retirements_speak_for_earlier_ones(self) -> None:
        """The entry that told of the first may itself be gone."""
        first, second = retirement(10, 3), retirement(11, 11)
        assert isinstance(verified(log_with(first, second, missing=range(11))), Verified)
        assert isinstance(verified(log_with(first, retirement(11, 6), missing=range(6))), Verified)

    def test_a_missing_entry_that_nothing_speaks_for_is_named(self) -> None:
        """Index and id are still known from the leaf."""
        assert f"entry 3 ({LEAVES[3].entry_id}) is missing" in tampering([*LOG[:3], gone(LEAVES[3]), *LOG[4:]])

    @pytest.mark.parametrize("index", [5, 9, 11])
    def test_a_retirement_speaks_for_nothing_later(self, index: int) -> None:
        """Neither for what was recorded at or after its instant, nor for what comes after it in the log."""
        early = entry(11, recorded_at=START)
        records = log_with(retirement(10, 5), early, missing=[*range(5), index])
        assert f"entry {index} " in tampering(records)

    def test_before_is_not_at(self) -> None:
        """An entry recorded at the very instant stays."""
        at = retirement(10, 0, said={"context": {"before": LEAVES[4].recorded_at.isoformat()}})
        assert isinstance(verified(log_with(at, missing=range(4))), Verified)
        assert "entry 4 " in tampering(log_with(at, missing=range(5)))

    @pytest.mark.parametrize(
        "said",
        [
            {"phase": Phase.ATTEMPTED},
            {"phase": Phase.FAILED},
            {"phase": Phase.INDETERMINATE},
            {"action": "other"},
            {"context": {}},
            {"context": {"before": 5}},
            {"context": {"before": "tomorrow"}},
            {"context": {"before": "2030-01-01T00:00:00"}},
        ],
    )
    def test_only_a_retirement_that_succeeded_counts(self, said: dict[str, object]) -> None:
        """An attempt, another action or an instant that cannot be read excuse nothing."""
        assert "is missing" in tampering(log_with(retirement(10, 5, said=said), missing=range(5)))

    def test_a_changed_retirement_does_not_count(self) -> None:
        """It is an entry like others."""
        records = log_with(retirement(10, 2), missing=range(5))
        forged = attrs.evolve(leaf(10, retirement(10, 5)), leaf_hash=leaves_of(records)[10].leaf_hash)
        assert "entry 10 " in tampering([forged if isinstance(r, Leaf) and r.index == 10 else r for r in records])

    def test_a_digest_tells_which_entries_were_retired(self) -> None:
        """With it, no leaf's time can be forged to hide one more entry; those retired before count too."""
        records = log_with(retirement(10, 3, LEAVES[:3]), retirement(11, 5, LEAVES[:5]), missing=range(5))
        assert isinstance(verified(records), Verified)
        more = attrs.evolve(gone(LEAVES[7]), recorded_at=START)
        forged = [more if isinstance(record, Leaf) and record.index == 7 else record for record in records]
        assert "not those that were retired" in tampering(forged)
        assert "not those that were retired" in tampering(
            log_with(retirement(10, 5, LEAVES[:4]), missing=range(5))
        )


async def test_checkpoints_come_after_what_they_count() -> None:
    """Leaves by the page and checkpoints in any order give what a verifier reads."""

    async def pages() -> AsyncIterator[Sequence[Leaf]]:
        for first in range(0, 10, 3):
            yield LEAVES[first : first + 3]

    by_size = [(10, str(LOG[-1])), (0, "the empty one"), (4, str(LOG[4]))]
    assert [record async for record in log_records(pages(), by_size)] == ["the empty one", *LOG]


def test_a_key_is_of_one_log() -> None:
    """The same key under another name does not verify this log."""
    verifier = Verifier(VerifierKey("example.com/other", KEY.public_key))
    for record in LOG:
        verifier.read(record)
    assert isinstance(verifier.finish(), Failure)
