"""The command `dashtam serve`. Every start of `dashtam` may import this, so it imports little itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from dashtam_core.plugins import CommandAdder, hookimpl

if TYPE_CHECKING:
    from typer import Typer


@hookimpl
def dashtam_commands() -> Mapping[str, CommandAdder]:
    return {"serve": _add_serve}


def _add_serve(app: object) -> None:
    from dashtam_fastapi._command import serve

    cast("Typer", app).command("serve")(serve)
