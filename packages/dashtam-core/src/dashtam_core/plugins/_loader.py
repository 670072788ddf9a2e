"""Finding plugins and asking them: one that is broken is named and does not take the others down."""

import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from time import perf_counter
from typing import Any, Final, Self

import attrs
import pluggy

from dashtam_core.accounts import StatementReader, StatementWriter, SyncBatch
from dashtam_core.connections import Provider, ProviderCode, ProviderFailed, SyncRequest
from dashtam_core.container import AssemblyError
from dashtam_core.kernel import Failure, Result, UnavailableCode, UnavailableError
from dashtam_core.messaging import DomainEvent, DurableSubscription, Subscription
from dashtam_core.plugins import _builtin, _hooks
from dashtam_core.plugins._claims import Claim, Key, PluginError, claims_of, path_of, settle
from dashtam_core.plugins._hooks import (
    GROUP,
    CommandAdder,
    RouterMaker,
    SharedOpener,
    StoreOpener,
    StreamOpener,
)
from dashtam_core.settings import Settings, scheme_of
from dashtam_core.store import OpenShared, OpenStore, OpenStream

_BUILTIN: Final = "memory"
_CORE: Final = "dashtam-core"
_NOT_LISTED: Final = "not in DASHTAM_PLUGINS"
_PACKAGES: Final = {
    **dict.fromkeys(("postgres", "postgresql"), "dashtam-postgres"),
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "dashtam-redis"),
    "embedded": "dashtam-embedded dashtam-postgres",
}
_OPENED: Final = {
    "store": ("DASHTAM_STORE_URL", UnavailableCode.STORE_NOT_CONFIGURED),
    "cache": ("DASHTAM_CACHE_URL", UnavailableCode.CACHE_NOT_CONFIGURED),
    "stream": ("DASHTAM_BUS_URL", UnavailableCode.BUS_NOT_CONFIGURED),
}

_log: Final = logging.getLogger(__name__)


@attrs.frozen
class PluginReport:
    """One plugin as found: what it provides, and why all or a part of it is left out."""

    name: str
    distribution: str | None
    version: str | None = None
    provides: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    trace: tuple[Mapping[str, object], ...] = ()
    """What was `asked`, its import and each of its hooks, with the `milliseconds` and the `answer`."""

    @property
    def active(self) -> bool:
        return bool(self.provides) or not self.problems


