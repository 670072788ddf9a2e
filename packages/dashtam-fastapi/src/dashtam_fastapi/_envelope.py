"""What surrounds every request: its id, its line in the log, and the answer to what nobody expected."""

import logging
import re
from time import perf_counter
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashtam_core.kernel import new_id
from dashtam_core.logs import bound
from dashtam_fastapi._problems import problem_response

_log: Final = logging.getLogger(__name__)
_HEALTH: Final = "/health/"
_SANE: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)


class Envelope:
    """ASGI middleware that names each request, logs it and its failure once, and lets nothing of that out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        with bound(request_id=request_id):
            await self._answer(request_id, scope, receive, send)

    async def _answer(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = perf_counter(), None

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["request-id"] = request_id
                headers.setdefault("x-content-type-options", "nosniff")
            await send(message)

        try:
            await self._app(scope, receive, named)
        except Exception as error:  # noqa: BLE001 - the last place where one can be answered
            line = "request failed: %s %s, request-id %s"
            _log.error(line, scope["method"], scope["path"], request_id, exc_info=error)
            if status is None:
                await problem_response(error)(scope, receive, named)
        finally:
            _note(scope, status, perf_counter() - began)


def _note(scope: Scope, status: int | None, seconds: float) -> None:
    """One line for a request; without a status, its sender left before there was an answer."""
    path = scope["path"]
    fields = {"method": scope["method"], "path": path, "status": status, "milliseconds": round(seconds * 1e3, 3)}
    _log.log(logging.DEBUG if path.startswith(_HEALTH) else logging.INFO, "request", extra=fields)


def _request_id(scope: Scope) -> str:
    """The caller's own id for the request if it is a plain token, else a new one."""
    given = Headers(scope=scope).get("request-id", "")
    return given if _SANE.fullmatch(given) else str(new_id())
