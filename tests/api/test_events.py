"""Live notifications over HTTP: who hears what, what comes back after a pause, and who hears nothing more."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Annotated

import attrs
import httpx
import pytest
from fastapi import FastAPI, Header

from api.mailbox import KEY, NEW, PASSWORD, Resident, Service
from api.people import lines, problem
from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ImportStatement
from dashtam_core.identity import ACCOUNTS_READ, ExternalSubject, Role
from dashtam_core.identity._permissions import ROLES
from dashtam_core.kernel import Subject
from dashtam_core.memory import MemoryStore
from dashtam_core.testing.samples import LinesPlugin
from dashtam_fastapi import ServiceSettings, _events, _serving, create_app, router, serve
from dashtam_postgres import _connect

ROWS = lines("A", "2026-01-01;1;x")

type Block = dict[str, str]


@attrs.frozen
class Heard:
    """The blocks of one stream, one after another."""

    answer: httpx.Response
    blocks: AsyncGenerator[Block]

    async def next(self) -> Block:
        return await anext(self.blocks)

    async def event(self) -> Block:
        """The next that is not a heartbeat."""
        while "event" not in (block := await self.next()):
            pass
        return block

    async def rest(self) -> list[Block]:
        """The events that still come until the stream ends."""
        return [each async for each in self.blocks if "event" in each]


async def _blocks(answer: httpx.Response) -> AsyncGenerator[Block]:
    block = dict[str, str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            assert name not in block
            block[name] = value
        else:
            yield block
            block = dict[str, str]()


@attrs.frozen
class Served:
    """An application on a socket."""

    http: httpx.AsyncClient
    serving: asyncio.Task[None]

    @asynccontextmanager
    async def listening(
        self, who: Resident | str, after: str | None = None, category: str | None = None
    ) -> AsyncGenerator[Heard]:
        token = who if isinstance(who, str) else who.session["access_token"]
        headers = {"authorization": f"Bearer {token}"} | ({} if after is None else {"last-event-id": after})
        query = {} if category is None else {"category": category}
        async with self.http.stream("GET", "/v1/events", params=query, headers=headers) as answer:
            if answer.status_code != 200:
                await answer.aread()
            async with aclosing(_blocks(answer)) as blocks:
                yield Heard(answer, blocks)


@asynccontextmanager
async def on_a_socket(app: FastAPI) -> AsyncGenerator[Served]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, ready.set_result))
    async with httpx.AsyncClient(base_url=await ready, timeout=60) as client:
        yield Served(client, serving)
    serving.cancel()
    await asyncio.wait([serving])


def app_of(service: Service) -> FastAPI:
    return create_app(ServiceSettings(rate_limit=0), dashtam=service.dashtam)


@pytest.fixture
async def served(service: Service) -> AsyncGenerator[Served]:
    async with on_a_socket(app_of(service)) as made:
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats come as soon as nothing else does."""
    monkeypatch.setattr(_events, "HEARTBEAT_SECONDS", 0.05)


async def bring(who: Resident, rows: bytes = ROWS) -> None:
    made = await who.ask("POST", "/imports", files={"file": ("june.lines", rows)})
    assert made.status_code == 201, made.text


async def test_who_listens_hears_what_happens_to_them(served: Served, cleo: Resident, dave: Resident) -> None:
    """Imports and balances of their own as CloudEvents, nothing of another person, in a stream nobody keeps."""
    async with served.listening(cleo) as heard:
        assert heard.answer.headers["content-type"].startswith("text/event-stream")
        assert heard.answer.headers["cache-control"] == "no-store"
        assert heard.answer.headers["x-accel-buffering"] == "no"
        assert heard.answer.headers["request-id"]
        assert await heard.next() == {"retry": "3000", "id": "start"}
        await bring(dave)
        await bring(cleo)
        found = [await heard.event() for _ in range(2)]
    told = {each["event"]: json.loads(each["data"]) for each in found}
    assert set(told) == {"imports", "balances"}
    assert {each["subject"] for each in told.values()} == {str(cleo.user_id)}
    assert told["imports"]["type"] == "dashtam.StatementImported.v1"
    assert told["imports"]["data"]["added"] == 1
    assert told["balances"]["data"]["account_ids"] == told["imports"]["data"]["account_ids"]


