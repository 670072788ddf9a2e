"""Personal data in the trail: read by its person's key alone, and by nobody once the person is erased."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import attrs
import pytest

from dashtam_core.audit import KeyVault, ListAuditEntries, PersonalVault, PersonKey, _vault
from dashtam_core.audit._queries import ListAuditEntriesHandler
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Subject, UnavailableError
from dashtam_core.memory import MemoryStore, MemoryVault
from unit.audit.logs import entry

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
MASTER = bytes(range(32))
SAID = b'{"ip_address":"192.0.2.1","filename":"taxes of Ann.ofx"}'


@attrs.frozen
class Kept:
    """A vault, and how a person is erased from the store behind it."""

    vault: PersonalVault
    erase: Callable[[Subject], Awaitable[object]]

    async def seal(self, person: Subject, data: bytes = SAID) -> bytes:
        seal = await self.vault.sealing(person.user_id)
        return seal(data)

    async def open(self, person: Subject, sealed: bytes) -> bytes | None:
        return await self.vault.open(person.user_id, sealed)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def erase_from(store: MemoryStore, person: Subject) -> None:
    async with store.unit_of_work(person) as unit:
        await unit.people.erase()


@pytest.fixture(params=["encrypted", "in memory"])
def kept(request: pytest.FixtureRequest, store: MemoryStore) -> Kept:
    vault = KeyVault(store.unit_of_work, MASTER) if request.param == "encrypted" else MemoryVault()
    return Kept(vault, lambda person: erase_from(store, person))


@pytest.mark.parametrize("data", [SAID, b"", bytes(range(256)) * 100])
async def test_what_was_sealed_opens(kept: Kept, data: bytes) -> None:
    """Who has the key reads what was said, as often as they like."""
    sealed = await kept.seal(ANN, data)
    assert [await kept.open(ANN, sealed) for _ in range(2)] == [data, data]


async def test_the_seal_tells_nothing(kept: Kept) -> None:
    """The same data is sealed differently each time, and no part of it shows."""
    seal = await kept.vault.sealing(ANN.user_id)
    sealed = [seal(SAID), seal(SAID), await kept.seal(ANN), await kept.seal(BEN)]
    assert len(set(sealed)) == 4
    for each in sealed:
        assert not any(SAID[place : place + 6] in each for place in range(len(SAID) - 6))


async def test_nobody_opens_what_is_anothers(kept: Kept) -> None:
    """What one person's key sealed is nothing to another, whether or not they have a key."""
    sealed = await kept.seal(ANN)
    assert await kept.open(BEN, sealed) is None
    await kept.seal(BEN)
    assert await kept.open(BEN, sealed) is None
    assert await kept.open(ANN, sealed) == SAID


async def test_who_was_erased_is_unreadable(kept: Kept) -> None:
    """Once the person is erased and forgotten nothing of theirs opens, and nobody else's is lost."""
    hers, his = await kept.seal(ANN), await kept.seal(BEN)
    await kept.erase(ANN)
    kept.vault.forget(ANN.user_id)
    assert await kept.open(ANN, hers) is None
    assert await kept.open(BEN, his) == SAID
    again = await kept.seal(ANN, b"new")
    assert (await kept.open(ANN, again), await kept.open(ANN, hers)) == (b"new", None)


async def test_forgetting_who_was_never_known_is_nothing(kept: Kept) -> None:
    """An erasure of somebody whose key was never asked for here does no harm."""
    kept.vault.forget(ANN.user_id)
    assert await kept.open(ANN, await kept.seal(ANN)) == SAID


async def test_what_was_changed_never_opens(kept: Kept) -> None:
    """One bit that is another, a byte more or less: it is refused as what it is, or opens to nothing."""
    sealed = await kept.seal(ANN)
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for changed in (*flipped, *(sealed[:size] for size in range(len(sealed))), sealed + b"\0"):
        told = ""
        try:
            opened = await kept.open(ANN, changed)
        except ValueError as error:
            opened, told = None, str(error)
        assert (opened, "taxes" in told) == (None, False)


async def test_encrypted_data_says_that_it_was_changed(store: MemoryStore) -> None:
    """Whatever follows the name of the key is vouched for: changed, it is refused with a `ValueError`."""
    kept = Kept(KeyVault(store.unit_of_work, MASTER), lambda person: erase_from(store, person))
    sealed = await kept.seal(ANN)
    for changed in (sealed[:-1], sealed[:-1] + b"?", sealed[:28], sealed[:20], b""):
        with pytest.raises(ValueError, match="not as it was sealed"):
            await kept.open(ANN, changed)


async def test_keys_outlive_the_process(store: MemoryStore) -> None:
    """Another vault over the same store opens what was sealed, and seals so that the first opens it."""
    first, second = (KeyVault(store.unit_of_work, MASTER) for _ in range(2))
    sealed = (await first.sealing(ANN.user_id))(SAID)
    assert await second.open(ANN.user_id, sealed) == SAID
    assert await first.open(ANN.user_id, (await second.sealing(ANN.user_id))(b"more")) == b"more"
    assert len(store.people[ANN.user_id].keys) == 1


