"""Subjects and tokens: stable ids, secrets shown once and kept nowhere."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core import Actor, Dashtam, Settings, provide
from dashtam_core.accounts import ListAccounts
from dashtam_core.identity import (
    ACCOUNTS_READ,
    OWNER,
    TOKENS_WRITE,
    Authenticate,
    CreateApiToken,
    CredentialKind,
    ExternalSubject,
    IdentityCode,
    ListApiTokens,
    MasterKey,
    RevokeApiToken,
)
from dashtam_core.identity._keyring import MIN_KEY_CHARACTERS
from dashtam_core.kernel import ANONYMOUS, PUBLIC, Clock, Permission, Subject
from dashtam_core.memory import FixedClock, MemoryStore
from dashtam_core.messaging import RefusalCode

ANN = ExternalSubject("ann")
SETTINGS = Settings(master_key="k" * 32)


@pytest.mark.parametrize(
    ("external_id", "user_id"),
    [
        ("auth0|1", "30c27a4c-0f52-56ca-b7d4-baa0fcc4cb27"),
        ("ann", "f8ff0b83-d9dc-5ea8-ba9a-6afaf5526e0e"),
        ("\u00fc \U0001f600", "410cf090-d4d4-592b-8cb6-390e71e121eb"),
    ],
)
def test_an_external_id_is_always_the_same_person(external_id: str, user_id: str) -> None:
    """The person behind an id does not change between releases: everything they have hangs on it."""
    assert ExternalSubject(external_id).user_id == UUID(user_id)
    assert ExternalSubject(external_id) == ExternalSubject(external_id)


def test_different_ids_are_different_people() -> None:
    """Case and spaces belong to the id, and an id is not empty."""
    assert len({ExternalSubject(each).user_id for each in ("ann", "Ann", " ann", "ann ", "0")}) == 5
    with pytest.raises(ValueError, match="external subject"):
        ExternalSubject("")


def test_a_subject_may_what_it_was_given() -> None:
    """Permissions are those of the set, and what is public everybody may."""
    reader = ExternalSubject("ann", frozenset({ACCOUNTS_READ}))
    assert [reader.may(each) for each in (ACCOUNTS_READ, TOKENS_WRITE, PUBLIC)] == [True, False, True]
    assert [each for each in (*OWNER, PUBLIC) if ANONYMOUS.may(each)] == [PUBLIC]
    assert not reader.may(Permission("accounts:"))
    assert all(ANN.may(each) for each in OWNER)


async def token_of(actor: Actor, name: str) -> str:
    return (await actor.execute(CreateApiToken(name))).unwrap().token


async def test_a_token_opens_what_is_its_makers() -> None:
    """A token names its maker, whoever presents it, and is not the same twice."""
    async with Dashtam.open(settings=SETTINGS, plugins=[]) as dashtam:
        made = [await token_of(dashtam.acting_as(ANN), "phone") for _ in range(2)]
        assert len(set(made)) == 2
        for token in made:
            assert token.startswith("dashtam_")
            assert len(token) >= len("dashtam_") + 43, "256 bits"
            subject: Subject = (await dashtam.authenticate(token)).unwrap()
            assert subject.user_id == ANN.user_id
            assert (await dashtam.acting_as(subject).ask(ListAccounts())).unwrap().items == []


async def test_a_token_that_is_not_known_is_refused() -> None:
    """Changed, shortened, hashed and odd texts are all refused alike, as not known."""
    async with Dashtam.open(settings=SETTINGS, plugins=[]) as dashtam:
        token = await token_of(dashtam.acting_as(ANN), "phone")
        hashed = hashlib.sha256(token.encode()).hexdigest()
        odd = [token[:-1], token + "A", token.upper(), f" {token}", token[8:], hashed, "", "\ud800", "x" * 100_000]
        refusals = {(await dashtam.authenticate(each)).failure() for each in odd}
    assert {each.code for each in refusals} == {IdentityCode.TOKEN_UNKNOWN}
    assert len(refusals) == 1, "nobody learns how near they were"


async def test_only_the_hash_of_a_token_is_kept() -> None:
    """The token is in nothing that is stored or printed; its SHA-256 is what is stored."""
    clock, store = FixedClock(datetime(2026, 5, 1, tzinfo=UTC)), MemoryStore()
    told = [provide(Clock).by(lambda: clock)]
    async with Dashtam.open(settings=SETTINGS, store=store, plugins=[], overrides=told) as dashtam:
        token = await token_of(dashtam.acting_as(ANN), "  phone ")
        (view,) = (await dashtam.acting_as(ANN).ask(ListApiTokens())).unwrap()
        async with store.unit_of_work(ANN) as unit:
            (record,) = await unit.credentials.list(CredentialKind.API_TOKEN)
    assert record.secret_hash == hashlib.sha256(token.encode()).digest()
    assert (record.user_id, view.name, record.created_at) == (ANN.user_id, "phone", clock.now())
    shown = f"{vars(store)} {record!r} {Authenticate(token)!r} {CreateApiToken('phone')!r}"
    assert token not in shown
    assert token[-64:] not in shown
    assert hashlib.sha256(token.encode()).hexdigest() not in shown


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, " " + "x" * 101])
async def test_a_token_has_a_name(name: str) -> None:
    """A name of none or more than 100 characters is refused, and no token is made."""
    store = MemoryStore()
    async with Dashtam.open(settings=SETTINGS, store=store, plugins=[]) as dashtam:
        refused = (await dashtam.acting_as(ANN).execute(CreateApiToken(name))).failure()
        assert refused.code is IdentityCode.TOKEN_NAME_INVALID
        assert await token_of(dashtam.acting_as(ANN), "x" * 100)
        assert len((await dashtam.acting_as(ANN).ask(ListApiTokens())).unwrap()) == 1


async def test_a_person_has_so_many_tokens() -> None:
    """A hundred at one time; one that is revoked makes room."""
    async with Dashtam.open(settings=SETTINGS, plugins=[]) as dashtam:
        ann = dashtam.acting_as(ANN)
        made = [(await ann.execute(CreateApiToken("phone"))).unwrap() for _ in range(100)]
        assert (await ann.execute(CreateApiToken("phone"))).failure().code is IdentityCode.TOKENS_TOO_MANY
        (await ann.execute(RevokeApiToken(made[0].token_id))).unwrap()
        assert await token_of(ann, "phone")


async def test_making_a_token_takes_a_permission() -> None:
    """Who may not make tokens is refused, and so is nobody in particular."""
    async with Dashtam.open(settings=SETTINGS, plugins=[]) as dashtam:
        for subject in (ANONYMOUS, ExternalSubject("ann", OWNER - {TOKENS_WRITE})):
            refused = (await dashtam.acting_as(subject).execute(CreateApiToken("phone"))).failure()
            assert refused.code is RefusalCode.PERMISSION_DENIED


async def test_a_token_gives_no_more_than_its_maker_had() -> None:
    """Somebody who may make tokens and nothing else gains nothing by making one."""
    async with Dashtam.open(settings=SETTINGS, plugins=[]) as dashtam:
        limited = dashtam.acting_as(ExternalSubject("ann", frozenset({TOKENS_WRITE})))
        token = await token_of(limited, "phone")
        subject: Subject = (await dashtam.authenticate(token)).unwrap()
    assert not subject.may(ACCOUNTS_READ)


TOKEN_KEPT = """
import asyncio
from dashtam_core import Dashtam, Settings
from dashtam_core.identity import CreateApiToken, ExternalSubject

