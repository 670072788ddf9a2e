"""`dashtam export`: what is in the store as a file to take along."""

from typing import Annotated

import attrs
import typer

from dashtam_core.accounts import Export, ExportTransactions
from dashtam_core.app import Actor
from dashtam_core.cli._exits import value_of
from dashtam_core.cli._files import STDIO, writing
from dashtam_core.cli._host import Host
from dashtam_core.cli._lists import Chosen, From, To, chosen, every_account
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import note

Format = Annotated[str, typer.Option("--format", help="ofx, csv, beancount, or what a plugin brings.")]
Output = Annotated[str, typer.Option(metavar="FILE", help="Where to; - is standard output.")]


def export(
    ctx: typer.Context,
    *,
    format_: Format = "ofx",
    account: Chosen = None,
    from_day: From = None,
    to_day: To = None,
    output: Output = STDIO,
) -> None:
    """Write your accounts and transactions as one file. A file is there once it is complete."""
    wanted = ExportTransactions(format_, None, from_day and from_day.date(), to_day and to_day.date())

    async def work(me: Actor) -> Export:
        of_account = None if account is None else chosen(account, (await every_account(me)).values())
        return value_of(await me.ask(attrs.evolve(wanted, account_id=of_account)))

    exported = Host.of(ctx).run(load_settings(), work)
    with writing(output) as write:
        write(exported.data.decode())
    if output != STDIO:
        note(f"{len(exported.data):,} bytes written to {output}: keep them as carefully as the store")