async def test_who_wants_some_hears_those_alone(served: Served, cleo: Resident) -> None:
    """Categories are named with commas; any other word is refused."""
    async with (
        served.listening(cleo, category="balances") as one,
        served.listening(cleo, category="security,imports") as two,
    ):
        await bring(cleo)
        assert [(await each.event())["event"] for each in (one, two)] == ["balances", "imports"]
    for wrong in ("imports,", "IMPORTS", ""):
        async with served.listening(cleo, category=wrong) as heard:
            problem(heard.answer, 422, "request_invalid")


@pytest.mark.usefixtures("quick")
async def test_who_comes_back_hears_what_was_missed(served: Served, cleo: Resident, dave: Resident) -> None:
    """From the last id on, which a heartbeat brings too when only others had events meanwhile."""
    async with served.listening(cleo) as heard:
        await heard.next()
        assert await heard.next() == {"id": "start"}
        await bring(dave)
        while (beat := await heard.next()) == {"id": "start"}:
            pass
    assert set(beat) == {"id"}
    await bring(cleo)
    async with served.listening(cleo, beat["id"]) as heard:
        assert await heard.next() == {"retry": "3000"}, "the place where they left is theirs until they have heard"
        first, second = await heard.event(), await heard.event()
    assert {first["event"], second["event"]} == {"imports", "balances"}
    async with served.listening(cleo, first["id"]) as heard:
        assert await heard.event() == second


async def test_who_left_too_long_ago_is_told_to_fetch_anew(served: Served, cleo: Resident) -> None:
    """An id that is not remembered, also that of a process where nothing had happened, brings `reset` first."""
    await bring(cleo)
    again = ""
    for unknown in ("start", "0198a000-0000-7000-8000-000000000000"):
        async with served.listening(cleo, unknown) as heard:
            reset = await heard.next()
            assert (reset["event"], reset["data"], reset["retry"]) == ("reset", "{}", "3000")
            again = reset["id"]
    await bring(cleo, lines("B", "2026-01-01;1;x"))
    async with served.listening(cleo, again, "imports") as heard:
        assert (await heard.event())["event"] == "imports"
    async with served.listening(cleo, "") as heard:
        assert set(await heard.next()) == {"retry", "id"}, "no id is no place"


LOSSES = {
    "logged out": ("DELETE", "/sessions", None),
    "another password": ("PUT", "/users/me/password", {"current": PASSWORD, "new": NEW}),
    "closed": ("POST", "/users/me/deactivation", None),
    "erased": ("DELETE", "/users/me", None),
}


@pytest.mark.parametrize("lost", [*LOSSES, "grown old"])
@pytest.mark.usefixtures("quick")
async def test_who_loses_access_is_let_go(served: Served, cleo: Resident, lost: str) -> None:
    """Whatever takes it away ends the stream at the next heartbeat, without a word of what happened."""
    async with served.listening(cleo) as heard:
        await heard.next()
        if lost in LOSSES:
            assert (await cleo.ask(*LOSSES[lost])).status_code == 204
        cleo.service.later(minutes=11 if lost == "grown old" else 0)
        assert await heard.rest() == []
    async with served.listening(cleo) as heard:
        problem(heard.answer, 401, "token_unknown")


async def test_what_happens_then_is_for_who_is_let_in_again(served: Served, cleo: Resident) -> None:
    """A new password is told to a program of the person's, not to the ended session; and to the next session."""
    program = await cleo.api_token()
    async with served.listening(cleo) as ended, served.listening(program) as goes_on:
        place = (await ended.next())["id"]
        await goes_on.next()
        await bring(cleo)
        place = [await ended.event() for _ in range(2)][-1]["id"]
        await cleo.ask(*LOSSES["another password"])
        assert await ended.rest() == []
        heard = [await goes_on.event() for _ in range(3)]
    assert json.loads(heard[-1]["data"])["type"] == "dashtam.PasswordChanged.v1"
    await cleo.log_in(password=NEW)
    async with served.listening(cleo, place) as again:
        assert (await again.event()) == heard[-1]


