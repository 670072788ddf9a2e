"""The REST service of Dashtam, and its routers to include in your own FastAPI application."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dashtam_fastapi._answers import ProblemRoute
    from dashtam_fastapi._app import create_app
    from dashtam_fastapi._callers import Caller, Me, MeWriting, Writer, acting
    from dashtam_fastapi._problems import ProblemError, problem_response
    from dashtam_fastapi._router import router
    from dashtam_fastapi._serving import serve, until_signalled
    from dashtam_fastapi._settings import ServiceSettings

# fmt: off
__all__ = [
    "Caller", "Me", "MeWriting", "ProblemError", "ProblemRoute", "ServiceSettings", "Writer", "acting",
    "create_app", "problem_response", "router", "serve", "until_signalled",
]
# fmt: on
_MODULES: Final = ("_answers", "_app", "_callers", "_problems", "_router", "_serving", "_settings")


def __getattr__(name: str) -> Any:
    """Imports what is asked for: `dashtam` imports this package to find its command, and FastAPI is slow."""
    homes = (import_module(f"{__name__}.{module}") for module in _MODULES if name in __all__)
    for home in homes:
        if hasattr(home, name):
            return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
