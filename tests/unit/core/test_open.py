"""Opening Dashtam: what it needs, what it says when something is missing, and the key it keeps."""

import logging
import stat
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dashtam_core import AssemblyError, Dashtam, PluginError, Settings, UnavailableError, app, hookimpl, provide
from dashtam_core.accounts import ImportStatement, ListAccounts
from dashtam_core.app import _kept_secret, key_of
from dashtam_core.audit import CryptographyMissingError
from dashtam_core.container import Binding
from dashtam_core.identity import ExternalSubject, Keyring, MasterKey
from dashtam_core.kernel import ErrorCode, KernelCode, UnavailableCode
from dashtam_core.memory import MemoryStore, open_memory_store
from dashtam_core.messaging import Route
from dashtam_core.plugins import StoreOpener
from dashtam_core.store import Capability, Store
from dashtam_core.testing.samples import LinesPlugin, lines
from unit.logs.recording import recorded

ANN = ExternalSubject("ann")
KEY = "k" * 32


class Embedded:
    """Opens what the test gives it under the scheme of the embedded store, and notes when it is closed."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or MemoryStore()
        self.steps: list[str] = []

    @hookimpl
    def dashtam_stores(self) -> Mapping[str, StoreOpener]:
        return {"embedded": self.open, "lasting": self.open}

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncGenerator[Store]:
        self.steps.append(f"open {settings.store_url}")
        try:
            yield self.store
        finally:
            self.steps.append("close")


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def refused(settings: Settings | None, store: Store | None = None) -> tuple[ErrorCode, str]:
    with pytest.raises(UnavailableError) as caught:
        async with Dashtam.open(settings=settings, store=store, plugins=[Embedded()]):
            pass
    return caught.value.code, caught.value.message


async def test_in_memory_nothing_is_needed() -> None:
    """Without settings there is a store that lasts as long as the application, with a key of its own."""
    async with Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as dashtam:
        await dashtam.ping()
        me = dashtam.acting_as(ANN)
        assert (await me.execute(ImportStatement(lines("account;1")))).unwrap().document.added == 0
    async with Dashtam.open(settings=Settings(store_url="memory:"), plugins=[]) as dashtam:
        assert (await dashtam.acting_as(ANN).ask(ListAccounts())).unwrap().items == []


async def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives no settings has those of the environment, and a wrong one is named."""
    monkeypatch.setenv("DASHTAM_STORE_URL", "memory:")
    async with Dashtam.open(plugins=[]) as dashtam:
        await dashtam.ping()
    monkeypatch.setenv("DASHTAM_MASTER_KEY", "short")
    code, message = await refused(None)
    assert code is KernelCode.SETTING_INVALID
    assert message.startswith("DASHTAM_MASTER_KEY has 5 characters")


async def test_an_unknown_scheme_is_refused() -> None:
    """A URL that nobody opens is a store that is not configured."""
    code, message = await refused(Settings(store_url="nosuch://host", master_key=KEY))
    assert code is UnavailableCode.STORE_NOT_CONFIGURED
    assert "'nosuch'" in message


@pytest.mark.parametrize(
    ("url", "given"), [("lasting:", False), (None, True), ("memory:", True), ("embedded:", True)]
)
async def test_data_that_lasts_needs_a_key(url: str | None, given: bool) -> None:
    """A key that is new each time would lose every account, so there is none for a store that may be kept."""
    code, message = await refused(Settings(store_url=url), MemoryStore() if given else None)
    assert code is UnavailableCode.STORE_NOT_CONFIGURED
    assert "DASHTAM_KEY is not set" in message
    assert "secrets.token_urlsafe(32)" in message


async def test_a_short_key_is_refused() -> None:
    """A key that did not come through the environment is measured all the same, and not shown."""
    with pytest.raises(ValueError, match="32") as caught:
        async with Dashtam.open(settings=Settings(master_key="hunter2"), plugins=[]):
            pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("overrides", [[], [provide(Keyring).by(lambda: MasterKey(b"x" * 32))]])
async def test_a_store_that_is_given_stays_open(overrides: list[Binding]) -> None:
    """An embedder's store serves under their key or their keyring, and outlives the application."""
    store, settings = MemoryStore(), Settings(master_key=None if overrides else KEY)
    data = lines("account;DE123456")
    for already in (False, True):
        opened = Dashtam.open(settings=settings, store=store, plugins=[LinesPlugin()], overrides=overrides)
        async with opened as dashtam:
            assert dashtam.store is store
            me = dashtam.acting_as(ANN)
            report = (await me.execute(ImportStatement(data))).unwrap()
            assert report.already_imported is already
            assert len((await me.ask(ListAccounts())).unwrap().items) == 1


async def test_a_store_that_was_opened_is_closed() -> None:
    """The adapter's context ends with the application, also when the block raises."""
    plugin = Embedded()
    with pytest.raises(ZeroDivisionError):
        async with Dashtam.open(settings=Settings(store_url="lasting:", master_key=KEY), plugins=[plugin]):
            raise ZeroDivisionError
    assert plugin.steps == ["open lasting:", "close"]


