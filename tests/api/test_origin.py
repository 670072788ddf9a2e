"""Where a request came from, as the audit trail tells it."""

from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Request

from api.people import Person, lines, problem, trail
from dashtam_core import Actor, Dashtam
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Permission, Subject
from dashtam_fastapi import acting, router

JUNE = lines("DE123", "2026-06-01;-12.50;Coffee")
PEER = "192.0.2.7"


def client(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client whose connection comes from a known address."""
    transport = httpx.ASGITransport(app, client=(PEER, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://dashtam.test", headers=headers)


async def upload(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await http.post("/v1/imports", files={"file": ("june.lines", JUNE)}, headers=headers)


async def test_each_entry_says_where_it_came_from(app: FastAPI, ann: Person, dashtam: Dashtam) -> None:
    """Attempt and outcome have the peer's address, the user agent and the request's id."""
    token = {"authorization": f"Bearer {ann.token}"}
    async with client(app, **token) as http:
        answer = await upload(http, **{"user-agent": "money app/2", "request-id": "mine-1"})
    assert answer.headers["request-id"] == "mine-1"
    attempted, succeeded = await trail(dashtam, "ann")
    for each in (attempted, succeeded):
        assert (each.entry.channel, each.entry.request_id) == ("http", "mine-1")
        assert each.personal is not None
        assert (each.personal["ip_address"], each.personal["user_agent"]) == (PEER, "money app/2")
    assert succeeded.entry.resource_id == answer.json()["import_id"]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "client-ip"])
async def test_a_forged_address_is_not_believed(app: FastAPI, ann: Person, dashtam: Dashtam, header: str) -> None:
    """What a header says about the sender's address changes nothing."""
    async with client(app, authorization=f"Bearer {ann.token}") as http:
        await upload(http, **{header: "for=203.0.113.9" if header == "forwarded" else "203.0.113.9"})
    for each in await trail(dashtam, "ann"):
        assert each.personal is not None
        assert each.personal["ip_address"] == PEER


async def test_a_request_without_an_id_gets_one_of_ours(ann: Person, dashtam: Dashtam) -> None:
    """The id that is answered is the one on record."""
    answer = await ann.upload(JUNE)
    assert UUID(answer.headers["request-id"]).version == 7
    assert {each.entry.request_id for each in await trail(dashtam, "ann")} == {answer.headers["request-id"]}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(b"a\tb\x9bc\xff", "abcÿ"), (b"x" * 600, "x" * 512), (b"", None)],
    ids=["control characters", "too long", "none"],
)
async def test_a_user_agent_is_kept_as_text(ann: Person, dashtam: Dashtam, sent: bytes, kept: str | None) -> None:
    """Only what can be printed is kept, and not more than 512 characters of it."""
    await ann.http.post("/v1/imports", files={"file": ("j", JUNE)}, headers=[(b"user-agent", sent)])
    for each in await trail(dashtam, "ann"):
        assert each.personal is not None
        assert each.personal.get("user_agent") == kept


async def test_a_refused_request_leaves_one_entry(dashtam: Dashtam) -> None:
    """Somebody without the permission leaves DENIED with their origin, no attempt, and reads why."""

    def guest(x_user: Annotated[str, Header()]) -> Subject:
        return ExternalSubject(x_user, frozenset[Permission]())

    app = FastAPI()
    app.include_router(router(dashtam, subject=guest))
    async with client(app, **{"x-user": "guest", "user-agent": "theirs"}) as http:
        problem(await upload(http), 403, "permission_denied")
    (denied,) = await trail(dashtam, "guest")
    assert (denied.entry.phase, denied.entry.code) == ("denied", "permission_denied")
    assert (denied.entry.action, denied.entry.channel, denied.entry.request_id) == (
        "import_statement",
        "http",
        None,
    )
    assert denied.personal == {"ip_address": PEER, "user_agent": "theirs"}


@pytest.mark.parametrize(("given", "kept"), [(UUID(int=7), str(UUID(int=7))), ("x" * 600, "x" * 512)])
async def test_an_application_names_its_requests_itself(dashtam: Dashtam, given: object, kept: str) -> None:
    """An id that another middleware has put into the request's state is the one on record."""

    async def cleo(request: Request) -> Subject:
        request.state.request_id = given
        return ExternalSubject("cleo")

    app = FastAPI()
    app.include_router(router(dashtam, subject=cleo))
    async with client(app) as http:
        await upload(http)
    assert {each.entry.request_id for each in await trail(dashtam, "cleo")} == {kept}


async def test_an_endpoint_of_their_own_has_the_origin(ann: Person, dashtam: Dashtam) -> None:
    """An endpoint of an application's own that depends on `acting` acts from where the request came."""
    whom, app = acting(dashtam), FastAPI()

    @app.get("/whence")
    async def whence(me: Annotated[Actor, Depends(whom)]) -> dict[str, str | None]:
        return {"channel": me.origin.channel, "ip_address": me.origin.ip_address}

    async with client(app, authorization=f"Bearer {ann.token}") as http:
        assert (await http.get("/whence")).json() == {"channel": "http", "ip_address": PEER}
