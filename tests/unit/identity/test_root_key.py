"""The key-encryption key and the root key, and hashes that follow their parameters."""

import asyncio
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from dashtam_core import Dashtam, Settings, UnavailableError, provide
from dashtam_core.audit import EntryFilter, Phase
from dashtam_core.identity import (
    OPERATOR,
    Argon2Hasher,
    CreateUser,
    ExternalSubject,
    IdentityCode,
    Keyring,
    LogIn,
    MasterKey,
    PasswordHasher,
    RetireKeys,
    Role,
    RotateKey,
    open_root,
)
from dashtam_core.identity._keyring import key_id, rotate
from dashtam_core.identity._permissions import ROLES
from dashtam_core.kernel import ANONYMOUS, UnavailableCode
from dashtam_core.memory import MemoryStore
from dashtam_core.memory._identity import MemoryRootKeys
from dashtam_core.messaging import RefusalCode
from unit.cli.toy import CommandLine

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
OPERATING = ExternalSubject("operator", OPERATOR)
PASSWORD = "violet harbour gravel 77"


async def derived(store: MemoryStore, key: str) -> bytes:
    """What a purpose gets in an application that opens the store with this key."""
    async with Dashtam.open(settings=Settings(key=key), store=store, plugins=()) as dashtam:
        return dashtam.container.get(Keyring).derive("a purpose")


async def refused(store: MemoryStore, key: str) -> bool:
    with pytest.raises(UnavailableError) as caught:
        await derived(store, key)
    return caught.value.code is UnavailableCode.MASTER_KEY_WRONG and key not in caught.value.message


async def test_the_key_is_replaced_while_serving() -> None:
    """Either key opens the store until the old one is retired; what hangs on the root key stays as it was."""
    store = MemoryStore()
    before = await derived(store, OLD)
    async with Dashtam.open(settings=Settings(key=OLD), store=store, plugins=()) as serving:
        operator = serving.acting_as(OPERATING)
        (await operator.execute(RotateKey(OLD, NEW))).unwrap()
        (await operator.execute(RotateKey(OLD, NEW))).unwrap()
        assert [await derived(store, key) for key in (OLD, NEW)] == [before, before]
        assert (await operator.execute(RetireKeys(NEW))).unwrap() == 1
        assert serving.container.get(Keyring).derive("a purpose") == before
    assert await derived(store, NEW) == before
    assert await refused(store, OLD)


async def test_another_key_opens_nothing() -> None:
    """Nor does it rotate, or retire the one that does."""
    store = MemoryStore()
    await derived(store, OLD)
    assert await refused(store, OTHER)
    async with Dashtam.open(settings=Settings(key=OLD), store=store, plugins=()) as dashtam:
        for command in (RotateKey(OTHER, NEW), RetireKeys(OTHER)):
            with pytest.raises(UnavailableError, match="DASHTAM_KEY"):
                await dashtam.acting_as(OPERATING).execute(command)
    assert len(await store.keys.wrappings()) == 1


async def test_the_key_is_for_operators_alone() -> None:
    """An administrator of people rotates nothing. What an operator did is on record by what keys are called."""
    store = MemoryStore()
    async with Dashtam.open(settings=Settings(key=OLD), store=store, plugins=()) as dashtam:
        for command in (RotateKey(OLD, NEW), RetireKeys(NEW)):
            admin = dashtam.acting_as(ExternalSubject("admin", ROLES[Role.ADMIN]))
            assert (await admin.execute(command)).failure().code is RefusalCode.PERMISSION_DENIED
            (await dashtam.acting_as(OPERATING).execute(command)).unwrap()
    done = await store.audit.entries(EntryFilter(), after=None, limit=100)
    told = {each.action: (each.resource_id, each.context) for each in done if each.phase is Phase.SUCCEEDED}
    assert told["rotate_key"] == (key_id(NEW), {"replaces": key_id(OLD)})
    assert told["retire_keys"] == (key_id(NEW), {"retired": 1})


async def test_stores_have_roots_of_their_own() -> None:
    """The same key over two new stores derives different keys."""
    assert await derived(MemoryStore(), OLD) != await derived(MemoryStore(), OLD)


async def test_a_store_of_before_keeps_its_root() -> None:
    """Where the key was the root key, it still is, by either name, and can be rotated like others."""
    store = MemoryStore()
    await store.keys.add("former", b"", beside=())
    root = MasterKey(OLD.encode()).derive("a purpose")
    assert await derived(store, OLD) == root
    async with Dashtam.open(settings=Settings(master_key=OLD), store=store, plugins=()) as dashtam:
        (await dashtam.acting_as(OPERATING).execute(RotateKey(OLD, NEW))).unwrap()
    assert [await derived(store, key) for key in (OLD, NEW)] == [root, root]
    assert "former" not in await store.keys.wrappings()