async def main():
    async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
        token = (await dashtam.acting_as(ExternalSubject("ann")).execute(CreateApiToken("phone"))).unwrap().token
        print(type(await dashtam.authenticate(token)).__name__)

asyncio.run(main())
"""


def test_tokens_are_kept_without_assertions() -> None:
    """What an assertion says is checked, not done: with `python -O` a token still works."""
    done = subprocess.run([sys.executable, "-O", "-c", TOKEN_KEPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Success"


@given(st.binary(max_size=MIN_KEY_CHARACTERS - 1))
def test_a_short_master_key_is_refused(secret: bytes) -> None:
    """A key that could be guessed is no key, and is not shown."""
    with pytest.raises(ValueError, match=str(MIN_KEY_CHARACTERS)):
        MasterKey(secret)


def test_purposes_have_keys_of_their_own() -> None:
    """A purpose has one key of 32 bytes for each secret, and the secret is not shown."""
    one, other = MasterKey(b"a" * 32), MasterKey(b"b" * 32)
    derived = [one.derive("cursor"), one.derive("account-number"), other.derive("cursor")]
    assert len(set(derived)) == 3
    assert {len(each) for each in derived} == {32}
    assert MasterKey(b"a" * 32).derive("cursor") == derived[0]
    assert "aaaa" not in repr(one)
