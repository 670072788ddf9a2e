"""The plugin loader: what is broken is named, and the others work."""

import importlib
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dashtam_core import Dashtam, PluginError, Settings, UnavailableError, hookimpl
from dashtam_core.accounts import ImportStatement, StatementReader
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import UnavailableCode
from dashtam_core.memory import open_memory_store
from dashtam_core.plugins import PluginReport, Plugins, StoreOpener
from unit.core.json_reader import JsonPlugin, JsonReader, statement


class Stores:
    """A plugin that opens the store in memory under a scheme of its own."""

    def __init__(self, *schemes: str) -> None:
        self.schemes = schemes

    @hookimpl
    def dashtam_stores(self) -> Mapping[str, StoreOpener]:
        return dict.fromkeys(self.schemes, open_memory_store)


class OtherStores(Stores):
    """The same by another class."""


class Readers:
    """A plugin with readers of these names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        for name in self.names:
            reader = JsonReader()
            reader.name = name
            yield reader


def report(plugins: Plugins, name: str) -> PluginReport:
    (found,) = [each for each in plugins.reports if each.name == name]
    return found


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group="dashtam")


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules in the folder can be imported, and are imported anew."""
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    importlib.invalidate_caches()
    for module in folder.glob("*.py"):
        monkeypatch.delitem(sys.modules, module.stem, raising=False)


def names(plugins: Plugins) -> list[str]:
    return [each.name for each in plugins.readers]


def test_memory_is_always_there() -> None:
    """The built-in store comes through the same door as every other, and is reported like it."""
    plugins = Plugins.of()
    assert list(plugins.stores) == ["memory"]
    found = report(plugins, "memory")
    assert (found.distribution, found.provides, found.active) == ("dashtam-core", ("store memory",), True)


def test_readers_are_asked_in_the_order_of_their_plugins() -> None:
    """The plugin that was given first is asked first."""
    assert names(Plugins.of([Readers("a", "b"), JsonPlugin()])) == ["a", "b", "json"]
    assert names(Plugins.of([JsonPlugin(), Readers("a", "b")])) == ["json", "a", "b"]


def test_a_report_says_what_a_plugin_provides() -> None:
    """A plugin is reported with each thing it brings."""
    plugins = Plugins.of([Readers("a", "b"), Stores("one")])
    assert report(plugins, "Readers").provides == ("reader a", "reader b")
    assert report(plugins, "Stores").provides == ("store one",)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("json:no_such_name", "AttributeError"),
        ("broken_by_syntax", "SyntaxError"),
        ("broken_by_itself", "ZeroDivisionError"),
    ],
)
def test_a_broken_import_is_named_and_others_work(
    value: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an import raises is that plugin's problem: it is reported, and the next plugin is loaded."""
    (tmp_path / "broken_by_syntax.py").write_text("def")
    (tmp_path / "broken_by_itself.py").write_text("1 / 0")
    on_path(tmp_path, monkeypatch)
    plugins = Plugins.of()
    plugins.add_installed(entry("broken", value))
    plugins.add(JsonPlugin(), "fine")
    found = report(plugins, "broken")
    assert not found.active
    assert str(found.problem).startswith("import failed: ")
    assert problem in str(found.problem)
    assert report(plugins, "fine").active
    assert names(plugins) == ["json"]


def test_two_plugins_for_one_scheme_are_both_named() -> None:
    """Which of the two is meant cannot be known, so both are named."""
    plugins = Plugins.of([Stores("one", "two"), OtherStores("two")])
    with pytest.raises(PluginError, match="Stores and OtherStores both claim the store scheme 'two'"):
        _ = plugins.stores
    with pytest.raises(PluginError, match="memory and Stores both claim the store scheme 'memory'"):
        _ = Plugins.of([Stores("memory")]).stores


async def test_two_plugins_for_one_scheme_do_not_open() -> None:
    """An application does not start on a guess."""
    with pytest.raises(PluginError, match="both claim"):
        async with Dashtam.open(settings=Settings(store_url="one:"), plugins=[Stores("one"), OtherStores("one")]):
            pass


class Misspelled:
    @hookimpl
    def dashtam_reeders(self) -> Iterable[StatementReader]:
        return ()

    @hookimpl
    def dashtam_stores(self) -> Mapping[str, StoreOpener]:
        return {"misspelled": open_memory_store}


class Wrong:
    @hookimpl
    def dashtam_readers(self, directory: str) -> Iterable[StatementReader]:
        return ()


@pytest.mark.parametrize(
    ("plugin", "word"), [(Misspelled(), "dashtam_reeders"), (Wrong(), "directory")], ids=["unknown", "arguments"]
)
def test_a_hook_that_is_not_known_is_reported(plugin: object, word: str) -> None:
    """A misspelled hook, or one with arguments there are not, is named, and its plugin left out whole."""
    plugins = Plugins.of([plugin, JsonPlugin()])
    found = report(plugins, type(plugin).__name__)
    assert word in str(found.problem)
    assert found.provides == ()
    assert list(plugins.stores) == ["memory"]
    assert names(plugins) == ["json"]
    assert report(plugins, "JsonPlugin").active


class Raising:
    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        raise RuntimeError("no licence")


class Silent:
    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader] | None:
        return None


