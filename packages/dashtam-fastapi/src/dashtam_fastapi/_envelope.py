"""What surrounds every request: its id, and the answer to what nobody expected."""

import logging
import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashtam_core.kernel import new_id
from dashtam_fastapi._problems import problem_response

_log: Final = logging.getLogger(__name__)
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

        try:
            await self._app(scope, receive, named)
        except Exception as error:  # noqa: BLE001 - the last place where one can be answered
            line = "request failed: %s %s, request-id %s"
            _log.error(line, scope["method"], scope["path"], request_id, exc_info=error)
            if not started:
                await problem_response(error)(scope, receive, named)


def _request_id(scope: Scope) -> str:
    """The caller's own id for the request if it is a plain token, else a new one."""
    given = Headers(scope=scope).get("request-id", "")
    return given if _SANE.fullmatch(given) else str(new_id())
