"""The plugin host: what is broken or contested is named and left out, and everything else works."""

import inspect
import logging
import re
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, get_type_hints

import attrs
import pytest

from dashtam_core import (
    AssemblyError,
    Dashtam,
    PluginError,
    Result,
    Settings,
    Success,
    UnavailableError,
    hookimpl,
    provide,
)
from dashtam_core.accounts import ImportStatement
from dashtam_core.app import fit
from dashtam_core.connections import ProviderCode, SyncAccounts
from dashtam_core.container import Binding
from dashtam_core.identity import ACCOUNTS_READ, ExternalSubject
from dashtam_core.kernel import Clock, Permission, Subject, UnavailableCode
from dashtam_core.memory import open_memory_shared, open_memory_store, open_memory_stream
from dashtam_core.messaging import DomainEvent, EventBus, Query, Refused
from dashtam_core.plugins import PluginReport, Plugins, _hooks
from dashtam_core.testing.samples import LinesPlugin, LinesReader, lines

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "install-adapters.md"
HOOKS = [name for name in vars(_hooks) if name.startswith("dashtam_")]
ANN = ExternalSubject("ann")


def plugin(name: str, **answers: Any) -> ModuleType:
    """A plugin that answers these hooks, with what a function brings where one is given."""
    made = ModuleType(name)
    for hook, answer in answers.items():

        def answering(answer: Any = answer) -> Any:
            return answer() if inspect.isfunction(answer) else answer

        setattr(made, f"dashtam_{hook}", hookimpl(answering))
    return made


@attrs.frozen
class Feed:
    """A provider that is never asked."""

    name: Any = "feed"
    stable_ids: bool = True
    fetch: Any = None


@attrs.frozen
class Words:
    """A writer that is never asked."""

    name: Any = "words"
    media_type: str = "text/plain"
    suffix: str = ".txt"
    write: Any = None


class Goal(Query[int, Refused]):
    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "goal"


class Answering:
    async def apply(self, goal: Query[int, Refused], /) -> Result[int, Refused]:
        return Success(42)


def reader(name: str) -> LinesReader:
    made = LinesReader()
    made.name = name
    return made


class Ledger:
    """A port of a plugin."""

    def __init__(self, number: int = 7) -> None:
        self.number = number


class Book(Ledger):
    """Another port, whose adapter needs the first."""


@attrs.frozen
class Needy:
    """A handler that needs what a plugin binds."""

    book: Book

    async def apply(self, goal: Goal, /) -> Result[int, Refused]:
        return Success(self.book.number)


class Mine:
    """Names that others have too."""

    class Goal(Goal): ...

    class SyncAccounts(Goal): ...

    class SyncGoals(Goal): ...

    class Noted(DomainEvent): ...


class Theirs:
    """The same names again."""

    class Goal(Goal): ...

    class Noted(DomainEvent): ...


async def hear(event: Any, unit: Any = None) -> None:
    """Is told, and does nothing."""


def adder(app: object) -> None:
    """Adds nothing."""


def bookkeeping(ledger: Ledger) -> Book:
    return Book(ledger.number)


GOAL, THEIR_GOAL = (each.handled_by(Answering) for each in (Mine.Goal, Theirs.Goal))
MAIL, POST = Mine.Noted.delivered_to("mail", hear), Mine.Noted.delivered_to("post", hear)
THEIR_POST = Theirs.Noted.delivered_to("post", hear)
BOOK = provide(Book).by(bookkeeping)
LEDGER = provide(Ledger).by(Ledger)
HERE = __name__
ANSWERS: dict[str, tuple[Any, str]] = {
    "dashtam_stores": ({"One": open_memory_store}, "store one"),
    "dashtam_caches": ({"One": open_memory_shared}, "cache one"),
    "dashtam_streams": ({"One": open_memory_stream}, "stream one"),
    "dashtam_readers": ([LinesReader()], "reader lines"),
    "dashtam_writers": ([Words()], "writer words"),
    "dashtam_providers": ([Feed()], "provider feed"),
    "dashtam_routes": ([Goal.handled_by(Answering)], f"route {HERE}.Goal"),
    "dashtam_bindings": ([LEDGER], f"binding {HERE}.Ledger"),
    "dashtam_subscriptions": ([Mine.Noted.heard_by(hear)], f"subscription hear to {HERE}.Mine.Noted"),
    "dashtam_events": ([Mine.Noted], f"event {HERE}.Mine.Noted"),
    "dashtam_commands": ({"hello": adder}, "command hello"),
    "dashtam_routers": ({"/goals/": adder}, "router goals"),
}
"""What each hook may answer, and how a report says it."""


