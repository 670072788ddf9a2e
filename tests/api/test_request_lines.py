"""What the service logs of a request."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope, Send

from api.people import Lines, Person
from dashtam_core import UnavailableError
from dashtam_core.kernel import UnavailableCode
from dashtam_core.memory import MemoryStore
from dashtam_core.store import Store
from dashtam_fastapi._envelope import Envelope
from unit.logs.recording import lines, recorded


@pytest.fixture
def data() -> Store:
    """What is logged of a request is the same on every store."""
    return MemoryStore()


def requests(written: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in written if line["logger"] == "dashtam_fastapi._envelope"]


async def test_a_request_leaves_one_line(ann: Person) -> None:
    """It says who asked what, what was answered, how long that took and under which id, without the query."""
    with recorded(level="info") as stream:
        answer = await ann.http.get("/v1/transactions", params={"limit": 3, "q": "rent of June"})
    (line,) = requests(lines(stream))
    assert line.pop("milliseconds") > 0
    assert {name: line[name] for name in list(line)[1:]} == {
        "level": "info",
        "logger": "dashtam_fastapi._envelope",
        "event": "request",
        "request_id": answer.headers["request-id"],
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/v1/transactions",
        "status": answer.status_code,
    }
    assert "rent" not in str(line)
    assert ann.token not in stream.getvalue()


async def test_health_checks_are_for_who_debugs(nobody: httpx.AsyncClient) -> None:
    """A probe every second would bury everything else."""
    with recorded(level="info") as stream:
        await nobody.get("/health/live")
        await nobody.get("/health/ready")
    assert requests(lines(stream)) == []
    with recorded(level="debug") as stream:
        await nobody.get("/health/live")
    assert [line["level"] for line in requests(lines(stream))] == ["debug"]


async def test_a_bug_is_found_by_the_id_of_its_answer(ann: Person, reader: Lines) -> None:
    """Its traceback and its request carry the id that the answer was given."""
    with recorded(level="info") as stream:
        answer = await ann.upload(b"EXPLODE")
    failed, request = requests(lines(stream))
    assert "RuntimeError" in failed["exception"]
    assert (failed["level"], request["status"]) == ("error", 500)
    assert failed["request_id"] == request["request_id"] == answer.headers["request-id"]


async def test_what_is_missing_is_in_the_log(app: FastAPI) -> None:
    """A 503 tells its sender a code, and the log what is missing, under the request's id."""

    async def missing(_: Request) -> None:
        raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "the database on db does not answer")

    app.add_api_route("/missing", missing)
    with recorded(level="info") as stream:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answer = await client.get("/missing")
    (line,) = [line for line in lines(stream) if line["level"] == "warning"]
    assert line["event"] == "not available: [store_unreachable] the database on db does not answer"
    assert (line["code"], line["request_id"]) == ("store_unreachable", answer.headers["request-id"])


SCOPE = {"type": "http", "method": "GET", "path": "/v1/x", "headers": [(b"request-id", b"mine")]}


async def nothing(*_: object) -> Any:
    raise AssertionError


async def test_an_answer_that_breaks_off_is_not_begun_again() -> None:
    """A bug after the first byte is logged, and the line has the status that was sent."""
    sent: list[Message] = []

    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    async def send(message: Message) -> None:
        sent.append(message)

    with recorded(level="info") as stream:
        await Envelope(breaking)(SCOPE, nothing, send)
    failed, request = requests(lines(stream))
    assert (failed["level"], request["status"], len(sent)) == ("error", 200, 1)


async def test_a_sender_who_leaves_is_in_the_log() -> None:
    """A request that was cancelled before its answer has a line without a status."""

    async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    with recorded(level="info") as stream, pytest.raises(asyncio.CancelledError):
        await Envelope(leaving)(SCOPE, nothing, nothing)
    (line,) = requests(lines(stream))
    assert (line["request_id"], line["status"]) == ("mine", None)
