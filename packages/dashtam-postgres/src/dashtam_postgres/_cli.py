"""The command `dashtam db`."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from urllib.parse import unquote, urlsplit

import typer

from dashtam_core.cli import durable, load_settings, stop
from dashtam_core.kernel import UnavailableError
from dashtam_core.settings import Settings
from dashtam_postgres._migrate import upgrade
from dashtam_postgres._retention import retire
from dashtam_postgres._tables import REVISION


def add_db(app: object) -> None:
    """Adds `dashtam db` to the command line."""
    db = typer.Typer(help="The database: bring it up to date, take old audit entries out.", no_args_is_help=True)
    db.command("upgrade")(_upgrade)
    db.command("retire")(_retire)
    db.callback()(_db)
    cast("typer.Typer", app).add_typer(db, name="db")


def _db() -> None:
    """The database: bring it up to date, take old audit entries out."""


def _upgrade() -> None:
    """Create or update the tables and the application's role, in one transaction. Safe to run again."""
    settings = durable(load_settings())
    if settings.store_scheme == "embedded":
        typer.echo("the embedded store brings itself up to date whenever it is opened: nothing to do")
        return
    _as_owner(lambda admin_url: _run(settings, admin_url), settings)
    typer.echo(f"the database is at migration {REVISION}")


def _retire(
    before: Annotated[str, typer.Option(help="A month, such as 2025-01: what is older is taken out.")],
) -> None:
    """Take whole months out of the audit trail. They become tables of their own, to archive or to drop."""
    try:
        month = datetime.strptime(before, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        stop(f"{before!r} is no month: write it as 2025-01", 2)
    retired = _as_owner(lambda admin_url: retire(admin_url, month), load_settings())
    if not retired.tables:
        typer.echo(f"the audit trail has no month before {before}: nothing to do")
        return
    typer.echo(f"{retired.entries} entries are out of the audit trail, in tables that only the owner can read:")
    for table in retired.tables:
        typer.echo(f"  {table}")
    typer.echo("archive them with pg_dump, then DROP TABLE; what is left of the trail verifies as before")


def _as_owner[T](work: Callable[[str], Coroutine[Any, Any, T]], settings: Settings) -> T:
    if settings.store_admin_url is None:
        stop("set DASHTAM_STORE_ADMIN_URL to the database as its owner, who may create schemas and roles", 3)
    try:
        return asyncio.run(work(settings.store_admin_url))
    except (UnavailableError, ValueError) as error:
        stop(str(error), 3)


async def _run(settings: Settings, admin_url: str) -> None:
    parts = urlsplit(settings.store_url or "")
    password = None if parts.password is None else unquote(parts.password)
    await upgrade(admin_url, app_role=unquote(parts.username or "dashtam_app"), app_password=password)
