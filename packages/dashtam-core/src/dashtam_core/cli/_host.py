"""What commands reach the world through, held by the Typer context so that a test can give another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Final

import attrs
import typer

from dashtam_core.app import Actor, Dashtam
from dashtam_core.cli._settings import durable
from dashtam_core.cli._show import aside, note
from dashtam_core.identity import OWNER, ExternalSubject
from dashtam_core.kernel import Origin, Permission
from dashtam_core.plugins import Plugins
from dashtam_core.settings import Settings

type Opener = Callable[[Settings], AbstractAsyncContextManager[Dashtam]]

_ORIGIN: Final = Origin("cli")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


def _open(settings: Settings) -> AbstractAsyncContextManager[Dashtam]:
    """A command is over too soon for background work: whatever waits is left to the service."""
    return Dashtam.open(settings=durable(settings), workers=False)


@attrs.frozen
class Host:
    """Finds plugins and opens Dashtam, as installed and configured unless told otherwise."""

    find_plugins: Callable[[Sequence[str] | None], Plugins] = Plugins.installed
    opener: Opener = _open

    @classmethod
    def of(cls, ctx: typer.Context, /) -> "Host":
        """The host that a command runs on."""
        assert isinstance(ctx.obj, cls), "the app gives every context a host"
        return ctx.obj

    def plugins(self, settings: Settings) -> Plugins:
        with aside():
            return self.find_plugins(settings.plugins)

    def run[T](
        self, settings: Settings, work: Callable[[Actor], Awaitable[T]], permissions: frozenset[Permission] = OWNER
    ) -> T:
        """What `work` brings back, done as the person that the settings name, with these permissions."""

        async def acting() -> T:
            async with self.opener(settings) as dashtam:
                return await work(dashtam.acting_as(ExternalSubject(settings.subject, permissions), _ORIGIN))

        with aside():
            return asyncio.run(acting())


def note_inactive(plugins: Plugins) -> None:
    """A line for each plugin that is left out: what was asked for may be missing because of it."""
    for report in plugins.reports:
        if not report.active:
            note(f"the plugin {report.name} is not active: {'; '.join(report.problems)}")
