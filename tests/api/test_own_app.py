"""The router in somebody else's application, with their own users and paths."""

from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from api.people import Person, lines, problem, token_of
from dashtam_core import Dashtam
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Permission, Subject
from dashtam_fastapi import router


@pytest.fixture
async def theirs(dashtam: Dashtam) -> AsyncGenerator[httpx.AsyncClient]:
    """An application with users of its own, who are known by a header."""

    def current_user(x_user: Annotated[str | None, Header()] = None) -> str:
        if x_user is None:
            raise HTTPException(401, "log in first")
        return x_user

    def subject(user: Annotated[str, Depends(current_user)]) -> Subject:
        return ExternalSubject(user, frozenset[Permission]()) if user == "guest" else ExternalSubject(user)

    app = FastAPI()
    app.include_router(router(lambda _: dashtam, subject=subject, import_max_bytes=1000), prefix="/money")
    app.include_router(router(dashtam), prefix="/tokens")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


async def test_their_users_have_their_own_data(theirs: httpx.AsyncClient) -> None:
    """The dependency of the application says who acts, and a report is found below the application's prefix."""
    files = {"file": ("a", lines("A", "2026-01-01;1;x"))}
    made = await theirs.post("/money/v1/imports", files=files, headers={"x-user": "cleo"})
    location = made.headers["location"]
    assert location.startswith("/money/v1/imports/")
    assert (await theirs.get(location, headers={"x-user": "cleo"})).status_code == 200
    problem(await theirs.get(location, headers={"x-user": "dan"}), 404, "import_not_found")


async def test_their_refusals_and_ours_are_problems(theirs: httpx.AsyncClient) -> None:
    """Without our application around it, the router still answers with problem details."""
    assert problem(await theirs.get("/money/v1/accounts"), 401, "unauthorized")["detail"] == "log in first"
    guest = {"x-user": "guest"}
    problem(await theirs.get("/money/v1/accounts", headers=guest), 403, "permission_denied")
    problem(await theirs.get("/money/v1/accounts?x=1", headers={"x-user": "cleo"}), 422, "request_invalid")
    files = {"file": ("a", b"x" * 100_000)}
    answer = await theirs.post("/money/v1/imports", files=files, headers={"x-user": "cleo"})
    problem(answer, 413, "file_too_large")


async def test_our_tokens_work_with_their_dashtam(
    theirs: httpx.AsyncClient, dashtam: Dashtam, ann: Person
) -> None:
    """A Dashtam of their own may know the tokens."""
    header = {"authorization": f"Bearer {await token_of(dashtam, 'ann')}"}
    assert (await theirs.get("/tokens/v1/accounts", headers=header)).status_code == 200
    problem(await theirs.get("/tokens/v1/accounts"), 401, "unauthenticated")
