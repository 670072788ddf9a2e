"""What every store does that keeps people who log in here: accounts, credentials, limits and the root key."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest

from dashtam_core import identity
from dashtam_core.identity import (
    Credential,
    CredentialId,
    CredentialKind,
    EmailAddress,
    Rate,
    Role,
    User,
    UserStatus,
)
from dashtam_core.kernel import ANONYMOUS, Subject, UserId, new_id
from dashtam_core.store import Capability, IdentityStore, IdentityUnit, Store, identity_store
from dashtam_core.testing._conformance import Conformance
from dashtam_core.testing._lasting import Reopen, again
from dashtam_core.testing._shared import BrokenError, fields_of
from dashtam_core.testing.samples import ANN, BEN, NOON, TEXTS, event, hear_all

SESSION, TOKEN, API = CredentialKind.SESSION, CredentialKind.REFRESH_TOKEN, CredentialKind.API_TOKEN
LATER, SLOW = NOON + timedelta(hours=1), 3600.0
"""`SLOW` is more seconds than any test takes."""
ADMIN = Subject(UserId(new_id()), frozenset())
KEYS = {ANN: b"a" * 32, BEN: b"b" * 32}
"""Of their addresses."""
HERS, HIS, NONE = ["ann@x.org", "1", "1", "1"], ["ben@x.org", "1", "1", "1"], [None, "", "", ""]
"""What `has` tells of Ann and Ben at first, and of who has nothing."""


def user(of: Subject, email: str) -> User:
    return User(of.user_id, EmailAddress(email), Role.USER, UserStatus.UNVERIFIED, NOON)


def credential(kind: CredentialKind = TOKEN, digit: str = "1", of: Subject = ANN, **more: Any) -> Credential:
    """One of a person, known by its kind and digit."""
    said: dict[str, Any] = {
        "kind": kind,
        "secret_hash": hash_of(digit, of),
        "created_at": NOON,
        "data": digit,
    } | more
    return Credential(credential_id=CredentialId(new_id()), user_id=of.user_id, **said)


def hash_of(digit: str = "1", of: Subject = ANN) -> bytes:
    return bytes.fromhex(digit * 32) + of.user_id.bytes


async def ask[T](store: IdentityStore, subject: Subject, job: Callable[[IdentityUnit], Awaitable[T]]) -> T:
    async with store.unit_of_work(subject) as unit:
        return await job(unit)


async def refuse(store: IdentityStore, subject: Subject, job: Callable[[IdentityUnit], Awaitable[object]]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each store has its own way to refuse
        await ask(store, subject, job)


async def add(store: IdentityStore, of: Subject, *credentials: Credential) -> None:
    async with store.unit_of_work(of) as unit:
        for each in credentials:
            await unit.credentials.add(each)


async def take(store: IdentityStore, person: Subject, key: bytes) -> bool:
    return await ask(store, person, lambda unit: unit.users.claim(key))


async def owners(store: IdentityStore, *keys: bytes) -> list[UserId | None]:
    async with store.unit_of_work(ANONYMOUS) as unit:
        return [await unit.users.look_up(key) for key in keys]


async def has(unit: IdentityUnit) -> list[str | None]:
    """The address, and of each kind the credentials, of whom a unit acts for."""
    found = await unit.users.find()
    kinds = ["".join([each.data for each in await unit.credentials.list(kind)]) for kind in (SESSION, TOKEN, API)]
    return [None if found is None else found.email.text, *kinds]


def keeping(store: Store) -> IdentityStore:
    if Capability.IDENTITY not in store.capabilities:
        pytest.skip(f"{type(store).__name__} does not claim {Capability.IDENTITY}")
    return identity_store(store)


async def populated(store: Store) -> IdentityStore:
    """One in which Ann and Ben have an account, an address, an API token, and a session with a token each."""
    for person, (email, *_) in ((ANN, HERS), (BEN, HIS)):
        async with keeping(store).unit_of_work(person) as unit:
            await unit.users.add(user(person, email))
            assert await unit.users.claim(KEYS[person])
        session = credential(SESSION, of=person)
        token = credential(of=person, session_id=session.credential_id)
        await add(keeping(store), person, session, token, credential(API, of=person))
    return keeping(store)


class IdentityPromises(Conformance):
    """What a store keeps of people who log in, for stores with the capability `IDENTITY`."""

    @pytest.fixture
    async def people(self, store: Store) -> IdentityStore:
        return await populated(store)

    async def test_an_account_is_its_persons(self, people: IdentityStore) -> None:
        """Read as it was kept last, whatever is done to the entity; nobody adds a second, or changes another's."""
        new, hers, his = user(ADMIN, "new@x.org"), user(ANN, "x@x.org"), user(BEN, "x@x.org")
        await ask(people, ADMIN, lambda unit: unit.users.add(new))
        new.email = hers.email
        async with people.unit_of_work(ADMIN) as unit:
            found = await unit.users.find()
            assert found is not None
            assert fields_of(found) == fields_of(user(ADMIN, "new@x.org"))
            found.email, found.role, found.status = EmailAddress(TEXTS[0]), Role.ADMIN, UserStatus.LOCKED
            assert (await has(unit))[0] == "new@x.org"
            await unit.users.change(changed := attrs.evolve(found, created_at=LATER))
            changed.role = Role.READ_ONLY
            kept = await unit.users.find()
        assert kept is not None
        assert fields_of(kept) == fields_of(found)
        await refuse(people, ANN, lambda unit: unit.users.add(hers))
        await refuse(people, ANONYMOUS, lambda unit: unit.users.add(hers))
        await refuse(people, ANN, lambda unit: unit.users.change(his))
        await refuse(people, ANONYMOUS, lambda unit: unit.users.change(user(ANONYMOUS, "x@x.org")))
        assert [await ask(people, person, has) for person in (ANN, BEN, ANONYMOUS)] == [HERS, HIS, NONE]

    async def test_an_address_is_one_persons(self, people: IdentityStore) -> None:
        """Anybody finds whose it is. Who takes another lets go of the first, unless that other is taken."""
        one, two, new = *KEYS.values(), bytes(32)
        assert [await take(people, *each) for each in ((ANN, one), (ANN, two), (BEN, one))] == [True, False, False]
        assert await owners(people, one, two, new) == [ANN.user_id, BEN.user_id, None]
        assert [await take(people, *each) for each in ((ANN, new), (BEN, one))] == [True, True]
        assert await owners(people, one, two, new) == [BEN.user_id, None, ANN.user_id]

    async def test_of_many_who_take_an_address_at_once_one_has_it(self, people: IdentityStore) -> None:
        """Whoever comes too late keeps the one they had."""
        crowd = {id_: Subject(id_, frozenset()) for id_ in (UserId(new_id()) for _ in range(8))}
        assert all(await asyncio.gather(*(take(people, each, id_.bytes * 2) for id_, each in crowd.items())))
        won = await asyncio.gather(*(take(people, each, bytes(32)) for each in crowd.values()))
        (winner,) = [id_ for id_, has_it in zip(crowd, won, strict=True) if has_it]
        kept = [None if id_ == winner else id_ for id_ in crowd]
        assert await owners(people, bytes(32), *(id_.bytes * 2 for id_ in crowd)) == [winner, *kept]

    @pytest.mark.parametrize("limit", [1, 2, 9])
    async def test_everybodys_accounts_come_in_pages(self, people: IdentityStore, limit: int) -> None:
        """In the order of their ids, whoever asks; and then nobody else's is found, as before."""
        await ask(people, ADMIN, lambda unit: unit.users.add(user(ADMIN, "x@x.org")))
        found, after = list[tuple[UserId, str]](), None
        async with people.unit_of_work(ANONYMOUS) as unit:
            while page := await unit.users.page(after=after, limit=limit):
                assert len(page) <= limit
                found += [(each.user_id, each.email.text) for each in page]
                after = page[-1].user_id
            assert await has(unit) == NONE
        wanted = (ANN.user_id, "ann@x.org"), (BEN.user_id, "ben@x.org"), (ADMIN.user_id, "x@x.org")
        assert found == sorted(wanted)

    @pytest.mark.parametrize("person", [ANN, ADMIN], ids=["an account", "no account"])
    async def test_units_that_ask_to_be_alone_go_one_by_one(self, people: IdentityStore, person: Subject) -> None:
        """What one reads is what the one before left."""
        await ask(people, person, lambda unit: unit.credentials.drop([API]))

        async def count() -> None:
            unit = people.unit_of_work(person)
            for _ in range(2):
                async with unit:
                    await unit.users.find(alone=True)
                    counted = await unit.credentials.list(API)
                    await asyncio.sleep(0)
                    await unit.credentials.add(credential(API, str(len(counted)), person))

        await asyncio.gather(*(count() for _ in range(4)))
        assert sorted((await ask(people, person, has))[3] or "") == list("01234567")

    async def test_an_administrator_acts_for_somebody_for_a_while(self, people: IdentityStore) -> None:
        """All of theirs is at hand, nothing else, until it ends, in an error too; and events stay one's own."""
        await people.deliveries.register({"mail": ["Noted"]})
        told = event("told", ADMIN)
        async with people.unit_of_work(ADMIN) as unit:
            async with unit.users.acting_for(ANN.user_id):
                assert await has(unit) == HERS
                await unit.users.change(user(ANN, "new@x.org"))
                assert await unit.users.claim(bytes(32))
                await unit.credentials.add(credential(API, "2"))
                assert await unit.credentials.drop([SESSION]) == 1
                assert await unit.credentials.claim(API, hash_of(), NOON, "used")
                unit.outbox.add([told])
                with suppress(BrokenError):
                    async with unit.users.acting_for(BEN.user_id):
                        assert await has(unit) == HIS
                        raise BrokenError
                assert await has(unit) == ["new@x.org", "", "", "used2"]
            assert await has(unit) == NONE
            assert await unit.credentials.find(API, hash_of()) is None
        assert [await ask(people, person, has) for person in (ANN, BEN)] == [["new@x.org", "", "", "used2"], HIS]
        assert await owners(people, bytes(32)) == [ANN.user_id]
        assert await hear_all(people, "mail") == [told]

    async def test_a_credential_is_read_as_it_was_added(self, people: IdentityStore) -> None:
        """By its id, its hash and its kind, of which the first made comes first; its person alone finds it."""
        session = credential(SESSION, of=ADMIN, secret_hash=None, data=TEXTS[0])
        late = {"created_at": LATER, "expires_at": LATER, "used_at": NOON, "data": TEXTS[3]}
        whole = credential(TOKEN, "1", ADMIN, session_id=session.credential_id, **late)
        first = credential(TOKEN, "2", ADMIN)
        await add(people, ADMIN, session, whole, first)

        async def read(unit: IdentityUnit) -> list[Credential | None]:
            hers = unit.credentials
            by_hash = [await hers.find(kind, hash_of("1", ADMIN)) for kind in (TOKEN, API)]
            by_id = [await hers.get(each.credential_id) for each in (session, whole)]
            return [*by_hash, *by_id, *await hers.list(TOKEN)]

        assert await ask(people, ADMIN, read) == [whole, None, session, whole, first, whole]
        assert (await ask(people, ANN, read))[:4] == [None] * 4

    async def test_a_credential_is_its_persons(self, people: IdentityStore) -> None:
        """Nobody adds one of somebody else, or to their session, or what is there; nor uses or drops theirs."""
        (session,) = await ask(people, ANN, lambda unit: unit.credentials.list(SESSION))
        into = credential(TOKEN, "2", BEN, session_id=session.credential_id)
        for person, refused in ((BEN, credential(TOKEN, "2")), (BEN, into), (ANN, credential()), (ANN, session)):
            with pytest.raises(Exception):  # noqa: B017, PT011 - each store has its own way to refuse
                await add(people, person, refused)
        async with people.unit_of_work(BEN) as unit:
            assert await unit.credentials.claim(API, hash_of(), NOON) is None
            await unit.credentials.change(attrs.evolve(session, data="changed"))
            assert await unit.credentials.drop([SESSION], [session.credential_id]) == 0
            assert await unit.credentials.drop([SESSION]) == 1
        assert [await ask(people, person, has) for person in (ANN, BEN)] == [HERS, ["ben@x.org", "", "", "1"]]

    async def test_a_credential_is_used_once(self, people: IdentityStore) -> None:
        """Of 64 who use it at once one does, and it is kept as that one was told."""
        (unused,) = await ask(people, ANN, lambda unit: unit.credentials.list(API))

        async def use(number: int) -> Credential | None:
            return await ask(people, ANN, lambda unit: unit.credentials.claim(API, hash_of(), NOON, str(number)))

        answers = await asyncio.gather(*map(use, range(64)))
        (used,) = [(number, each) for number, each in enumerate(answers) if each is not None]
        assert used[1] == attrs.evolve(unused, used_at=NOON, data=str(used[0]))
        assert await ask(people, ANN, lambda unit: unit.credentials.find(API, hash_of())) == used[1]

    async def test_what_is_not_good_is_not_used(self, people: IdentityStore) -> None:
        """What was used, has expired to the microsecond, is of another kind, or is not there; nothing changes."""
        used, ends = credential(API, "2", used_at=NOON), credential(API, "3", expires_at=LATER)
        await add(people, ANN, used, ends)
        async with people.unit_of_work(ANN) as unit:
            for kind, digit in ((API, "2"), (API, "3"), (SESSION, "3"), (API, "4")):
                assert await unit.credentials.claim(kind, hash_of(digit), LATER, "used") is None
            assert [*await unit.credentials.list(API)][1:] == [used, ends]
            last = LATER - timedelta.resolution
            answer = await unit.credentials.claim(API, hash_of("3"), last)
            assert answer == attrs.evolve(ends, used_at=last), "without data it keeps its own"

    async def test_what_may_change_of_a_credential_is_kept_anew(self, people: IdentityStore) -> None:
        """Its data and two instants, also back to none; nothing comes back that was dropped."""
        one, gone = credential(API, "2", used_at=NOON, expires_at=LATER), credential(API, "3")
        await add(people, ANN, one, gone)
        kept = attrs.evolve(one, data="new", used_at=None, expires_at=None)
        async with people.unit_of_work(ANN) as unit:
            assert await unit.credentials.drop([API], [gone.credential_id]) == 1
            for each in (attrs.evolve(kept, kind=TOKEN, secret_hash=bytes(32), created_at=LATER), gone):
                await unit.credentials.change(each)
        assert [*await ask(people, ANN, lambda unit: unit.credentials.list(API))][1:] == [kept]

    async def test_a_session_goes_with_all_that_belongs_to_it(self, people: IdentityStore) -> None:
        """Its tokens are not counted; other sessions, kinds and people keep theirs; ids of none drop nothing."""
        other = credential(SESSION, "2")
        await add(people, ANN, other, credential(TOKEN, "2", session_id=other.credential_id))
        async with people.unit_of_work(ANN) as unit:
            (api,) = await unit.credentials.list(API)
            for ids in ([], [api.credential_id, CredentialId(new_id())]):
                assert await unit.credentials.drop([SESSION, TOKEN], ids) == 0
            assert await unit.credentials.drop([SESSION], [other.credential_id]) == 1
            assert await has(unit) == HERS
            assert await unit.credentials.drop([SESSION, TOKEN, API]) == 2
            assert await has(unit) == ["ann@x.org", "", "", ""]
        assert await ask(people, BEN, lambda unit: unit.credentials.drop([TOKEN])) == 1
        assert await ask(people, BEN, has) == ["ben@x.org", "1", "", "1"]

    async def test_a_session_that_ends_while_it_is_refreshed_is_gone(self, people: IdentityStore) -> None:
        """Of whoever refreshes, or ends it or everybody's, at once, none waits for ever; and nothing is left."""

        async def refresh(unit: IdentityUnit) -> None:
            used = await unit.credentials.claim(TOKEN, hash_of(), NOON)
            if used is not None and used.session_id is not None:
                session = await unit.credentials.get(used.session_id)
                assert session is not None, "it does not end before who uses a token of it is done"
                await unit.credentials.change(attrs.evolve(session, used_at=NOON))
                await unit.credentials.add(credential(TOKEN, "2", session_id=used.session_id))

        async def end(unit: IdentityUnit) -> None:
            await unit.credentials.drop([SESSION])

        async def end_all(unit: IdentityUnit) -> None:
            await unit.credentials.drop_everybodys([SESSION])

        jobs = (ANN, refresh), (ANN, refresh), (ANN, end), (ADMIN, end_all), (ANN, end)
        await asyncio.gather(*(ask(people, *each) for each in jobs))
        assert [(await ask(people, person, has))[1:] for person in (ANN, BEN)] == [["", "", "1"]] * 2

    async def test_a_unit_that_is_undone_changed_nothing_of_people(self, people: IdentityStore) -> None:
        """Accounts, addresses, uses, changes and drops, of oneself and of everybody, who are counted."""
        async with people.unit_of_work(ANN) as unit:
            await unit.users.change(user(ANN, "new@x.org"))
            assert await unit.users.claim(bytes(32))
            assert (await unit.credentials.claim(API, hash_of(), NOON, "new")) is not None
            await unit.credentials.change(attrs.evolve((await unit.credentials.list(API))[0], data="newer"))
            await unit.credentials.add(credential(API, "2"))
            assert await unit.credentials.drop([TOKEN]) == 1
            assert await unit.credentials.drop_everybodys([SESSION]) == 2
            async with unit.users.acting_for(ADMIN.user_id):
                await unit.users.add(user(ADMIN, "admin@x.org"))
            assert await has(unit) == ["new@x.org", "", "", "newer2"]
            unit.discard()
        assert [await ask(people, person, has) for person in (ANN, BEN, ADMIN)] == [HERS, HIS, NONE]
        assert await owners(people, bytes(32), KEYS[ANN]) == [None, ANN.user_id]
        await add(people, ANN, credential(API, "2"))

    async def test_who_is_erased_has_nothing_to_log_in_with(self, people: IdentityStore) -> None:
        """API tokens are counted. What they are told has all but what proves who they are, and then nothing."""
        await add(people, ANN, credential(API, "2"), credential(SESSION, "2", data="a secret"))
        told = await ask(people, ANN, lambda unit: unit.people.export())
        assert [len(told[name]) for name in ("person", "address", "credential")] == [1, 1, 5]
        assert all(str(text) in str(told) for text in ("ann@x.org", KEYS[ANN], SESSION.value))
        assert not any(str(text) in str(told) for text in (hash_of(), "a secret", "ben@x.org", KEYS[BEN]))
        for undone in (True, False):
            async with people.unit_of_work(ANN) as unit:
                assert (await unit.people.erase())["tokens"] == 2
                assert await has(unit) == NONE
                if undone:
                    unit.discard()
            after = [None, BEN.user_id] if not undone else [ANN.user_id, BEN.user_id]
            assert await owners(people, *KEYS.values()) == after
        assert [await ask(people, person, has) for person in (ANN, BEN)] == [NONE, HIS]
        assert not any((await ask(people, ANN, lambda unit: unit.people.export())).values())
        await add(people, ANN, credential())

    async def test_people_outlive_the_process(self, people: IdentityStore, reopen: Reopen | None) -> None:
        """Accounts, addresses, credentials and the root key are there when the store is opened again."""
        assert await people.keys.add("one", b"wrapped", beside=())
        keeper = identity_store(await again(people, reopen))
        assert [await ask(keeper, person, has) for person in (ANN, BEN)] == [HERS, HIS]
        assert await owners(keeper, *KEYS.values()) == [ANN.user_id, BEN.user_id]
        assert await keeper.keys.wrappings() == {"one": b"wrapped"}

    async def test_a_wrapping_is_added_beside_those_that_are_there(self, store: Store) -> None:
        """And beside no others, so that of many who make the root key at once one does; any may be dropped."""
        keys = keeping(store).keys
        assert await asyncio.gather(*(keys.wrappings() for _ in range(8))) == [{}] * 8
        made = await asyncio.gather(*(keys.add(str(number), bytes([number]), beside=()) for number in range(8)))
        (first,) = [str(number) for number, added in enumerate(made) if added]
        tries = ("new", ()), ("new", [first, "other"]), (first, [first]), ("new", [first])
        assert [await keys.add(each, bytes(256), beside=of) for each, of in tries] == [False, False, False, True]
        assert await keys.wrappings() == {first: bytes([int(first)]), "new": bytes(256)}
        await keys.drop(first)
        await keys.drop("unknown")
        assert await keys.wrappings() == {"new": bytes(256)}


