"""The `dashtam` command line, and what the commands of plugins share with it.

Importing this package needs nothing of the extra `cli`; running `main` does.
"""

from importlib import import_module
from typing import Final

from dashtam_core.cli._exits import stop
from dashtam_core.cli._settings import durable, load_settings

__all__ = ["durable", "load_settings", "main", "stop"]

_EXTRA: Final = ("dotenv", "rich", "typer")


def main() -> None:
    """Run the command that the process's arguments name, and exit."""
    try:
        for name in _EXTRA:
            import_module(name)
    except ImportError:
        stop("the command line needs its extra: pip install 'dashtam-core[cli]'", 2)
    from dashtam_core.cli._app import app

    app()
