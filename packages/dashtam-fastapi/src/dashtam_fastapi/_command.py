"""`dashtam serve`. Whatever is slow to import is imported when it runs."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from dashtam_core import Dashtam, Failure, Settings, logs
from dashtam_core.cli import durable, load_settings, stop

if TYPE_CHECKING:
    from dashtam_fastapi import ServiceSettings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on [DASHTAM_HOST, 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port [DASHTAM_PORT, 8000]; 0 takes a free one")
    ] = None,
) -> None:
    """Serve the REST API until Ctrl-C."""
    from dashtam_fastapi import ServiceSettings

    core = durable(load_settings())
    logs.configure(format=core.log_format or "auto", level=core.log_level or "info", secrets=core.secrets)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it lists its own at length
    settings = ServiceSettings.read()
    if isinstance(settings, Failure):
        stop(settings.failure().message, 2)
    given = {"host": host, "port": port}
    chosen = settings.unwrap().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(core, chosen))


async def _serve(core: Settings, settings: "ServiceSettings") -> None:
    """Opens the store before it listens: an address that answers is one that can serve."""
    from dashtam_fastapi import create_app, until_signalled
    from dashtam_fastapi import serve as serve_app

    task = asyncio.current_task()
    assert task is not None, "this runs in a task"
    with until_signalled(task.cancel):
        async with Dashtam.open(settings=core) as dashtam:
            await dashtam.ping()
            await serve_app(create_app(settings, dashtam=dashtam), settings.host, settings.port, _announce)


def _announce(url: str) -> None:
    typer.echo(f"Dashtam answers on {url}, its API is described on {url}/docs. Ctrl-C ends it.")