@pytest.mark.parametrize("plugin", [Raising(), Silent()], ids=["raises", "answers None"])
def test_a_hook_that_fails_is_named_and_others_work(plugin: object) -> None:
    """A plugin whose hook fails is reported, as one whose import fails is."""
    plugins = Plugins.of([plugin, JsonPlugin()])
    assert not report(plugins, type(plugin).__name__).active
    assert names(plugins) == ["json"]


def test_two_plugins_of_one_class_both_work() -> None:
    """Two configured objects of the same class are two plugins."""
    assert names(Plugins.of([Readers("a"), Readers("b")])) == ["a", "b"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution, really on the path, with a plugin that works and one whose import fails."""
    info = tmp_path / "their_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugins\nVersion: 1.0\n")
    entries = "[dashtam]\ntheirs = their_plugin\nworse = their_broken_plugin\n"
    (info / "entry_points.txt").write_text(entries)
    (tmp_path / "their_plugin.py").write_text(
        "from dashtam_core import hookimpl\n"
        "from dashtam_core.memory import open_memory_store\n"
        "@hookimpl\n"
        "def dashtam_stores():\n"
        "    return {'theirs': open_memory_store}\n"
    )
    (tmp_path / "their_broken_plugin.py").write_text("import no_such_module_at_all\n")
    on_path(tmp_path, monkeypatch)


@pytest.mark.usefixtures("installed")
def test_installed_plugins_are_found() -> None:
    """Plugins come from the entry points of what is installed, each with its distribution."""
    plugins = Plugins.installed(["theirs", "worse"])
    theirs, worse = report(plugins, "theirs"), report(plugins, "worse")
    assert (theirs.distribution, theirs.provides, theirs.problem) == ("their-plugins", ("store theirs",), None)
    assert worse.distribution == "their-plugins"
    assert "no_such_module_at_all" in str(worse.problem)
    assert "theirs" in plugins.stores


@pytest.mark.usefixtures("installed")
def test_only_what_is_allowed_is_loaded() -> None:
    """A plugin that is not on the list is not even imported, and the report says why."""
    plugins = Plugins.installed(["worse"])
    assert report(plugins, "theirs").problem == "not in DASHTAM_PLUGINS"
    assert "their_plugin" not in sys.modules
    assert list(plugins.stores) == ["memory"]
    assert list(Plugins.installed([]).stores) == ["memory"]


@pytest.mark.usefixtures("installed")
def test_a_plugin_that_is_asked_for_and_missing_is_named() -> None:
    """A name on the list that nobody provides is an error: it may be misspelled."""
    with pytest.raises(PluginError, match="DASHTAM_PLUGINS names fils, nope, which no installed package"):
        Plugins.installed(["theirs", "nope", "fils"])


@pytest.mark.usefixtures("installed")
async def test_the_allow_list_is_a_setting() -> None:
    """Opening an application loads what its settings allow."""
    settings = Settings(store_url="theirs:", plugins=("theirs",), master_key="k" * 32)
    async with Dashtam.open(settings=settings) as dashtam:
        assert report(dashtam.plugins, "theirs").active
        assert report(dashtam.plugins, "worse").problem == "not in DASHTAM_PLUGINS"


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://h/d", "pip install dashtam-postgres"),
        ("POSTGRESQL://h/d", "pip install dashtam-postgres"),
        ("embedded:", "pip install dashtam-embedded dashtam-postgres"),
        ("mysql://h/d", "use one of memory:, one:"),
    ],
)
def test_a_missing_adapter_is_named(url: str, advice: str) -> None:
    """A scheme nobody opens is answered with the package to install, or the schemes there are."""
    plugins = Plugins.of([Stores("one")])
    with pytest.raises(UnavailableError) as caught:
        plugins.open_store(Settings(store_url=url))
    assert caught.value.code is UnavailableCode.STORE_NOT_CONFIGURED
    assert advice in caught.value.message
    assert "DASHTAM_STORE_URL" in caught.value.message


def test_a_missing_adapter_shows_no_password() -> None:
    """Of a URL the scheme alone is repeated."""
    with pytest.raises(UnavailableError) as caught:
        Plugins.of().open_store(Settings(store_url="mysql://user:hunter2@h/d"))
    assert "hunter2" not in str(caught.value)


def test_commands_are_collected_by_name() -> None:
    """What plugins add to the command line is found by name, and two for one name are both named."""

    def adder(app: object) -> None:
        """Adds nothing."""

    def module(name: str) -> ModuleType:
        plugin: Any = ModuleType(name)

        @hookimpl
        def dashtam_commands() -> Mapping[str, Any]:
            return {"migrate": adder}

        plugin.dashtam_commands = dashtam_commands
        typed: ModuleType = plugin
        return typed

    assert Plugins.of([module("one")]).commands == {"migrate": adder}
    with pytest.raises(PluginError, match="one and two both claim the command 'migrate'"):
        _ = Plugins.of([module("one"), module("two")]).commands


class FaultyReader(JsonReader):
    name = "faulty"

    def recognizes(self, data: bytes, /) -> bool:
        raise IndexError("looked too far")


class Faulty:
    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return (FaultyReader(),)


async def test_a_reader_that_fails_leaves_the_file_to_others() -> None:
    """One faulty reader does not keep the others from files they know."""
    async with Dashtam.open(settings=Settings(), plugins=[Faulty(), JsonPlugin()]) as dashtam:
        answer = await dashtam.acting_as(ExternalSubject("ann")).execute(ImportStatement(statement({"1": []})))
        assert answer.unwrap().document.format == "JSON 1"
