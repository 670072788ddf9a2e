"""Every hook a plugin can implement, in one file.

A plugin is a module or object with some of these functions, marked `@hookimpl`, and named by an entry point of
the group `dashtam`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import pluggy

from dashtam_core.accounts import StatementReader
from dashtam_core.settings import Settings
from dashtam_core.store import OpenStore

GROUP: Final = "dashtam"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

type StoreOpener = Callable[[Settings], OpenStore]
type CommandAdder = Callable[[object], None]


@hookspec
def dashtam_stores() -> Mapping[str, StoreOpener]:  # type: ignore[empty-body]
    """The URL schemes of stores this plugin opens, each with the function that does."""


@hookspec
def dashtam_readers() -> Iterable[StatementReader]:  # type: ignore[empty-body]
    """Readers of statement files, asked in the order their plugins were loaded."""


@hookspec
def dashtam_commands() -> Mapping[str, CommandAdder]:  # type: ignore[empty-body]
    """Commands for the `dashtam` command line by name, each a function that adds itself to the Typer app."""
