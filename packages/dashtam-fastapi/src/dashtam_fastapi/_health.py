"""`/health`: whether the process lives, and whether it can serve. Without authentication."""

import logging
from typing import Final, TypedDict

from fastapi import APIRouter, Request, Response

from dashtam_core.kernel import ErrorKind
from dashtam_core.messaging import error_code
from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._callers import app_dashtam
from dashtam_fastapi._problems import KINDS, ProblemError, documented

_log: Final = logging.getLogger(__name__)

health = APIRouter(prefix="/health", tags=["health"], route_class=ProblemRoute)


class Health(TypedDict):
    status: str


@health.get("/live", operation_id="live", summary="Is the process alive?", response_model=Health)
async def live() -> Response:
    """Answers without asking anything else: restart the process if this does not."""
    return answer({"status": "live"})


@health.get(
    "/ready", operation_id="ready", summary="Can it serve?", response_model=Health, responses=documented(503)
)
async def ready(request: Request) -> Response:
    """Asks everything that it needs, all at once: send no requests here while this says no."""
    found = await app_dashtam(request).container.ping()
    down = {port: error for port, error in found.items() if error is not None}
    for port, error in down.items():
        _log.warning("not ready: %s: [%s] %s", port, error_code(error), error, extra={"port": port})
    if down:
        raise _not_ready(*down)
    return answer({"status": "ready"})


def _not_ready(*ports: str) -> ProblemError:
    """Which ports cannot serve. Why they cannot is the operator's to know, and in the log."""
    unavailable = KINDS[ErrorKind.UNAVAILABLE]
    errors = [{"port": port, "detail": "this cannot serve now"} for port in ports]
    detail = "what this service needs is not all there: errors names what is missing, the log says why"
    return ProblemError(unavailable.status, "not_ready", detail, headers=unavailable.headers, errors=errors)
