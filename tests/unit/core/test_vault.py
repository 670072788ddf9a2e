"""Personal data in the trail: read by its person's key alone, and by nobody once the person is erased."""

import asyncio
import json
from datetime import datetime

import pytest

from dashtam_core import Dashtam, Settings, provide
from dashtam_core.audit import EntryFilter, KeyVault, ListAuditEntries, PersonalVault, PersonKey, Seal, _vault
from dashtam_core.audit._queries import ListAuditEntriesHandler
from dashtam_core.identity import (
    OPERATOR,
    CreateApiToken,
    EraseUser,
    ExportUser,
    ExternalSubject,
    RequestPasswordReset,
)
from dashtam_core.kernel import ANONYMOUS, Origin, Subject, UnavailableError, UserId
from dashtam_core.memory import MemoryStore, MemoryVault
from unit.audit.logs import entry

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
MASTER = bytes(range(32))
SAID = b'{"ip_address":"192.0.2.1","filename":"taxes of Ann.ofx"}'


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def erase_from(store: MemoryStore, person: Subject) -> None:
    async with store.unit_of_work(person) as unit:
        await unit.people.erase()


async def test_encrypted_data_says_that_it_was_changed(store: MemoryStore) -> None:
    """Whatever follows the name of the key is vouched for: changed, it is refused with a `ValueError`."""
    vault = KeyVault(store.unit_of_work, MASTER)
    sealed = (await vault.sealing(ANN.user_id))(SAID)
    for changed in (sealed[:-1], sealed[:-1] + b"?", sealed[:28], sealed[:20], b""):
        with pytest.raises(ValueError, match="not as it was sealed"):
            await vault.open(ANN.user_id, changed)


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
    with pytest.raises(ValueError, match="DASHTAM_KEY"):
        await other.open(ANN.user_id, sealed)
    with pytest.raises(UnavailableError, match="DASHTAM_KEY"):
        await other.sealing(ANN.user_id)


async def test_a_key_is_kept_wrapped(store: MemoryStore) -> None:
    """What the store holds of a key opens nothing by itself."""
    await KeyVault(store.unit_of_work, MASTER).sealing(ANN.user_id)
    (kept,) = store.people[ANN.user_id].keys.values()
    assert len(kept.wrapped) == 12 + 32 + 16
    assert repr(kept.wrapped) not in repr(kept)


async def test_who_comes_back_after_erasure_has_a_new_key(store: MemoryStore) -> None:
    """What is on record from before is told without its personal data; what comes later is readable."""
    settings, origin = Settings(key="k" * 32), Origin(ip_address="192.0.2.1")
    async with Dashtam.open(settings=settings, store=store, plugins=(), workers=False) as dashtam:
        ann = dashtam.acting_as(ANN, origin)
        (await ann.execute(CreateApiToken("before"))).unwrap()
        (await ann.execute(EraseUser())).unwrap()
        await asyncio.sleep(0)
        (await ann.execute(CreateApiToken("after"))).unwrap()
        told = (await ann.ask(ExportUser())).unwrap()["audit_entry"]
        operator = dashtam.acting_as(ExternalSubject("operator", OPERATOR))
        page = (await operator.ask(ListAuditEntries(EntryFilter(user_id=ANN.user_id), limit=50))).unwrap()
    read = [each.personal for each in reversed(page.items) if each.entry.action == "create_api_token"]
    assert read == [None, None, *[{"ip_address": "192.0.2.1"}] * 2]
    (erased,) = [each.entry for each in page.items if each.entry.action == "erase_user" and each.entry.context]
    assert (erased.resource_id, erased.context["tokens"]) == (str(ANN.user_id), 1)
    assert [each.entry.action for each in page.items][:2] == ["export_user"] * 2
    assert all(datetime.fromisoformat(each["occurred_at"]).isoformat() == each["occurred_at"] for each in told)
    made = [each["personal"] for each in told if each["action"] == "create_api_token"]
    assert made == [None, None, *['{"ip_address": "192.0.2.1"}'] * 2]


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
    assert await vault.open(ANN.user_id, (await vault.sealing(ANN.user_id, fresh=True))(SAID)) == SAID
    assert len(asked) == 3, "it is asked for afresh where nobody may learn that it was remembered"


class Watched(MemoryVault):
    """Whose key was asked for, and whether afresh."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = list[tuple[UserId, bool]]()

    async def sealing(self, user_id: UserId, /, *, fresh: bool = False) -> Seal:
        self.asked.append((user_id, fresh))
        return await super().sealing(user_id, fresh=fresh)


async def test_how_long_a_log_in_takes_tells_nothing_of_who_was_here(store: MemoryStore) -> None:
    """A person's key is asked for once by each message, and afresh by one that anybody may send."""
    ports = [provide(PersonalVault).value(vault := Watched())]
    settings = Settings(key="k" * 32)
    async with Dashtam.open(settings=settings, store=store, plugins=(), overrides=ports) as dashtam:
        (await dashtam.acting_as(ANN).execute(CreateApiToken("phone"))).unwrap()
        await dashtam.acting_as(ANONYMOUS).execute(RequestPasswordReset("nobody@example.org"))
    assert vault.asked == [(ANN.user_id, False), (ANONYMOUS.user_id, True)]


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
