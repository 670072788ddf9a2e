"""What surrounds every request: its id, its line in the log, and the answer to what nobody expected."""

import logging
import re
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashtam_core.kernel import new_id
from dashtam_core.logs import bound
from dashtam_fastapi._problems import problem_response
from dashtam_fastapi._rates import telling

_log: Final = logging.getLogger(__name__)
_HEALTH: Final = "/health/"
_SANE: Final = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
# What every answer tells browsers, unless it tells them something else itself.
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_WHICH_END: Final = problem_response(
    HTTPException(400, "send Content-Length or Transfer-Encoding, not both", {"connection": "close"})
)


class Envelope:
    """ASGI middleware that names each request, logs it and its failure once, and lets nothing of that out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict[bytes, bytes](scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        app = _WHICH_END if headers.keys() >= {b"content-length", b"transfer-encoding"} else self._app
        with bound(request_id=request_id):
            await _answer(app, request_id, scope, receive, send)


async def _answer(app: ASGIApp, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    began, status = perf_counter(), None

    async def named(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = _completed(message.get("headers", ()), request_id)
        await send(message)

    sending = telling(scope, named)
    try:
        await app(scope, receive, sending)
    except Exception as error:  # noqa: BLE001 - the last place where one can be answered
        line = "request failed: %s %s, request-id %s"
        _log.error(line, scope["method"], scope["path"], request_id, exc_info=error)
        if status is None:
            await problem_response(error)(scope, receive, sending)
    finally:
        _note(scope, status, perf_counter() - began)


def _note(scope: Scope, status: int | None, seconds: float) -> None:
    """One line for a request; without a status, its sender left before there was an answer."""
    path = scope["path"]
    peer, _ = scope.get("client") or (None, None)
    asked = {"client": peer, "method": scope["method"], "path": path}
    fields = {**asked, "status": status, "milliseconds": round(seconds * 1e3, 3)}
    _log.log(logging.DEBUG if path.startswith(_HEALTH) else logging.INFO, "request", extra=fields)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's own id for the request if it is a plain token, else a new one."""
    given = headers.get(b"request-id", b"")
    return given.decode() if _SANE.fullmatch(given) else str(new_id())


def _completed(headers: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with its request's id, and with what of `ALWAYS` it does not say itself."""
    own = [each for each in headers if each[0] != b"request-id"]
    names = {name for name, _ in own}
    return [*own, (b"request-id", request_id.encode()), *(each for each in ALWAYS if each[0] not in names)]
