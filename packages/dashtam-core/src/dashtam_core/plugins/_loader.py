"""Finding plugins and asking them: one that is broken is named and does not take the others down."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Self

import attrs
import pluggy

from dashtam_core.accounts import StatementReader
from dashtam_core.connections import Provider
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.plugins import _hooks
from dashtam_core.plugins._hooks import GROUP, CommandAdder, RouterMaker, StoreOpener
from dashtam_core.settings import Settings
from dashtam_core.store import OpenStore

type _Answer = Any

_PACKAGES = {"postgresql": "dashtam-postgres", "embedded": "dashtam-embedded dashtam-postgres"}


class PluginError(Exception):
    """Plugins that cannot work together, or one that was asked for and is not there."""


@attrs.frozen
class PluginReport:
    """One plugin as found: what it provides, or why it is not active."""

    name: str
    distribution: str | None
    provides: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def active(self) -> bool:
        return self.problem is None


class Plugins:
    """The plugins of one application."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(_hooks)
        self._answers: dict[str, list[tuple[str, _Answer]]] = {}
        self.reports: list[PluginReport] = []

    @classmethod
    def installed(cls, allowed: Sequence[str] | None = None) -> Self:
        """The built-in plugin and every installed one, or of those only the `allowed`."""
        plugins = cls.of()
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            plugins.add_installed(entry, wanted=allowed is None or entry.name in allowed)
        missing = set(allowed or ()) - {report.name for report in plugins.reports}
        if missing:
            raise PluginError(
                f"DASHTAM_PLUGINS names {', '.join(sorted(missing))}, which no installed package provides: "
                "correct the name or install the package"
            )
        return plugins

    @classmethod
    def of(cls, plugins: Iterable[object] = ()) -> Self:
        """The built-in plugin and just these."""
        from dashtam_core.plugins import _builtin

        found = cls()
        found.add(_builtin, "memory", "dashtam-core")
        for place, plugin in enumerate(plugins, 1):
            name = _plugin_name(plugin)
            taken = name in {report.name for report in found.reports}
            found.add(plugin, f"{name} ({place})" if taken else name)
        return found

    def strict(self) -> Self:
        """Itself, if every plugin works; else an error that names the first which does not."""
        for report in self.reports:
            if report.problem is not None:
                raise PluginError(f"the plugin {report.name} cannot be used: {report.problem}")
        return self

    @property
    def readers(self) -> tuple[StatementReader, ...]:
        """Every statement reader, in the order of their plugins."""
        return tuple(reader for _, some in self._answers.get("dashtam_readers", ()) for reader in some)

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Every provider by its name."""
        return {each.name: each for _, some in self._answers.get("dashtam_providers", ()) for each in some}

    @property
    def stores(self) -> Mapping[str, StoreOpener]:
        """The opener of each URL scheme. Two plugins that claim one scheme are an error that names both."""
        return self._claimed("dashtam_stores", "the store scheme")

    @property
    def commands(self) -> Mapping[str, CommandAdder]:
        """What plugins add to the command line, by name."""
        return self._claimed("dashtam_commands", "the command")

    @property
    def routers(self) -> Mapping[str, RouterMaker]:
        """What plugins add to the REST API, by its path below `/v1`."""
        return self._claimed("dashtam_routers", "the path")

    def open_store(self, settings: Settings) -> OpenStore:
        """The store that the scheme of `settings.store_url` asks for, to be entered."""
        stores, scheme = self.stores, settings.store_scheme or ""
        if scheme in stores:
            return stores[scheme](settings)
        known = ", ".join(f"{each}:" for each in sorted(stores))
        package = _PACKAGES.get(scheme)
        advice = (
            f"pip install {package}" if package else f"use one of {known}, or install the adapter that brings it"
        )
        raise UnavailableError(
            UnavailableCode.STORE_NOT_CONFIGURED,
            f"no installed plugin opens a store with the scheme {scheme!r} of DASHTAM_STORE_URL: {advice}",
        )

    def add_installed(self, entry: EntryPoint, *, wanted: bool = True) -> None:
        """Load what an installed package names, and register it."""
        distribution = entry.dist.name if entry.dist else None
        if not wanted:
            self.reports.append(PluginReport(entry.name, distribution, problem="not in DASHTAM_PLUGINS"))
            return
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin's import raises is that plugin's problem
            problem = f"import failed: {type(error).__name__}: {error}"
            self.reports.append(PluginReport(entry.name, distribution, problem=problem))
            return
        self.add(plugin, entry.name, distribution)

    def add(self, plugin: object, name: str, distribution: str | None = None) -> None:
        """Register a plugin; one that does not fit, or whose hooks fail, is reported and left out."""
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
            answers = dict(self._asked(plugin))
        except Exception as error:  # noqa: BLE001 - whatever a plugin does wrong is that plugin's problem
            if self._manager.get_plugin(name) is plugin:
                self._manager.unregister(plugin)
            problem = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self.reports.append(PluginReport(name, distribution, problem=problem))
            return
        for hook, answer in answers.items():
            self._answers.setdefault(hook, []).append((name, answer))
        self.reports.append(PluginReport(name, distribution, tuple(_provided(answers))))

    def _asked(self, plugin: object) -> Iterable[tuple[str, _Answer]]:
        """What the plugin answers to each hook it implements. Each is called once, here."""
        for hook in self._manager.get_hookcallers(plugin) or ():
            answer: Any = next(each.function() for each in hook.get_hookimpls() if each.plugin is plugin)
            if answer is None:
                raise ValueError(f"{hook.name} answers None: return what it provides, an empty tuple for nothing")
            yield hook.name, answer if isinstance(answer, Mapping) else tuple(answer)

    def _claimed(self, hook: str, what: str) -> dict[str, Callable[..., Any]]:
        claimed: dict[str, Callable[..., Any]] = {}
        owners: dict[str, str] = {}
        for plugin, answer in self._answers.get(hook, ()):
            for name, value in answer.items():
                if name in owners:
                    raise PluginError(
                        f"the plugins {owners[name]} and {plugin} both claim {what} {name!r}: "
                        "uninstall one, or name the one you want in DASHTAM_PLUGINS"
                    )
                owners[name], claimed[name] = plugin, value
        return claimed


def _provided(answers: Mapping[str, _Answer]) -> Iterable[str]:
    for hook, answer in answers.items():
        for item in answer:
            yield f"{hook.removeprefix('dashtam_').removesuffix('s')} {getattr(item, 'name', item)}"


def _plugin_name(plugin: object) -> str:
    return getattr(plugin, "__name__", None) or type(plugin).__name__
