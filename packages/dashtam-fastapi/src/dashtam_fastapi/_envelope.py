"""What surrounds every request: its id, and the answer to what nobody expected."""

import re
import traceback
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashtam_core.kernel import new_id
from dashtam_fastapi._problems import problem_response

_SANE: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)


class Envelope:
    """ASGI middleware that names each request, logs its failure once, and never lets anything of that out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = False

        async def named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["request-id"] = request_id
                headers.setdefault("x-content-type-options", "nosniff")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, named)
            except Exception as error:  # noqa: BLE001 - the last place where one can be answered
                _log(scope, request_id, error)
                if not started:
                    await problem_response(error)(scope, receive, named)


def _request_id(scope: Scope) -> str:
    """The caller's own id for the request if it is a plain token, else a new one."""
    given = Headers(scope=scope).get("request-id", "")
    return given if _SANE.fullmatch(given) else str(new_id())


def _log(scope: Scope, request_id: str, error: Exception) -> None:
    """Formats the traceback itself: renderers for terminals print local variables, which hold tokens and files."""
    structlog.get_logger(__name__).error(
        "request failed",
        request_id=request_id,
        method=scope["method"],
        path=scope["path"],
        exception="".join(traceback.format_exception(error)),
    )
