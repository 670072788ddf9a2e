"""`dashtam plugins` and `dashtam token`: what is installed, and who may come in."""

from typing import Annotated

import attrs
import typer

from dashtam_core.cli._exits import value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, note, table
from dashtam_core.identity import CreateApiToken
from dashtam_core.plugins import PluginError, PluginReport, Plugins


def list_plugins(ctx: typer.Context, as_json: Json = False) -> None:
    """List the installed plugins: what each provides, or why it is not active."""
    found = Host.of(ctx).plugins(load_settings())
    if as_json:
        document({"plugins": [attrs.asdict(each) | {"active": each.active} for each in found.reports]})
    else:
        table(("plugin", "distribution", "active", "provides, or why not"), [_row(each) for each in found.reports])
    _note_conflicts(found)


def create_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="What the token is for, in your words.")] = "command line",
    as_json: Json = False,
) -> None:
    """Make an API token that acts as you."""
    secret = value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(CreateApiToken(name))))
    document({"token": secret}) if as_json else line(secret)
    note("this token is shown once: keep it where nobody else reads it")


def _row(report: PluginReport) -> tuple[str | None, ...]:
    active = "yes" if report.active else "no"
    return report.name, report.distribution, active, report.problem or ", ".join(report.provides)


def _note_conflicts(found: Plugins) -> None:
    try:
        _ = found.stores, found.commands
    except PluginError as error:
        note(str(error))