async def test_a_revoked_token_hears_nothing_more(served: Served, cleo: Resident) -> None:
    """Of what happens after it was revoked not one event is sent."""
    program = await cleo.api_token()
    made = (await cleo.ask("GET", "/api-tokens")).json()["items"][0]["token_id"]
    async with served.listening(program) as heard:
        await heard.next()
        await cleo.ask("DELETE", f"/api-tokens/{made}")
        await bring(cleo)
        assert await heard.rest() == []


async def test_a_token_hears_what_it_may_read(
    served: Served, cleo: Resident, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notices about the account take the permission to read that; and both are looked at each time."""
    token = await cleo.api_token(permissions=["accounts:read"])
    for category in (None, "security", "imports,security"):
        async with served.listening(token, category=category) as heard:
            assert "profile:read" in problem(heard.answer, 403, "permission_denied")["detail"]
    assert [each.entry.action for each in await service.trail(cleo.user_id)][-3:] == ["follow_security"] * 3
    async with served.listening(token, category="imports,balances") as heard:
        await bring(cleo)
        assert {(await heard.event())["event"] for _ in range(2)} == {"imports", "balances"}
        monkeypatch.setitem(ROLES, Role.USER, ROLES[Role.USER] - {ACCOUNTS_READ})
        await bring(cleo, lines("B", "2026-01-01;1;x"))
        assert await heard.rest() == []


async def test_a_person_has_so_many_listeners(
    served: Served, cleo: Resident, dave: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty hold none of the store's ten connections; one more is refused until another goes, not only hears."""
    monkeypatch.setattr(_events, "HEARTBEAT_SECONDS", 600)
    assert _connect.POOL_SIZE < _events.MOST_LISTENERS
    async with AsyncExitStack() as stack:
        for _ in range(_events.MOST_LISTENERS):
            await (await stack.enter_async_context(served.listening(cleo))).next()
        async with served.listening(cleo) as heard:
            problem(heard.answer, 429, "listeners_too_many")
            assert int(heard.answer.headers["retry-after"]) > 0
        async with served.listening(dave) as heard:
            assert heard.answer.status_code == 200
    status = 429
    while status == 429:
        async with served.listening(cleo) as heard:
            status = heard.answer.status_code
    assert status == 200


async def test_a_server_that_stops_sends_its_listeners_home(
    service: Service, cleo: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their streams end as they should, long before it would cut them off."""
    monkeypatch.setattr(_events, "HEARTBEAT_SECONDS", 600)
    monkeypatch.setattr(_serving, "_DRAIN_SECONDS", 600)
    async with on_a_socket(app_of(service)) as served, served.listening(cleo) as heard:
        await heard.next()
        served.serving.cancel()
        assert await heard.rest() == []
        await asyncio.wait([served.serving])


async def test_people_of_another_application_hear_what_is_theirs() -> None:
    """That application says who they are, and no token is looked at; events come by the stream if there is one."""

    def subject(authorization: Annotated[str, Header()]) -> Subject:
        return ExternalSubject(authorization)

    settings, app = Settings(key=KEY, bus_url="memory:"), FastAPI()
    async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=[LinesPlugin()]) as dashtam:
        app.include_router(router(dashtam, subject=subject))
        async with on_a_socket(app) as served, served.listening("eve") as heard:
            await heard.next()
            for name in ("finn", "eve"):
                command = ImportStatement(ROWS)
                (await dashtam.acting_as(ExternalSubject(f"Bearer {name}")).execute(command)).unwrap()
            found = [await heard.event() for _ in range(2)]
    assert {each["event"] for each in found} == {"imports", "balances"}
    assert [each["id"] for each in found] == ["3", "4"]
    whose = {json.loads(each["data"])["subject"] for each in found}
    assert whose == {str(ExternalSubject("Bearer eve").user_id)}
