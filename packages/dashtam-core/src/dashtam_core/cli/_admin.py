"""`dashtam plugins` and `dashtam token`: what is installed, and who may come in."""

from collections.abc import Iterable
from typing import Annotated, Final

import attrs
import typer

from dashtam_core.app import fit
from dashtam_core.cli._exits import UNAVAILABLE, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._new import new_plugin
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, note, table
from dashtam_core.identity import CreateApiToken
from dashtam_core.kernel import Permission
from dashtam_core.plugins import PluginReport

plugins: Final = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
plugins.command("new")(new_plugin)


@plugins.callback()
def list_plugins(
    ctx: typer.Context,
    *,
    trace: Annotated[
        bool, typer.Option("--trace", help="Show what each was asked, and how long it took.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the installed plugins: what each provides, or why it is not active. Exits with 3 if one is broken."""
    if ctx.invoked_subcommand is not None:
        return
    found = Host.of(ctx).plugins(settings := load_settings())
    fit(found, settings)
    if as_json:
        document({"plugins": [attrs.asdict(each) | {"active": each.active} for each in found.reports]})
    elif trace:
        steps = [(each.name, *step.values()) for each in found.reports for step in each.trace]
        table(("plugin", "asked", "ms>", "answer"), steps)
    else:
        rows = [row for each in found.reports for row in _rows(each)]
        table(("plugin", "distribution", "active", "provides, or why not"), rows)
    raise SystemExit(UNAVAILABLE if found.broken else 0)


def create_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="What the token is for, in your words.")] = "command line",
    may: Annotated[list[str] | None, typer.Option(help="A permission, such as accounts:read; else all.")] = None,
    days: Annotated[int | None, typer.Option(help="How long it is good for; else until it is revoked.")] = None,
    as_json: Json = False,
) -> None:
    """Make an API token that acts as you, for programs."""
    wanted = CreateApiToken(name, frozenset(map(Permission, may)) if may else None, days)
    made = value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(wanted)))
    document(attrs.asdict(made)) if as_json else line(made.token)
    note("this token is shown once: keep it where nobody else reads it")


def _rows(report: PluginReport) -> Iterable[tuple[str, ...]]:
    active = "no" if not report.active else "partly" if report.problems else "yes"
    first, *more = [*filter(None, (", ".join(report.provides), *report.problems))] or ["nothing"]
    yield report.name, " ".join(filter(None, (report.distribution, report.version))), active, first
    yield from (("", "", "", each) for each in more)
