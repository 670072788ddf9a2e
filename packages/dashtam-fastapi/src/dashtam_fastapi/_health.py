"""`/health`: whether the process lives, and whether it can serve. Without authentication."""

from typing import TypedDict

from fastapi import APIRouter, Request, Response

from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._callers import app_dashtam
from dashtam_fastapi._problems import documented

health = APIRouter(prefix="/health", tags=["health"], route_class=ProblemRoute)


class Health(TypedDict):
    status: str


@health.get("/live", operation_id="live", summary="Is the process alive?", response_model=Health)
async def live() -> Response:
    """Answers without asking anything else: restart the process if this does not."""
    return answer({"status": "live"})


@health.get(
    "/ready",
    operation_id="ready",
    summary="Can it serve?",
    response_model=Health,
    responses=documented(503),
)
async def ready(request: Request) -> Response:
    """Asks the store: send no requests here while this says no."""
    await app_dashtam(request).ping()
    return answer({"status": "ready"})
