"""The command `dashtam db`."""

import asyncio
from typing import cast
from urllib.parse import unquote, urlsplit

import typer

from dashtam_core.cli import durable, load_settings, stop
from dashtam_core.kernel import UnavailableError
from dashtam_core.settings import Settings
from dashtam_postgres._migrate import upgrade
from dashtam_postgres._tables import REVISION


def add_db(app: object) -> None:
    """Adds `dashtam db` to the command line."""
    db = typer.Typer(help="The database: bring it up to date.", no_args_is_help=True)
    db.command("upgrade")(_upgrade)
    db.callback()(_db)
    cast("typer.Typer", app).add_typer(db, name="db")


def _db() -> None:
    """The database: bring it up to date."""


def _upgrade() -> None:
    """Create or update the tables and the application's role, in one transaction. Safe to run again."""
    settings = durable(load_settings())
    if settings.store_scheme == "embedded":
        typer.echo("the embedded store brings itself up to date whenever it is opened: nothing to do")
        return
    if settings.store_admin_url is None:
        stop("set DASHTAM_STORE_ADMIN_URL to the database as its owner, who may create schemas and roles", 3)
    try:
        asyncio.run(_run(settings, settings.store_admin_url))
    except (UnavailableError, ValueError) as error:
        stop(str(error), 3)
    typer.echo(f"the database is at migration {REVISION}")


async def _run(settings: Settings, admin_url: str) -> None:
    parts = urlsplit(settings.store_url or "")
    password = None if parts.password is None else unquote(parts.password)
    await upgrade(admin_url, app_role=unquote(parts.username or "dashtam_app"), app_password=password)
