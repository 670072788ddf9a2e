"""Every hook a plugin can implement, in one file.

A plugin is a module or object with some of these functions, marked `@hookimpl`, and named by an entry point of
the group `dashtam`. Each is called once, when Dashtam or its command line starts: it says what there is, and does
nothing yet.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import pluggy

from dashtam_core.accounts import StatementReader, StatementWriter
from dashtam_core.connections import Provider
from dashtam_core.container import Binding
from dashtam_core.messaging import DomainEvent, DurableSubscription, Route, Subscription
from dashtam_core.settings import Settings
from dashtam_core.store import OpenShared, OpenStore, OpenStream

GROUP: Final = "dashtam"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

type StoreOpener = Callable[[Settings], OpenStore]
type SharedOpener = Callable[[Settings], OpenShared]
type StreamOpener = Callable[[Settings], OpenStream]
type CommandAdder = Callable[[object], None]
type RouterMaker = Callable[[], Any]


@hookspec
def dashtam_stores() -> Mapping[str, StoreOpener]:  # type: ignore[empty-body]
    """The URL schemes of stores this plugin opens, each with the function that does."""


@hookspec
def dashtam_caches() -> Mapping[str, SharedOpener]:  # type: ignore[empty-body]
    """The URL schemes of caches, limits and locks this plugin opens, each with the function that does."""


@hookspec
def dashtam_streams() -> Mapping[str, StreamOpener]:  # type: ignore[empty-body]
    """The URL schemes of event streams this plugin opens, each with the function that does."""


@hookspec
def dashtam_readers() -> Iterable[StatementReader]:  # type: ignore[empty-body]
    """Readers of statement files, asked in the order their plugins were loaded."""


@hookspec
def dashtam_writers() -> Iterable[StatementWriter]:  # type: ignore[empty-body]
    """Writers of the files that people take along, each known by its format's name."""


@hookspec
def dashtam_providers() -> Iterable[Provider]:  # type: ignore[empty-body]
    """Providers of accounts over an API, each known by its name."""


@hookspec
def dashtam_routes() -> Iterable[Route]:  # type: ignore[empty-body]
    """Commands and queries of the plugin's own with their handlers, which run through the same pipeline."""


@hookspec
def dashtam_bindings() -> Iterable[Binding]:  # type: ignore[empty-body]
    """Ports of the plugin's own that its handlers need; those of Dashtam are for `overrides` to bind."""


@hookspec
def dashtam_subscriptions() -> Iterable[Subscription | DurableSubscription]:  # type: ignore[empty-body]
    """Who is told of which event, in this process or durably."""


@hookspec
def dashtam_events() -> Iterable[type[DomainEvent]]:  # type: ignore[empty-body]
    """Events of the plugin's own that other processes and their persons are told of."""


@hookspec
def dashtam_commands() -> Mapping[str, CommandAdder]:  # type: ignore[empty-body]
    """Commands for the `dashtam` command line by name, each a function that adds itself to the Typer app."""


@hookspec
def dashtam_routers() -> Mapping[str, RouterMaker]:  # type: ignore[empty-body]
    """Resources for the REST API: the path below `/v1`, each with a function that makes its FastAPI router."""
