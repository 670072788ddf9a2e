"""Dashtam: a kernel for financial data aggregation.

async with Dashtam.open() as dashtam:
    me = dashtam.acting_as(ExternalSubject("auth0|1"))
    await me.execute(ImportStatement(data))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dashtam_core.app import Actor, Dashtam
    from dashtam_core.container import AssemblyError, provide
    from dashtam_core.kernel import Failure, Result, Success, UnavailableError
    from dashtam_core.plugins import PluginError, hookimpl
    from dashtam_core.settings import Settings

# fmt: off
__all__ = [
    "Actor", "AssemblyError", "Dashtam", "Failure", "PluginError", "Result", "Settings", "Success",
    "UnavailableError", "hookimpl", "provide",
]
# fmt: on

_HOMES: Final = {
    "Actor": "app",
    "AssemblyError": "container",
    "Dashtam": "app",
    "Failure": "kernel",
    "PluginError": "plugins",
    "Result": "kernel",
    "Settings": "settings",
    "Success": "kernel",
    "UnavailableError": "kernel",
    "hookimpl": "plugins",
    "provide": "container",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: who needs one room, as a plugin does, does not pay for all of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