async def test_what_does_not_fit_opens_nothing() -> None:
    """A binding or a plugin's route with a gap is found at start, before a store is opened."""

    def needy(missing: Path) -> Keyring:
        raise NotImplementedError

    def handler(missing: Path) -> Any:
        raise NotImplementedError

    class Ask(ListAccounts): ...

    class Gap:
        @hookimpl
        def dashtam_routes(self) -> Iterable[Route]:
            return [Ask.handled_by(handler)]

    plugin = Embedded()
    told = Settings(store_url="lasting:", master_key=KEY)
    with pytest.raises(AssemblyError, match=r"nothing provides Path, needed by .*Keyring"):
        async with Dashtam.open(settings=told, plugins=[plugin], overrides=[provide(Keyring).by(needy)]):
            pass
    with pytest.raises(PluginError, match=r"the plugin Gap cannot be used: .* nothing provides Path, needed by "):
        async with Dashtam.open(settings=told, plugins=[plugin, Gap()]):
            pass
    assert plugin.steps == []


async def test_two_applications_are_apart() -> None:
    """Nothing is global: what one in-memory application has the other does not."""
    async with (
        Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as one,
        Dashtam.open(settings=Settings(), plugins=[LinesPlugin()]) as two,
    ):
        (await one.acting_as(ANN).execute(ImportStatement(lines("account;1")))).unwrap()
        assert len((await one.acting_as(ANN).ask(ListAccounts())).unwrap().items) == 1
        assert (await two.acting_as(ANN).ask(ListAccounts())).unwrap().items == []


async def test_the_key_beside_an_embedded_store_is_kept(tmp_path: Path) -> None:
    """An embedded store has its key made once, readable by its owner alone, and matches accounts ever after."""
    settings = Settings(store_url="embedded:", data_dir=tmp_path / "new" / "folder")
    store, names = MemoryStore(), list[bytes]()
    for number in ("DE123456", "de12 3456"):
        async with Dashtam.open(settings=settings, plugins=[Embedded(store), LinesPlugin()]) as dashtam:
            me = dashtam.acting_as(ANN)
            await me.execute(ImportStatement(lines(f"account;{number}")))
            names += [each.account.account_key for each in (await me.ask(ListAccounts())).unwrap().items]
    assert len(names) == 2
    assert len(set(names)) == 1
    file = settings.data_dir / "dashtam.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text()) >= 43
    assert names_in(settings.data_dir) == ["dashtam.key"]


def test_a_race_for_the_key_has_one_winner(tmp_path: Path) -> None:
    """Many who start at once on a new folder all have the same key."""
    for round_ in range(10):
        file = tmp_path / str(round_) / "dashtam.key"
        with ThreadPoolExecutor(8) as threads:
            keys = list(threads.map(_kept_secret, [file] * 8))
        assert len(set(keys)) == 1
        assert len(keys[0]) >= 43
        assert names_in(file.parent) == ["dashtam.key"]


def _without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_can_encrypt", lambda: False)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)


class Lasting(MemoryStore):
    """Says that it keeps what it is told."""

    capabilities = MemoryStore.capabilities | {Capability.IMMUTABLE_AUDIT}


async def test_data_that_lasts_is_not_opened_without_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing to open the root key with, nothing is derived of another one, and what is missing is named."""
    _without_cryptography(monkeypatch)
    with pytest.raises(CryptographyMissingError, match=r"dashtam-core\[crypto\]"):
        async with Dashtam.open(settings=Settings(key=KEY), store=Lasting(), plugins=[]):
            pass


class Keyless(MemoryStore):
    """Keeps nobody who logs in, and no root key."""

    capabilities = frozenset({Capability.TRANSACTIONS})


@pytest.mark.parametrize("store", [MemoryStore, Keyless])
async def test_without_a_wrapped_root_the_key_is_the_root(
    monkeypatch: pytest.MonkeyPatch, store: type[MemoryStore]
) -> None:
    """Where data in memory has nothing to wrap it with, and where a store has no place for it."""
    if store is MemoryStore:
        _without_cryptography(monkeypatch)
    async with Dashtam.open(settings=Settings(key=KEY), store=(kept := store()), plugins=[]) as dashtam:
        assert dashtam.container.get(Keyring).derive("a purpose") == MasterKey(KEY.encode()).derive("a purpose")
    assert kept.keys.kept == {}


def test_a_kept_key_is_in_no_line_of_the_log(tmp_path: Path) -> None:
    """From the moment that it is read."""
    with recorded() as stream:
        key = key_of(Settings(store_url="embedded:", data_dir=tmp_path))
        logging.getLogger("dashtam_core").warning("the key is %s", key)
    assert "the key is" in stream.getvalue()
    assert str(key) not in stream.getvalue()


def test_a_new_name_comes_before_the_former_one(tmp_path: Path) -> None:
    """In the settings the key before the master key; beside an embedded store, the file that is there already."""
    assert key_of(Settings(key=KEY[::-1], master_key=KEY)) == KEY[::-1]
    (tmp_path / "master.key").write_text(f"{KEY}\n")
    assert key_of(Settings(store_url="embedded:", data_dir=tmp_path)) == KEY
    assert names_in(tmp_path) == ["master.key"]


async def test_each_store_in_memory_has_a_root_key_of_its_own() -> None:
    """Made anew, so that nobody who reads the source derives anything."""
    derived = set[bytes]()
    for _ in range(2):
        async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
            derived.add(dashtam.container.get(Keyring).derive("a purpose"))
    assert len(derived) == 2


async def test_a_configured_key_comes_before_the_kept_one(tmp_path: Path) -> None:
    """With a key in the settings no file is made."""
    settings = Settings(store_url="embedded:", data_dir=tmp_path, master_key=KEY)
    async with Dashtam.open(settings=settings, plugins=[Embedded()]):
        assert names_in(tmp_path) == []


async def test_the_store_in_memory_is_the_default_adapter() -> None:
    """The function behind `memory:` yields a new store each time."""
    async with open_memory_store() as one, open_memory_store() as two:
        assert one is not two
