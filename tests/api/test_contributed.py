"""Resources that plugins bring to the API."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import attrs
import httpx
import pytest
from fastapi import APIRouter, FastAPI

from api.people import problem
from dashtam_core import Dashtam, Failure, Result, Settings, Success, hookimpl
from dashtam_core.identity import ACCOUNTS_WRITE, ExternalSubject
from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Permission, Subject
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import Command, Route
from dashtam_core.plugins import RouterMaker
from dashtam_fastapi import MeWriting, ProblemRoute, ServiceSettings, _app, create_app, router


class GoalCode(ErrorCode):
    GOAL_TOO_HIGH = "goal_too_high", ErrorKind.INVALID


@attrs.frozen
class SetGoal(Command[int, DomainError[GoalCode]]):
    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "goal"
    amount: int


@attrs.define
class SetGoalHandler:
    times: ClassVar[list[int]] = []

    async def apply(self, command: SetGoal, /) -> Result[int, DomainError[GoalCode]]:
        if command.amount > 100:
            return Failure(DomainError(GoalCode.GOAL_TOO_HIGH, "that is too much: aim for 100 at most"))
        self.times.append(command.amount)
        return Success(command.amount)


def make_goals() -> APIRouter:
    goals = APIRouter(route_class=ProblemRoute)

    @goals.post("/{amount}", status_code=201)
    async def set_goal(amount: int, me: MeWriting) -> dict[str, int]:
        return {"goal": await me.execute(SetGoal(amount))}

    return goals


def make_trouble() -> APIRouter:
    raise RuntimeError("no such luck")


class Goals:
    @hookimpl
    def dashtam_routes(self) -> tuple[Route, ...]:
        return (SetGoal.handled_by(SetGoalHandler),)

    @hookimpl
    def dashtam_routers(self) -> Mapping[str, RouterMaker]:
        return {"goals": make_goals, "trouble": make_trouble, "accounts": make_goals}


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


@pytest.fixture
async def goals() -> AsyncGenerator[Dashtam]:
    SetGoalHandler.times.clear()
    settings = Settings(master_key="k" * 32)
    async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=[Goals()]) as dashtam:
        yield dashtam


@pytest.fixture
async def theirs(goals: Dashtam) -> AsyncGenerator[httpx.AsyncClient]:
    def cleo() -> Subject:
        return ExternalSubject("cleo")

    app = FastAPI()
    app.include_router(router(goals, subject=cleo))
    async with client_of(app) as client:
        yield client


async def test_a_plugins_resource_runs_its_command(theirs: httpx.AsyncClient) -> None:
    """Its endpoint knows its caller, its failures are problems, and a retry acts once."""
    header = {"idempotency-key": "1"}
    answers = [await theirs.post("/v1/goals/7", headers=header) for _ in range(2)]
    assert [(each.status_code, each.json()) for each in answers] == [(201, {"goal": 7})] * 2
    assert SetGoalHandler.times == [7]
    problem(await theirs.post("/v1/goals/101"), 422, "goal_too_high")
    problem(await theirs.post("/v1/goals/x"), 422, "request_invalid")


async def test_a_plugins_resource_asks_for_the_token_too(goals: Dashtam) -> None:
    """Nobody comes in by a plugin's path who would not by ours."""
    async with client_of(create_app(ServiceSettings(), dashtam=goals)) as nobody:
        problem(await nobody.post("/v1/goals/7"), 401, "unauthenticated")


async def test_a_broken_resource_takes_no_other_along(
    theirs: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be made, or would stand in the way of ours, is named in the log; the rest is there."""
    assert (await theirs.get("/v1/accounts")).json() == {"items": [], "next_cursor": None}
    assert (await theirs.post("/v1/trouble/1")).status_code == 404
    assert (await theirs.post("/v1/accounts/1")).status_code == 405
    said = [each.getMessage() for each in caplog.get_records("setup")]
    assert "the resource /v1/trouble of a plugin cannot be made" in said
    assert "the resource /v1/accounts of a plugin is left out: Dashtam has one of this name" in said


async def test_an_application_that_opens_dashtam_itself_has_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time it runs they are there, in its description too, and gone in between."""
    settings = Settings(store_url="memory:")
    monkeypatch.setattr(_app, "_open", lambda: Dashtam.open(settings=settings, plugins=[Goals()]))
    app = create_app(ServiceSettings())
    own = len(app.routes)
    for _ in range(2):
        assert "/v1/goals/{amount}" not in app.openapi()["paths"]
        app.openapi_schema = None
        async with app.router.lifespan_context(app), client_of(app) as nobody:
            answer = await nobody.post("/v1/goals/7")
            problem(answer, 401, "unauthenticated")
            assert "ratelimit" in answer.headers
            assert len(app.routes) == own + 1
            assert "/v1/goals/{amount}" in app.openapi()["paths"]
        app.openapi_schema = None