class FarAway(MemoryRootKeys):
    """Others get in between reading and writing."""

    async def wrappings(self) -> Mapping[str, bytes]:
        found = await super().wrappings()
        await asyncio.sleep(0)
        return found


async def test_a_store_of_before_is_not_rotated_under_another_key() -> None:
    """Any key opens it, for nobody can tell: but not to become the root of a trail that another key sealed."""
    store = MemoryStore()
    await store.keys.add("former", b"", beside=())
    async with Dashtam.open(settings=Settings(key=OLD), store=store, plugins=()) as dashtam:
        await dashtam.acting_as(OPERATING).execute(CreateUser("ann@example.org", PASSWORD))
    async with Dashtam.open(settings=Settings(key=OTHER), store=store, plugins=(), workers=False) as dashtam:
        with pytest.raises(UnavailableError, match="DASHTAM_KEY"):
            await dashtam.acting_as(OPERATING).execute(RotateKey(OTHER, NEW))
    assert list(await store.keys.wrappings()) == ["former"]


async def test_a_race_for_the_root_has_one_winner() -> None:
    """Many who open a new store at once have the same root key."""
    keys = FarAway()
    keyrings = await asyncio.gather(*(open_root(keys, OLD) for _ in range(8)))
    assert len({each.derive("a purpose") for each in keyrings}) == 1


class Overtaken(MemoryRootKeys):
    """Somebody else rotates as soon as there is one wrapping to be read."""

    async def wrappings(self) -> Mapping[str, bytes]:
        found = await super().wrappings()
        if found:
            self.kept["somebody else's"] = b""
        return found


async def test_a_rotation_that_is_overtaken_says_so() -> None:
    """It adds nothing beside what it has not seen, so that no key opens the store that nobody knows of."""
    keys = MemoryRootKeys()
    await open_root(keys, OLD)
    with pytest.raises(UnavailableError) as caught:
        await rotate(Overtaken(keys.kept), OLD, NEW)
    assert caught.value.code is IdentityCode.KEY_ROTATING
    assert set(keys.kept) == {key_id(OLD), "somebody else's"}


def test_a_key_is_called_by_all_of_it() -> None:
    """Keys that begin or end alike are different ones."""
    assert len({key_id(each) for each in (OLD, OLD[:-1] + "x", "x" + OLD[1:], OLD + "o")}) == 4
    assert {len(key_id(each)) for each in (OLD, OLD * 9)} == {16}


async def test_a_log_in_hashes_anew_what_is_out_of_date() -> None:
    """With other parameters the password is hashed once more, and is the same afterwards."""
    store, hashes = MemoryStore(), list[str]()
    for passes in (1, 2, 2):
        hasher = provide(PasswordHasher).value(Argon2Hasher(memory_kib=8, time_cost=passes))
        async with Dashtam.open(
            settings=Settings(key=OLD), store=store, plugins=(), overrides=[hasher]
        ) as dashtam:
            if not hashes:
                operator = dashtam.acting_as(OPERATING)
                (await operator.execute(CreateUser("ann@example.org", PASSWORD))).unwrap()
            (await dashtam.acting_as(ANONYMOUS).execute(LogIn("ann@example.org", PASSWORD))).unwrap()
            (kept,) = [
                each.data
                for some in store.identity.credentials.values()
                for each in some.values()
                if each.kind == "PASSWORD"
            ]
            hashes.append(kept)
    assert ["t=1" in hashes[0], "t=2" in hashes[1], hashes[1] == hashes[2]] == [True, True, True]


def test_the_command_line_rotates_and_retires(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The new key is written to a file for its owner alone, and opens what the old one did."""
    monkeypatch.setenv("DASHTAM_KEY", OLD)
    dashtam, file = CommandLine(), tmp_path / "new.key"
    assert dashtam("keys", "rotate", str(file)).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in dashtam("keys", "rotate", str(file)).output
    monkeypatch.delenv("DASHTAM_KEY")
    monkeypatch.setenv("DASHTAM_KEY_FILE", str(file))
    retired = dashtam("keys", "retire")
    assert (retired.exit_code, retired.stdout) == (0, "keys that open the store no more: 1\n")
    monkeypatch.delenv("DASHTAM_KEY_FILE")
    monkeypatch.setenv("DASHTAM_KEY", OLD)
    assert dashtam("keys", "retire").exit_code == 3
    assert dashtam("keys", "rotate", str(tmp_path / "none.key")).exit_code == 3
    assert not (tmp_path / "none.key").exists(), "a key that opens nothing is not kept"