class RateLimiterConformance(Conformance):
    """The promises of the port `RateLimiter`. The fixture `limiter` gives one that has counted nothing."""

    @pytest.fixture
    async def limiter(self, store: Store) -> identity.RateLimiter:
        """That of the store, in a suite for stores."""
        return keeping(store).limits

    async def test_so_many_get_in_at_once_and_no_more(self, limiter: identity.RateLimiter) -> None:
        """Each key counts for itself, however long and odd; whoever wants nothing gets it."""
        for key in ("a", "", "\0\ud800'\n", "long " * 2_000, "long " * 2_000 + "."):
            waits = [await _wait(limiter, {key: Rate(3, SLOW)}) for _ in range(5)]
            assert waits[:3] == [0.0] * 3
            assert all(SLOW - 60 < wait <= SLOW for wait in waits[3:])
        assert await _wait(limiter, {}) == 0.0

    async def test_what_is_left_is_told(self, limiter: identity.RateLimiter) -> None:
        """Of the key with the least room: how many more at once, and when it has all its room again."""
        wide, narrow = {"wide": Rate(10, SLOW)}, {"narrow": Rate(3, 2 * SLOW)}
        assert [(await limiter.take(wide | narrow)).left for _ in range(4)] == [2, 1, 0, 0]
        last = await limiter.take(wide)
        assert (last.wait, last.left) == (0.0, 6)
        assert 4 * SLOW - 60 < last.full_in <= 4 * SLOW

    async def test_all_have_room_or_none_is_counted(self, limiter: identity.RateLimiter) -> None:
        """The wait is that of the key that has room last."""
        full, free = {"full": Rate(1, SLOW), "fuller": Rate(1, 3 * SLOW)}, {"free": Rate(1, SLOW)}
        assert await _wait(limiter, full) == 0.0
        for wanted in (full, full | free, free | full):
            assert 2 * SLOW < await _wait(limiter, wanted) <= 3 * SLOW
        assert await _wait(limiter, free) == 0.0

    async def test_of_many_at_once_no_more_get_in(self, limiter: identity.RateLimiter) -> None:
        """Nor do those wait for each other for ever who want the same keys in another order."""
        rates = {"a": Rate(7, SLOW), "b": Rate(9, SLOW)}
        turned = dict(reversed(rates.items()))
        waits = await asyncio.gather(*(_wait(limiter, turned if number % 2 else rates) for number in range(20)))
        assert waits.count(0.0) == 7
        assert [await _wait(limiter, {"b": Rate(9, SLOW)}) for _ in range(3)].count(0.0) == 2

    @pytest.mark.parametrize("seed", range(5))
    async def test_no_more_get_in_than_the_rate_allows(self, limiter: identity.RateLimiter, seed: int) -> None:
        """Never more than the burst and one an interval, one by one or 20 at once; who waits as told gets in."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        rates = {key: Rate(chance.randint(1, 6), chance.uniform(0.001, 0.05)) for key in "abc"}
        counted, start = dict.fromkeys(rates, 0), time.monotonic()
        for takers in chance.choices((1, 1, 1, 5, 20), k=25):
            wanted = [dict(chance.sample([*rates.items()], chance.randint(1, 3))) for _ in range(takers)]
            waits = await asyncio.gather(*(_wait(limiter, each) for each in wanted))
            for each in (each for each, wait in zip(wanted, waits, strict=True) if wait == 0.0):
                counted |= {key: counted[key] + 1 for key in each}
            passed = time.monotonic() - start
            assert all(counted[key] <= rate.burst + passed / rate.seconds + 0.01 for key, rate in rates.items())
        if wait := await _wait(limiter, rates):
            await asyncio.sleep(wait + 0.01)
            assert await _wait(limiter, rates) == 0.0


async def _wait(limiter: identity.RateLimiter, wanted: Mapping[str, Rate]) -> float:
    return (await limiter.take(wanted)).wait