@attrs.frozen
class _Contested:
    """Stands where several providers want to, and answers with who they are."""

    name: str
    why: str
    stable_ids: bool = False

    async def fetch(self, _: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        return Failure(ProviderFailed(ProviderCode.PROVIDER_UNKNOWN, self.why))


class Plugins:
    """The plugins of one application. What two of them claim is used of neither."""

    def __init__(self) -> None:
        self._found: list[PluginReport] = []
        self._claims: list[Claim] = []
        self._reserved: dict[Key, type | None] = {("command", name): None for name in _builtin.COMMANDS}
        self._left_out: dict[str, str] = {}

    @classmethod
    def installed(cls, allowed: Sequence[str] | None = None) -> Self:
        """The built-in plugin and every installed one, or of those only the `allowed`."""
        plugins, entries = cls.of(), sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
        for entry in entries:
            owners = [each.dist.name if each.dist else "?" for each in entries if each.name == entry.name]
            owners += [_CORE] * (entry.name == _BUILTIN)
            twice = f"contested: {' and '.join(owners)} have a plugin of this name: uninstall all but one"
            listed = allowed is None or entry.name in allowed
            problems = [twice] * (len(owners) > 1) if listed else [_NOT_LISTED]
            plugins.add_installed(entry, problems=problems)
        missing = set(allowed or ()) - {report.name for report in plugins.reports}
        if missing:
            there = ", ".join(sorted({report.name for report in plugins.reports}))
            raise PluginError(
                f"DASHTAM_PLUGINS names {', '.join(sorted(missing))}, which no installed package provides "
                f"(there is {there}): correct the name or install the package"
            )
        return plugins

    @classmethod
    def of(cls, plugins: Iterable[object] = ()) -> Self:
        """The built-in plugin and just these."""
        found = cls()
        found.add(_builtin, _BUILTIN, _CORE)
        found.reserve("dashtam_stores", _builtin.dashtam_stores())
        found.reserve("dashtam_caches", _builtin.dashtam_caches())
        found.reserve("dashtam_streams", _builtin.dashtam_streams())
        for place, plugin in enumerate(plugins, 1):
            name = getattr(plugin, "__name__", None) or type(plugin).__name__
            found.add(plugin, f"{name} ({place})" if name in [each.name for each in found._found] else name)
        return found

    def add(self, plugin: object, name: str, distribution: str | None = None) -> None:
        """Ask a plugin what it provides; one that does not fit, or whose hooks fail, is reported and left out."""
        self._add(PluginReport(name, distribution), "register", plugin)

    def add_installed(self, entry: EntryPoint, *, problems: Sequence[str] = ()) -> None:
        """Import what an installed package names, and ask it; with `problems` it is only reported."""
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else (None, None)
        self._add(PluginReport(entry.name, name, version, problems=tuple(problems)), "import", entry)

    def reserve(self, hook: str, values: Iterable[object]) -> None:
        """Keep from plugins what the application has itself: values such as this hook answers with."""
        for claim in claims_of("the application", hook, lambda: values):
            for key, taken in claim.takes.items():
                other = self._reserved.setdefault(key, taken)
                if other is not taken:
                    both = f"{path_of(other)} and {path_of(taken)}"
                    raise AssemblyError(f"{both} would be one {key[0]} once they are recorded: rename one")

    def leave_out(self, plugin: str, error: Exception) -> None:
        """Leave out the routes and bindings of a plugin that turn out not to fit."""
        why = str(error) if isinstance(error, AssemblyError) else f"{type(error).__name__}: {error}"
        self._left_out[plugin] = f"does not fit: the routes of {plugin} and their bindings are left out: {why}"
        _log.debug("plugin does not fit", extra={"plugin": plugin}, exc_info=error)

    def strict(self) -> Self:
        """Itself, if every plugin works and has all that it claims; else a `PluginError` names all that do not."""
        wrong = {why: each.name for each in self.reports for why in each.problems if why != _NOT_LISTED}
        if wrong:
            raise PluginError("; ".join(f"the plugin {name} cannot be used: {why}" for why, name in wrong.items()))
        return self

    def warn(self) -> None:
        """A line in the log for each plugin that is left out or used in part."""
        for report in self.broken:
            why = "; ".join(report.problems)
            said = {"plugin": report.name, "distribution": report.distribution, "why": why}
            _log.warning("plugin used in part" if report.active else "plugin left out", extra=said)

    @property
    def broken(self) -> Sequence[PluginReport]:
        """Those that do not work, or not as a whole; one that DASHTAM_PLUGINS leaves out is not among them."""
        return [each for each in self.reports if each.problems and _NOT_LISTED not in each.problems]

    @property
    def reports(self) -> Sequence[PluginReport]:
        """Every plugin that was found, the built-in one first."""
        refused, reports = self._refused(), list[PluginReport]()
        for each in self._found:
            mine = [] if each.problems else [claim for claim in self._claims if claim.plugin == each.name]
            problems = dict.fromkeys((*each.problems, *(refused[claim] for claim in mine if claim in refused)))
            provides = tuple(str(claim) for claim in mine if claim not in refused)
            reports.append(attrs.evolve(each, provides=provides, problems=tuple(problems)))
        return reports

    @property
    def stores(self) -> Mapping[str, StoreOpener]:
        return self._by_name("store")

    @property
    def events(self) -> Sequence[type[DomainEvent]]:
        return [claim.value for claim in self._granted("event")]

    @property
    def commands(self) -> Mapping[str, CommandAdder]:
        return self._by_name("command")

    @property
    def routers(self) -> Mapping[str, RouterMaker]:
        return self._by_name("router")

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Every provider by its name. Under a contested name is one that answers with who claims it."""
        refused = self._refused().items()
        contested = {each.name: _Contested(each.name, why) for each, why in refused if each.kind == "provider"}
        return self._by_name("provider") | contested

    @property
    def readers(self) -> Sequence[StatementReader]:
        return [claim.value for claim in self._granted("reader")]

    @property
    def writers(self) -> Sequence[StatementWriter]:
        return [claim.value for claim in self._granted("writer")]

    @property
    def subscriptions(self) -> Sequence[Subscription | DurableSubscription]:
        return [claim.value for claim in self._granted("subscription")]

    def by_plugin(self, kind: str) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for claim in self._granted(kind):
            found.setdefault(claim.plugin, []).append(claim.value)
        return found

    def check(self, kind: str, name: Hashable) -> None:
        """Raises a `PluginError` with the reason, if a plugin claims this name and does not get it."""
        for claim, why in self._refused().items():
            if (kind, name) in claim.takes:
                raise PluginError(why)

    def open_store(self, settings: Settings) -> OpenStore:
        """The store that the scheme of `settings.store_url` asks for, to be entered."""
        opener: StoreOpener = self._opener("store", settings.store_url)
        return opener(settings)

    def open_shared(self, settings: Settings) -> OpenShared:
        """What `settings.cache_url` asks for, to be entered."""
        opener: SharedOpener = self._opener("cache", settings.cache_url)
        return opener(settings)

    def open_stream(self, settings: Settings) -> OpenStream:
        """The stream that `settings.bus_url` asks for, to be entered."""
        opener: StreamOpener = self._opener("stream", settings.bus_url)
        return opener(settings)

    def _opener(self, kind: str, url: str | None) -> Any:
        openers, scheme = self._by_name(kind), scheme_of(url or "")
        if scheme in openers:
            return openers[scheme]
        self.check(kind, scheme)
        known = ", ".join(f"{each}:" for each in sorted(openers))
        known = f"use one of {known}, or install the adapter that brings it"
        advice = f"pip install {_PACKAGES[scheme]}" if scheme in _PACKAGES else known
        broken = ", ".join(report.name for report in self.reports if not report.active)
        hint = f" (left out: {broken}; dashtam plugins says why)" if broken else ""
        variable, code = _OPENED[kind]
        why = f"no installed plugin opens a {kind} with the scheme {scheme!r} of {variable}: {advice}{hint}"
        raise UnavailableError(code, why)

    def _add(self, report: PluginReport, step: str, source: object) -> None:
        name, trace, claims = report.name, list[Any](), list[Claim]()
        try:
            hooks = () if report.problems else _asked(name, step, trace, partial(_hooks_of, source)).items()
            for hook, function in hooks:
                claims += _asked(name, hook, trace, partial(claims_of, name, hook, function))
        except PluginError as error:
            report = attrs.evolve(report, problems=(str(error),))
        else:
            self._claims += claims
        self._found.append(attrs.evolve(report, trace=tuple(trace)))

    def _refused(self) -> dict[Claim, str]:
        foreign = [claim for claim in self._claims if claim.plugin != _BUILTIN]
        wired = [each for each in foreign if each.kind in {"route", "binding"} and each.plugin in self._left_out]
        return {each: self._left_out[each.plugin] for each in wired} | settle(foreign, self._reserved)

    def _granted(self, kind: str) -> list[Claim]:
        refused = self._refused()
        return [claim for claim in self._claims if claim.kind == kind and claim not in refused]

    def _by_name(self, kind: str) -> dict[str, Any]:
        return {claim.name: claim.value for claim in self._granted(kind)}


def _asked[T: Collection[object]](plugin: str, asked: str, trace: list[Any], call: Callable[[], T]) -> T:
    """What the call brings, noted with its time; whatever it raises becomes a `PluginError` that says so."""
    started, answer, failed = perf_counter(), "", None
    try:
        result = call()
        answer = ", ".join(map(str, result)) or "nothing"
    except (Exception, SystemExit) as error:
        failed, answer, said = error, type(error).__name__, " ".join(str(error).split())
        ours = isinstance(error, PluginError | pluggy.PluginValidationError)
        raise PluginError(said if ours else f"{asked} failed: {answer}: {said}") from error
    finally:
        milliseconds = round((perf_counter() - started) * 1000, 3)
        trace.append({"asked": asked, "milliseconds": milliseconds, "answer": answer})
        _log.debug("plugin asked", extra={"plugin": plugin, **trace[-1]}, exc_info=failed)
    return result


def _hooks_of(source: object) -> Mapping[str, Callable[[], object]]:
    """The hooks that a plugin implements, imported first where an entry point names it."""
    plugin = source.load() if isinstance(source, EntryPoint) else source
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(_hooks)
    known = list(vars(manager.hook))
    manager.register(plugin)
    found = {hook.name: hook.get_hookimpls()[0].function for hook in manager.get_hookcallers(plugin) or ()}
    for name in found.keys() - known:
        close = get_close_matches(name, known, 1) or known
        raise PluginError(f"{name} is no hook of Dashtam: did you mean {' or '.join(close)}?")
    return found
