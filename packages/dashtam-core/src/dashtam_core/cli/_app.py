"""The `dashtam` command: its own commands by name, and those that plugins contribute."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from dashtam_core import logs
from dashtam_core.audit import CryptographyMissingError
from dashtam_core.cli._admin import create_token, plugins
from dashtam_core.cli._audit import audit
from dashtam_core.cli._events import events
from dashtam_core.cli._exits import UNAVAILABLE, stop
from dashtam_core.cli._export import export
from dashtam_core.cli._host import Host, note_inactive
from dashtam_core.cli._lists import list_accounts, list_transactions
from dashtam_core.cli._own import annotate, list_holdings, matching
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import aside, line, note
from dashtam_core.cli._statements import import_files, read
from dashtam_core.cli._users import keys, users
from dashtam_core.container import AssemblyError
from dashtam_core.kernel import Success, UnavailableError
from dashtam_core.plugins import CommandAdder, PluginError, Plugins
from dashtam_core.portfolio import MatchKind
from dashtam_core.settings import Settings

_PACKAGES: Final = {"db": "dashtam-postgres", "serve": "dashtam-fastapi"}


class Commands(TyperGroup):
    """The built-in commands at once; plugins are loaded only for help and for a name that is not built in."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except UnavailableError as error:
            stop(f"[{error.code}] {error.message}", UNAVAILABLE)
        except (PluginError, AssemblyError, CryptographyMissingError) as error:
            stop(str(error), UNAVAILABLE)

    def list_commands(self, ctx: Any) -> list[str]:
        try:
            added = sorted(_plugins(ctx).commands)
        except PluginError as error:
            note(str(error))
            added = []
        return list(dict.fromkeys([*super().list_commands(ctx), *added]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        built_in = super().get_command(ctx, cmd_name)
        if built_in is not None:
            return built_in
        found = _plugins(ctx)
        found.check("command", cmd_name)
        if cmd_name in found.commands:
            return _added(cmd_name, found.commands)
        if not ctx.resilient_parsing:
            _note_missing(cmd_name, found)
        return None


def _plugins(ctx: Any) -> Plugins:
    return Host.of(ctx).plugins(load_settings())


def _added(name: str, adders: Mapping[str, CommandAdder]) -> Any:
    """The command as its plugin makes it, or None and a line that says why not."""
    app = typer.Typer(rich_markup_mode=None)
    try:
        with aside():
            adders[name](app)
        return get_group(app).commands[name]
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises leaves the other commands as they are
        note(f"the command {name} could not be added: {type(error).__name__}: {error}")
        return None


def _note_missing(name: str, found: Plugins) -> None:
    """Says which package brings a command, or which plugin may have failed to."""
    package = _PACKAGES.get(name)
    if package and package not in {report.distribution for report in found.reports}:
        stop(f"the command {name} comes in a package of its own: pip install {package}", 2)
    note_inactive(found)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        line(f"dashtam-core {version('dashtam-core')}")
        raise typer.Exit


def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Bank statements and accounts in one private store of your own."""
    match Settings.load():
        case Success(settings):
            _configure_logs(settings)
        case _:
            pass  # the command says what is wrong with them, if it needs them at all


def _configure_logs(settings: Settings) -> None:
    """Lines for the person at the terminal, from warnings up, unless settings say otherwise."""
    logs.configure(
        format=settings.log_format or "console",
        level=settings.log_level or "warning",
        secrets=settings.secrets,
        at_once=False,
    )


app = typer.Typer(
    cls=Commands,
    callback=_root,
    context_settings={"obj": Host()},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("read")(read)
app.command("import")(import_files)
app.command("accounts")(list_accounts)
app.command("transactions")(list_transactions)
app.command("holdings")(list_holdings)
app.command("transfers")(matching(MatchKind.TRANSFER))
app.command("duplicates")(matching(MatchKind.DUPLICATE))
app.command("annotate")(annotate)
app.command("export")(export)
app.command("token")(create_token)
app.add_typer(audit, name="audit")
app.add_typer(events, name="events")
app.add_typer(plugins, name="plugins")
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