async def test_another_master_key_opens_nothing(store: MemoryStore) -> None:
    """A configured key that is not the one of then is told of by name, in opening and in sealing."""
    sealed = (await KeyVault(store.unit_of_work, MASTER).sealing(ANN.user_id))(SAID)
    other = KeyVault(store.unit_of_work, bytes(32))
    with pytest.raises(ValueError, match="DASHTAM_MASTER_KEY"):
        await other.open(ANN.user_id, sealed)
    with pytest.raises(UnavailableError, match="DASHTAM_MASTER_KEY"):
        await other.sealing(ANN.user_id)


async def test_a_key_is_kept_wrapped(store: MemoryStore) -> None:
    """What the store holds of a key opens nothing by itself."""
    await KeyVault(store.unit_of_work, MASTER).sealing(ANN.user_id)
    (kept,) = store.people[ANN.user_id].keys.values()
    assert len(kept.wrapped) == 12 + 32 + 16
    assert repr(kept.wrapped) not in repr(kept)


async def test_a_key_cannot_be_passed_off_as_anothers(store: MemoryStore) -> None:
    """Somebody who copies Ann's key into Ben's place in the database has not made hers his."""
    vault = KeyVault(store.unit_of_work, MASTER)
    sealed = (await vault.sealing(ANN.user_id))(SAID)
    (hers,) = store.people[ANN.user_id].keys.values()
    async with store.unit_of_work(BEN) as unit:
        await unit.person_keys.add(PersonKey(hers.key_id, hers.wrapped))
    with pytest.raises(ValueError, match=str(BEN.user_id)):
        await vault.open(BEN.user_id, sealed)


async def test_the_first_key_counts(store: MemoryStore) -> None:
    """Of vaults that make a person's first key at once, all use the one that was kept."""
    vaults = [KeyVault(store.unit_of_work, MASTER) for _ in range(4)]
    seals = await asyncio.gather(*(vault.sealing(ANN.user_id) for vault in vaults))
    assert len({seal(SAID)[:16] for seal in seals}) == 1
    assert [await vault.open(ANN.user_id, seals[0](SAID)) for vault in vaults] == [SAID] * 4


async def test_a_remembered_key_is_not_asked_for_again(store: MemoryStore) -> None:
    """For as long as it is remembered, sealing and opening take no transaction."""
    asked = list[Subject]()

    def units(subject: Subject) -> object:
        asked.append(subject)
        return store.unit_of_work(subject)

    vault = KeyVault(units, MASTER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it is one
    sealed = [(await vault.sealing(ANN.user_id))(SAID) for _ in range(3)]
    assert [await vault.open(ANN.user_id, each) for each in sealed] == [SAID] * 3
    assert asked == [Subject(ANN.user_id, frozenset())]
    other = KeyVault(units, MASTER)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it is one
    assert [await other.open(ANN.user_id, each) for each in sealed] == [SAID] * 3
    assert len(asked) == 2


@pytest.mark.parametrize("seconds", [300.0, 0.0])
async def test_a_remembered_key_expires(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """A key that was destroyed elsewhere opens and seals until it expires, and not after."""
    monkeypatch.setattr(_vault, "_CACHED_SECONDS", seconds)
    vault = KeyVault(store.unit_of_work, MASTER)
    sealed = (await vault.sealing(ANN.user_id))(SAID)
    await erase_from(store, ANN)
    remembered = seconds > 0
    assert await vault.open(ANN.user_id, sealed) == (SAID if remembered else None)
    again = (await vault.sealing(ANN.user_id))(SAID)
    assert (again[:16] == sealed[:16]) is remembered


async def test_no_more_keys_are_remembered_than_there_is_room_for(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first, and are found again when they are needed."""
    monkeypatch.setattr(_vault, "_CACHED", 2)
    vault, people = KeyVault(store.unit_of_work, MASTER), [ExternalSubject(str(number)) for number in range(4)]
    sealed = [(await vault.sealing(person.user_id))(SAID) for person in people]
    assert [*vault._keys] == [person.user_id for person in people[2:]]
    for person, each in zip(people, sealed, strict=True):
        assert await vault.open(person.user_id, each) == SAID


async def test_the_trail_is_listed_whatever_cannot_be_opened(store: MemoryStore) -> None:
    """An entry whose personal data was changed or destroyed is listed without; the others with theirs."""
    vault = KeyVault(store.unit_of_work, MASTER)
    hers, his = [(await vault.sealing(person.user_id))(SAID) for person in (ANN, BEN)]
    gone = (await KeyVault(MemoryStore().unit_of_work, MASTER).sealing(ANN.user_id))(SAID)
    kept = {"whole": hers, "cut": hers[:-1], "foreign": his, "gone": gone, "none": None}
    for number, (action, personal) in enumerate(kept.items()):
        said = entry(number, user_id=ANN.user_id, action=action, personal=personal)
        await store.audit.record([said])
    answer = await ListAuditEntriesHandler(store.audit, vault).prepare(ListAuditEntries())
    told = {each.entry.action: each.personal for each in answer.unwrap().items}
    assert told == {"whole": json.loads(SAID), "cut": None, "foreign": None, "gone": None, "none": None}