def report(plugins: Plugins, name: str) -> PluginReport:
    (found,) = [each for each in plugins.reports if each.name == name]
    return found


def problem(plugins: Plugins, name: str) -> str:
    (found,) = report(plugins, name).problems
    return found


def names(plugins: Plugins) -> list[str]:
    return [each.name for each in plugins.readers]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Makes a distribution with these plugins, or modules with this text, and settings that allow what it made."""
    allowed: list[str] = []

    def installing(distribution: str, **modules: ModuleType | str) -> Settings:
        info = tmp_path / distribution / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        entries = [f"{name} = {distribution}_{name}\n" for name in modules]
        (info / "entry_points.txt").write_text("[dashtam]\n" + "".join(entries))
        for name, module in modules.items():
            full = f"{distribution}_{name}"
            if isinstance(module, str):
                (info.parent / f"{full}.py").write_text(module)
                monkeypatch.delitem(sys.modules, full, raising=False)
            else:
                monkeypatch.setitem(sys.modules, full, module)
        monkeypatch.setattr(sys, "path", [str(info.parent), *sys.path])
        allowed.extend(modules)
        return Settings(plugins=tuple(allowed))

    return installing


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_explained_and_tried(hook: str) -> None:
    """A hook has a docstring of one sentence, a full signature, a row in the guide and an answer here."""
    function = getattr(_hooks, hook)
    assert re.fullmatch(r"[A-Z].*\.", function.__doc__)
    assert ". " not in function.__doc__
    assert set(get_type_hints(function)) == {*inspect.signature(function).parameters, "return"}
    assert re.search(rf"^\| `{hook}` \|", GUIDE.read_text(), re.MULTILINE)
    assert hook in ANSWERS


@pytest.mark.parametrize("hook", ANSWERS)
async def test_what_a_hook_answers_is_used(hook: str) -> None:
    """It is in the report and with the application, and the plugin is active."""
    answer, said = ANSWERS[hook]
    async with Dashtam.open(settings=Settings(), plugins=[plugin("mine", **{hook[8:]: answer})]) as dashtam:
        found = report(dashtam.plugins, "mine")
        assert (found.provides, found.problems, found.active) == ((said,), (), True)
        used: dict[str, Callable[[], bool]] = {
            "dashtam_stores": lambda: dashtam.plugins.stores["one"] is open_memory_store,
            "dashtam_caches": lambda: hasattr(
                dashtam.plugins.open_shared(Settings(cache_url="one:")), "__aenter__"
            ),
            "dashtam_streams": lambda: hasattr(
                dashtam.plugins.open_stream(Settings(bus_url="one:")), "__aenter__"
            ),
            "dashtam_readers": lambda: names(dashtam.plugins) == ["lines"],
            "dashtam_writers": lambda: [each.name for each in dashtam.plugins.writers] == ["words"],
            "dashtam_providers": lambda: dashtam.plugins.providers == {"feed": answer[0]},
            "dashtam_routes": lambda: Goal in dashtam._paths,
            "dashtam_bindings": lambda: dashtam.container.get(Ledger).number == 7,
            "dashtam_subscriptions": lambda: dashtam.plugins.subscriptions == answer,
            "dashtam_events": lambda: dashtam.plugins.events == answer,
            "dashtam_commands": lambda: dashtam.plugins.commands == {"hello": adder},
            "dashtam_routers": lambda: [*dashtam.plugins.routers] == ["goals"],
        }
        assert used[hook]()


async def test_the_events_of_a_plugin_reach_its_subscribers() -> None:
    """Beside those that the application gives itself."""
    told: list[str] = []

    async def first(event: Mine.Noted) -> None:
        told.append("plugin")

    async def second(event: Mine.Noted) -> None:
        told.append("application")

    mine = plugin("mine", subscriptions=[Mine.Noted.heard_by(first), Mine.Noted.delivered_to("mail", hear)])
    also: list[Any] = [Mine.Noted.heard_by(second), Mine.Noted.delivered_to("also", hear)]
    async with Dashtam.open(settings=Settings(), plugins=[mine], subscriptions=also) as dashtam:
        await dashtam.container.get(EventBus).publish(Mine.Noted())
        assert told == ["plugin", "application"]
        assert dashtam.relay.names == {"mail": ["Noted"], "also": ["Noted"]}


def test_readers_are_asked_in_the_order_of_their_plugins() -> None:
    """The plugin that was given first is asked first, and two objects of one class are two plugins."""
    some = [LinesPlugin(reader("a")), LinesPlugin(reader("b"))]
    assert names(Plugins.of(some)) == ["a", "b"]
    assert names(Plugins.of(reversed(some))) == ["b", "a"]
    assert [each.name for each in Plugins.of(some).reports] == ["memory", "LinesPlugin", "LinesPlugin (2)"]


CONTESTED: list[tuple[str, Any, Any, str]] = [
    ("stores", {"one": open_memory_store}, {"ONE": open_memory_store}, "the store 'one' is claimed by a and by b"),
    ("readers", [LinesReader()], [LinesReader()], "the reader 'lines' is claimed by a and by b"),
    ("providers", [Feed()], [Feed()], "the provider 'feed' is claimed by a and by b"),
    ("commands", {"hello": adder}, {"hello": hear}, "the command 'hello' is claimed by a and by b"),
    ("routers", {"goals": adder}, {"/goals": adder}, "the router 'goals' is claimed by a and by b"),
    ("bindings", [LEDGER], [LEDGER], f"the binding '{HERE}.Ledger' is claimed by a and by b"),
    ("routes", [GOAL], [GOAL], f"the route 'goal' is claimed by a ({HERE}.Mine.Goal) and by b ({HERE}.Mine"),
    (
        "routes",
        [GOAL],
        [THEIR_GOAL],
        f"the route 'goal' is claimed by a ({HERE}.Mine.Goal) and by b ({HERE}.Theirs",
    ),
    ("events", [Mine.Noted], [Theirs.Noted], f"the event 'Noted' is claimed by a ({HERE}.Mine.Noted) and by b"),
    ("subscriptions", [MAIL], [MAIL], "the subscription 'mail to Noted' is claimed by a (mail to "),
    (
        "subscriptions",
        [MAIL],
        [THEIR_POST],
        f"the event 'Noted' is claimed by a (mail to {HERE}.Mine.Noted) and by b",
    ),
]


@pytest.mark.parametrize(("hook", "one", "two", "said"), CONTESTED)
def test_what_two_plugins_claim_is_nobodys(hook: str, one: Any, two: Any, said: str) -> None:
    """Neither gets the name, both are told of, the rest of both works, and where all must work nothing does."""
    other = "commands" if hook != "commands" else "routers"
    plugins = Plugins.of(
        [plugin("a", **{hook: one, other: {"x": adder}}), plugin("b", **{hook: two, other: {"y": adder}})]
    )
    for name, own in (("a", "x"), ("b", "y")):
        assert report(plugins, name).provides == (f"{other[:-1]} {own}",)
        assert problem(plugins, name).startswith(f"contested: {said}")
        assert "uninstall all but one, or list the one you want in DASHTAM_PLUGINS" in problem(plugins, name)
    with pytest.raises(PluginError, match=re.escape(said)):
        plugins.strict()


def test_durable_subscribers_share_an_event() -> None:
    """Two subscribers of the same class, and two events of one subscriber, are no contest."""
    plugins = Plugins.of([plugin("a", subscriptions=[MAIL]), plugin("b", subscriptions=[POST])])
    assert list(plugins.strict().subscriptions) == [MAIL, POST]


def test_a_plugin_may_contest_itself() -> None:
    """A name that it claims twice is used for neither, and its authors have to mend it."""
    plugins = Plugins.of([plugin("a", readers=[LinesReader(), LinesReader()])])
    said = "contested: the reader 'lines' is claimed by a and by a: each needs a name of its own"
    assert (problem(plugins, "a"), report(plugins, "a").active, names(plugins)) == (said, False, [])


async def test_who_uses_a_contested_name_is_told(install: Callable[..., Settings]) -> None:
    """Opening the scheme or sending the message says who claims it; a provider is a failure that does."""
    answers: dict[str, Any] = {"stores": {"one": open_memory_store}, "providers": [Feed()], "routes": [GOAL]}
    settings = install("theirs", a=plugin("a", **answers), b=plugin("b", **answers))
    async with Dashtam.open(settings=settings) as dashtam:
        me = dashtam.acting_as(ANN)
        refused = (await me.execute(SyncAccounts("feed", "secret"))).failure()
        assert refused.code is ProviderCode.PROVIDER_UNKNOWN
        assert "the provider 'feed' is claimed by a and by b" in refused.message
        with pytest.raises(PluginError, match=r"the route 'goal' is claimed by a .* and by b "):
            await me.ask(Mine.Goal())
        with pytest.raises(PluginError, match="the store 'one' is claimed by a and by b"):
            dashtam.plugins.open_store(Settings(store_url="one:"))


RESERVED: list[tuple[str, Any, str]] = [
    ("stores", {"Memory": open_memory_store}, "the store 'memory'"),
    ("caches", {"Memory": open_memory_shared}, "the cache 'memory'"),
    ("streams", {"Memory": open_memory_stream}, "the stream 'memory'"),
    ("commands", {"import": adder}, "the command 'import'"),
    ("routes", [Mine.SyncAccounts.handled_by(Answering)], "the route 'sync_accounts'"),
    ("bindings", [Binding(Clock, object)], "the binding 'dashtam_core.kernel._clock.Clock'"),
    ("bindings", [Binding(Subject, object)], "the binding 'dashtam_core.kernel._subject.Subject'"),
]


@pytest.mark.parametrize(("hook", "answer", "what"), RESERVED)
def test_what_the_core_has_is_not_given_away(hook: str, answer: Any, what: str) -> None:
    """The claim is refused and told of; the rest of the plugin works, and the core has what it had."""
    plugins = Plugins.of([plugin("a", **{hook: answer, "routers": {"x": adder}})])
    fit(plugins, Settings())
    assert problem(plugins, "a").startswith(f"reserved: {what} is the application's own, and claimed by a")
    assert report(plugins, "a").provides == ("router x",)
    assert plugins.stores["memory"] is open_memory_store


@pytest.mark.parametrize(
    ("what", "given", "claimed"), [("routes", GOAL, THEIR_GOAL), ("subscriptions", MAIL, THEIR_POST)]
)
async def test_what_the_application_has_is_not_given_away(
    what: str, given: Any, claimed: Any, install: Callable[..., Settings]
) -> None:
    """Who embeds Dashtam comes before what is installed; two of their own that look the same do not start."""
    own: dict[str, Any] = {what: [given]}
    async with Dashtam.open(settings=install("theirs", a=plugin("a", **{what: [claimed]})), **own) as dashtam:
        assert problem(dashtam.plugins, "a").startswith("reserved: ")
        assert (Mine.Goal in dashtam._paths) is (what == "routes")
        assert (dashtam.relay.names == {"mail": ["Noted"]}) is (what == "subscriptions")
    both = r"\.Mine\.(Goal|Noted) and .*\.Theirs\.(Goal|Noted) would be one (route|event) once they are recorded"
    with pytest.raises(AssemblyError, match=both):
        async with Dashtam.open(settings=Settings(), plugins=[], **{what: [given, claimed]}):  # type: ignore[arg-type] # one of two
            pass


@pytest.mark.parametrize(
    ("hook", "answer", "words"),
    [
        ("readers", None, "dashtam_readers answers None: return collections.abc.Iterable["),
        ("readers", 5, "dashtam_readers answers a int: return "),
        ("readers", {"ofx": LinesReader()}, "dashtam_readers answers a dict: return "),
        ("readers", "ofx", "dashtam_readers answers a str without name, read, recognizes: return "),
        ("providers", [Feed(name=5)], "dashtam_providers answers a Feed without a text for a name: return "),
        ("providers", [LinesReader()], "dashtam_providers answers a LinesReader without fetch, stable_ids: "),
        ("stores", [open_memory_store], "dashtam_stores answers a list: return collections.abc.Mapping[str, "),
        ("stores", {"one": "two"}, "dashtam_stores answers a tuple: return "),
        ("commands", {5: adder}, "dashtam_commands answers a tuple: return "),
        ("routers", {"": adder}, "dashtam_routers answers a tuple: return "),
        ("routes", [Goal], "dashtam_routes answers a type: return "),
        ("bindings", [Goal.handled_by(Answering)], "dashtam_bindings answers a Route: return "),
        ("bindings", [Binding([], adder)], "dashtam_bindings failed: TypeError: "),
        ("subscriptions", [LEDGER], "dashtam_subscriptions answers a Binding: return "),
        ("routes", lambda: 1 / 0, "dashtam_routes failed: ZeroDivisionError: division by zero"),
        ("routes", lambda: sys.exit(3), "dashtam_routes failed: SystemExit: 3"),
    ],
)
def test_an_answer_that_does_not_fit(hook: str, answer: Any, words: str) -> None:
    """The plugin is named with what is wrong and left out whole; the next one works."""
    rest = {"commands": {"x": adder}} if hook != "commands" else {"routers": {"x": adder}}
    plugins = Plugins.of([plugin("a", **{hook: answer}, **rest), LinesPlugin()])
    assert problem(plugins, "a").startswith(words)
    assert not report(plugins, "a").active
    assert (plugins.commands, plugins.routers, names(plugins)) == ({}, {}, ["lines"])


class Misspelled:
    @hookimpl
    def dashtam_reeders(self) -> tuple[object, ...]:
        return ()

    @hookimpl
    def dashtam_stores(self) -> Mapping[str, Any]:
        return {"misspelled": open_memory_store}


class Unheard:
    @hookimpl
    def quack(self) -> None: ...


class Wrong:
    @hookimpl
    def dashtam_readers(self, directory: str) -> tuple[object, ...]:
        return ()


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Misspelled(), "dashtam_reeders is no hook of Dashtam: did you mean dashtam_readers?"),
        (Unheard(), "quack is no hook of Dashtam: did you mean dashtam_bindings or dashtam_caches or "),
        (Wrong(), r"hook 'dashtam_readers' .*\{'directory'\}"),
    ],
)
def test_a_hook_that_is_not_known_is_reported(odd: object, words: str) -> None:
    """A misspelled hook, or one with arguments there are not, is named, and its plugin left out whole."""
    plugins = Plugins.of([odd, LinesPlugin()])
    assert re.search(words, problem(plugins, type(odd).__name__))
    assert (list(plugins.stores), names(plugins)) == (["memory"], ["lines"])


BROKEN = {
    "missing": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "syntax": ("def", "SyntaxError: "),
    "itself": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("raise SystemExit('two\\nlines')", "SystemExit: two lines"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_import_is_named_and_others_work(
    how: str, install: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an import raises is reported and logged in one line; the traceback is for who debugs."""
    text, said = BROKEN[how]
    caplog.set_level(logging.DEBUG, "dashtam_core.plugins")
    settings = install("theirs", broken=text, fine=plugin("fine", readers=[LinesReader()]))
    async with Dashtam.open(settings=settings) as dashtam:
        found = report(dashtam.plugins, "broken")
        assert (found.distribution, found.version, found.active) == ("theirs", "1.0", False)
        assert problem(dashtam.plugins, "broken").startswith(f"import failed: {said}")
        await dashtam.acting_as(ANN).execute(ImportStatement(lines("account;1")))
        assert names(dashtam.plugins) == ["lines"]
    (warned,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert (warned.getMessage(), warned.exc_info) == ("plugin left out", None)
    assert (vars(warned)["plugin"], vars(warned)["distribution"]) == ("broken", "theirs")
    assert vars(warned)["why"] == found.problems[0]
    assert [each.levelname for each in caplog.records if each.exc_info] == ["DEBUG"]


async def test_a_part_that_is_left_out_is_logged(
    install: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each plugin, with all that it does not get."""
    claimed = {"readers": [LinesReader()], "commands": {"import": adder}, "routers": {"x": adder}}
    settings = install("theirs", a=plugin("a", **claimed), b=plugin("b", **claimed | {"routers": {"y": adder}}))
    async with Dashtam.open(settings=settings):
        pass
    logged = [(each.getMessage(), vars(each)["plugin"], vars(each)["why"]) for each in caplog.records]
    assert [each[:2] for each in logged] == [("plugin used in part", "a"), ("plugin used in part", "b")]
    for _, _, why in logged:
        assert "the reader 'lines' is claimed by a and by b" in why
        assert "reserved: the command 'import'" in why


async def test_strict_settings_fail_the_start(install: Callable[..., Settings]) -> None:
    """One error names everything that is wrong, each once; what is not on the list is not wrong."""
    claimed = plugin("any", readers=[LinesReader()])
    settings = install("theirs", a=claimed, b=claimed, broken="1 / 0", fine=plugin("fine"))
    install("others", unlisted="1 / 0")
    with pytest.raises(PluginError) as caught:
        async with Dashtam.open(settings=attrs.evolve(settings, plugins_strict=True)):
            pass
    assert str(caught.value).count("the reader 'lines' is claimed by a and by b") == 1
    assert str(caught.value).count("the plugin broken cannot be used: import failed: ZeroDivisionError") == 1
    assert not re.search("fine|unlisted", str(caught.value))
    async with Dashtam.open(settings=Settings(plugins=("fine",), plugins_strict=True)) as dashtam:
        assert report(dashtam.plugins, "fine").active


@pytest.mark.parametrize(("text", "strict"), [("", False), ("false", False), ("True", True)])
def test_the_strict_setting(text: str, strict: bool) -> None:
    """It is off unless it is true, and anything else is refused."""
    assert Settings.read({"DASHTAM_PLUGINS_STRICT": text}).unwrap().plugins_strict is strict
    refused = Settings.read({"DASHTAM_PLUGINS_STRICT": "yes"}).failure()
    assert refused.message == "DASHTAM_PLUGINS_STRICT is 'yes' and should be one of true, false"


def wired(name: str, *bindings: Binding) -> ModuleType:
    return plugin(name, routes=[Goal.handled_by(Needy)], bindings=bindings)


def refusing() -> Ledger:
    raise KeyError("LEDGER_URL")


class Unsaid(Query[int, Refused]):
    """A message without a permission."""


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (wired("odd", BOOK), "nothing provides Ledger, needed by Book"),
        (wired("odd"), "nothing provides Book, needed by Needy"),
        (wired("odd", BOOK, provide(Ledger).by(refusing)), "KeyError: 'LEDGER_URL'"),
        (plugin("odd", routes=[GOAL, Unsaid.handled_by(Answering)]), "Unsaid names no permission"),
    ],
)
async def test_a_route_that_cannot_be_assembled(
    odd: ModuleType, why: str, install: Callable[..., Settings]
) -> None:
    """The routes of that plugin are left out with the reason, and sending one tells it; everything else works."""
    vars(odd)["dashtam_routers"] = hookimpl(lambda: {"x": adder})
    fine = plugin("fine", routes=[Mine.SyncGoals.handled_by(Answering)])
    async with Dashtam.open(settings=install("theirs", odd=odd, fine=fine)) as dashtam:
        said = f"does not fit: the routes of odd and their bindings are left out: {why}"
        assert problem(dashtam.plugins, "odd").startswith(said)
        assert report(dashtam.plugins, "odd").provides == ("router x",)
        me = dashtam.acting_as(ANN)
        assert (await me.ask(Mine.SyncGoals())).unwrap() == 42
        with pytest.raises(PluginError, match=re.escape(why)):
            await me.ask(next(iter(vars(odd)["dashtam_routes"]())).message())
    with pytest.raises(PluginError, match=re.escape(why)):
        async with Dashtam.open(settings=Settings(), plugins=[odd]):
            pass


@pytest.mark.parametrize("turned", [False, True])
async def test_plugins_may_need_each_other(turned: bool) -> None:
    """What one binds another's handlers may need, in whichever order they are loaded; `overrides` count more."""
    a, b, own = wired("a", BOOK), plugin("b", bindings=[LEDGER]), provide(Ledger).value(Ledger(8))
    both = [b, a] if turned else [a, b]
    cases: list[tuple[list[ModuleType], list[Binding], int]] = [(both, [], 7), (both, [own], 8), ([a], [own], 8)]
    for plugins, overrides, number in cases:
        async with Dashtam.open(settings=Settings(), plugins=plugins, overrides=overrides) as dashtam:
            assert (await dashtam.acting_as(ANN).ask(Goal())).unwrap() == number


def test_a_plugin_of_two_distributions_is_nobodys(install: Callable[..., Settings]) -> None:
    """Neither is imported, and both distributions are named; one called as the built-in plugin is left out."""
    install("theirs", twice="1 / 0", memory="1 / 0")
    found = Plugins.installed(install("others", twice="1 / 0").plugins)
    both = {each.distribution: each.problems for each in found.reports if each.name == "twice"}
    assert both.keys() == {"theirs", "others"}
    for (why,) in both.values():
        assert re.match("contested: (theirs and others|others and theirs) have a plugin of this name", why)
    mine, taken = [each for each in found.reports if each.name == "memory"]
    assert (mine.provides, taken.provides) == (("cache memory", "store memory", "stream memory"), ())
    assert taken.problems[0].startswith("contested: theirs and dashtam-core have")


def test_only_what_is_allowed_is_loaded(install: Callable[..., Settings]) -> None:
    """A plugin that is not on the list is not even imported, and the report says why."""
    install("theirs", unlisted="import no_such_module_at_all")
    plugins = Plugins.installed([])
    assert problem(plugins, "unlisted") == "not in DASHTAM_PLUGINS"
    assert report(plugins, "unlisted").trace == ()
    assert list(plugins.strict().stores) == ["memory"]


def test_a_plugin_that_is_asked_for_and_missing_is_named(install: Callable[..., Settings]) -> None:
    """A name on the list that nobody provides is an error: it may be misspelled."""
    install("theirs", fine=plugin("fine"))
    with pytest.raises(PluginError, match="DASHTAM_PLUGINS names fils, nope, which no installed package"):
        Plugins.installed(["fine", "nope", "fils"])


def test_each_step_is_traced(install: Callable[..., Settings], caplog: pytest.LogCaptureFixture) -> None:
    """The import and every hook are in the report and in the log, with their time and what came of them."""
    caplog.set_level(logging.DEBUG, "dashtam_core.plugins")
    fine = plugin("fine", readers=[reader("a"), reader("b")], routers={}, stores=None)
    install("theirs", broken="1 / 0", fine=fine)
    plugins = Plugins.installed(["broken", "fine"])
    steps = [
        (each["asked"], each["answer"]) for name in ("broken", "fine") for each in report(plugins, name).trace
    ]
    assert steps == [
        ("import", "ZeroDivisionError"),
        ("import", "dashtam_readers, dashtam_routers, dashtam_stores"),
        ("dashtam_readers", "reader a, reader b"),
        ("dashtam_routers", "nothing"),
        ("dashtam_stores", "PluginError"),
    ]
    logged = [vars(each) for each in caplog.records if each.getMessage() == "plugin asked"]
    traced = [(found.name, *step.values()) for found in plugins.reports for step in found.trace]
    assert [(each["plugin"], each["asked"], each["milliseconds"], each["answer"]) for each in logged] == traced
    assert all(isinstance(milliseconds, float) for _, _, milliseconds, _ in traced)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://h/d", "pip install dashtam-postgres (left out: broken; dashtam plugins says why)"),
        ("POSTGRESQL://h/d", "pip install dashtam-postgres"),
        ("embedded:", "pip install dashtam-embedded dashtam-postgres"),
        ("mysql://user:hunter2@h/d", "use one of memory:, one:"),
    ],
)
def test_a_missing_adapter_is_named(url: str, advice: str) -> None:
    """A scheme nobody opens is answered with the package to install and who is left out, and with no password."""
    plugins = Plugins.of([plugin("one", stores={"one": open_memory_store})])
    plugins.add_installed(EntryPoint("broken", "no_such_module_at_all", "dashtam"))
    with pytest.raises(UnavailableError) as caught:
        plugins.open_store(Settings(store_url=url))
    assert caught.value.code is UnavailableCode.STORE_NOT_CONFIGURED
    assert advice in caught.value.message
    assert "DASHTAM_STORE_URL" in caught.value.message
    assert "hunter2" not in caught.value.message


class FaultyReader(LinesReader):
    name = "faulty"

    def recognizes(self, data: bytes, /) -> bool:
        raise IndexError("looked too far")


async def test_a_reader_that_fails_leaves_the_file_to_others() -> None:
    """One faulty reader does not keep the others from files they know."""
    some = [LinesPlugin(FaultyReader()), LinesPlugin()]
    async with Dashtam.open(settings=Settings(), plugins=some) as dashtam:
        answer = await dashtam.acting_as(ANN).execute(ImportStatement(lines("account;1")))
        assert answer.unwrap().document.format == "LINES 1"
