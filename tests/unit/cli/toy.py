"""A command line to test: a reader that prints while it reads, and one store in memory that lasts."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint
from typing import Any

import attrs
from typer.testing import CliRunner, Result

from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import ImportFailed, Statement
from dashtam_core.cli._app import app
from dashtam_core.cli._host import Host
from dashtam_core.kernel import Result as Answer
from dashtam_core.memory import MemoryStore
from dashtam_core.plugins import CommandAdder, Plugins
from dashtam_core.testing.samples import LinesPlugin, LinesReader, lines

KEY = "a key of the tests, long enough for it"
JANUARY = lines(
    "account;DE00 1234",
    "row;2026-01-05;-12.5;Coffee;payee=Café;memo=Coffee;id=T1",
    "row;2026-01-07;1000.000;;pending",
    "balance;2026-01-31;987.5",
    "warning;date_unreadable;row 3;31.02.",
)
CUT = b"LINES 1\naccount;DE00 1234\n"


class NoisyReader(LinesReader):
    """Prints while it reads, as libraries will."""

    def read(self, data: bytes, /) -> Answer[Statement, ImportFailed]:
        sys.stdout.write("noise of the reader\n")
        return super().read(data)


def noisy() -> LinesPlugin:
    """The plugin with that reader."""
    return LinesPlugin(NoisyReader())


class Adding:
    """A plugin that contributes commands."""

    def __init__(self, **commands: Callable[[Any], None]) -> None:
        self.commands = commands

    @hookimpl
    def dashtam_commands(self) -> Mapping[str, CommandAdder]:
        return self.commands


BROKEN = EntryPoint(name="broken", value="dashtam_no_such_module", group="dashtam")


class CommandLine:
    """`dashtam` with these plugins; what one command stores the next one finds."""

    def __init__(self, *plugins: object, broken: bool = False) -> None:
        self.plugins = plugins
        self.broken = broken
        self.store = MemoryStore()
        asyncio.run(self.store.keys.add("former", b"", beside=()))  # so that stores with one key have one root key

    def __call__(self, *args: str, stdin: bytes | None = None) -> Result:
        host = Host(self._find, self._open)
        return CliRunner().invoke(app, args, input=stdin, obj=host, catch_exceptions=False, prog_name="dashtam")

    def json(self, *args: str) -> Any:
        """What a command that must succeed prints with `--json`."""
        result = self(*args, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def _find(self, allowed: Sequence[str] | None) -> Plugins:
        found = Plugins.of(self.plugins)
        if self.broken:
            found.add_installed(BROKEN)
        return found

    def _open(self, settings: Settings) -> AbstractAsyncContextManager[Dashtam]:
        sys.stdout.write("noise of the store\n")
        with_key = attrs.evolve(settings, master_key=KEY)
        return Dashtam.open(settings=with_key, store=self.store, plugins=self.plugins, workers=False)
