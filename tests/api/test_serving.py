"""The service on a real socket: uploads that misbehave, and starting and ending it."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from api.conftest import MAX_BYTES
from api.people import Lines, Person, lines, problem
from api.test_limits import HEAD, HEADERS
from dashtam_core import UnavailableError
from dashtam_fastapi import serve, until_signalled
from dashtam_fastapi._serving import _listening

REQUEST = (
    "POST /v1/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture
async def live(app: FastAPI, ann: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """Ann's client of the service on a socket of its own."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, ready.set_result))
    headers = {"authorization": f"Bearer {ann.token}"}
    async with httpx.AsyncClient(base_url=await ready, headers=headers) as client:
        yield client
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_it_serves_over_a_socket(live: httpx.AsyncClient) -> None:
    """An import made over a real connection is there to be read."""
    made = await live.post("/v1/imports", files={"file": ("a", lines("A", "2026-01-01;1;x"))})
    assert made.status_code == 201
    assert (await live.get(made.headers["location"])).status_code == 200
    assert "server" not in made.headers


async def test_a_streamed_upload_that_is_too_large_is_refused(live: httpx.AsyncClient) -> None:
    """A sender who announces no length and does not stop gets 413, and the next request is served."""

    async def endless() -> AsyncGenerator[bytes]:
        yield HEAD
        for _ in range(100):
            yield b"x" * (MAX_BYTES // 10)

    problem(await live.post("/v1/imports", content=endless(), headers=HEADERS), 413, "file_too_large")
    assert (await live.get("/v1/accounts")).status_code == 200


async def test_a_sender_who_leaves_in_the_middle_costs_nothing(
    live: httpx.AsyncClient, ann: Person, reader: Lines, capfd: pytest.CaptureFixture[str]
) -> None:
    """A connection that ends within the upload imports nothing, is no error of ours, and others are served."""
    incoming, outgoing = await asyncio.open_connection(live.base_url.host, live.base_url.port)
    chunk = HEAD + lines("A", "2026-01-01;1;x")
    outgoing.write(REQUEST.format(token=ann.token).encode() + b"%x\r\n%s\r\n" % (len(chunk), chunk))
    await outgoing.drain()
    await asyncio.sleep(0.2)
    outgoing.transport.abort()
    assert await incoming.read() == b""
    await asyncio.sleep(0.2)
    assert (await live.get("/v1/accounts")).json()["items"] == []
    assert reader.reads == 0
    assert "Traceback" not in "".join(capfd.readouterr())


IMPORT = "POST /v1/imports HTTP/1.1\r\nHost: x\r\n"
HEALTH = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


async def received(live: httpx.AsyncClient, *sent: str) -> str:
    """All that comes back until the service ends the connection, with each part sent after an answer came."""
    incoming, outgoing = await asyncio.open_connection(live.base_url.host, live.base_url.port)
    first, *others = sent
    outgoing.write(first.encode())
    got = await incoming.readuntil(b"}") if others else b""
    outgoing.write("".join(others).encode())
    async with asyncio.timeout(10):
        got += await incoming.read()
    outgoing.close()
    return got.decode()


@pytest.mark.parametrize(
    "sent",
    [
        IMPORT + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + HEALTH,
        IMPORT + "Transfer-Encoding: gzip\r\n\r\nabc" + HEALTH,
        IMPORT + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HEALTH,
        IMPORT + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEALTH,
        IMPORT + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HEALTH,
        "what is this\r\n\r\n" + HEALTH,
    ],
    ids=["two lengths", "unknown coding", "one more coding", "length and chunks", "space", "no HTTP"],
)
async def test_a_request_has_one_end(live: httpx.AsyncClient, sent: str) -> None:
    """One that could be read in two ways is refused as any other, and nothing that follows it is looked at."""
    head, _, body = (await received(live, sent)).partition("\r\n\r\n")
    status, *headers = head.split("\r\n")
    answer = httpx.Response(
        int(status.split()[1]), headers=dict(each.split(": ", 1) for each in headers), content=body
    )
    problem(answer, 400, "bad_request")
    assert answer.headers["connection"] == "close"
    assert answer.headers["strict-transport-security"]
    assert int(answer.headers["content-length"]) == len(body)


async def test_no_request_is_answered_twice(live: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP is answered after a request that has ended, and ends the connection in the midst of one."""
    after = await received(live, HEALTH, "zz\r\n\r\n")
    assert after.count("content-length: ") == 2
    assert "}HTTP/1.1 400 Bad Request" in after
    within = await received(live, IMPORT + "Transfer-Encoding: chunked\r\n\r\n", "zz\r\n")
    assert within.count("content-length: ") == within.count("401 Unauthorized") == 1
    assert {record.getMessage() for record in caplog.records} == {"Invalid HTTP request received."}


async def test_a_port_that_is_taken_is_said_in_one_line(app: FastAPI) -> None:
    """Nothing is started, and the message says how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(
            UnavailableError, match=rf"port {port} on 127\.0\.0\.1 is taken.*--port or DASHTAM_PORT"
        ):
            await serve(app, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b"])
async def test_a_host_that_is_not_ours_is_said_in_one_line(app: FastAPI, host: str) -> None:
    """An address of another machine, or none, names the setting."""
    with pytest.raises(UnavailableError, match="DASHTAM_HOST"):
        await serve(app, host, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_and_is_then_done_with(app: FastAPI, number: signal.Signals) -> None:
    """Both signals end `serve` by returning, and its handlers go with it."""
    before = signal.getsignal(number)

    def ready(_: str) -> None:
        os.kill(os.getpid(), number)

    await asyncio.wait_for(serve(app, "127.0.0.1", 0, ready), 10)
    assert signal.getsignal(number) is before


def test_answers_are_not_held_back() -> None:
    """The socket names its protocol: only then does asyncio switch Nagle's algorithm off for each connection."""
    with _listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


async def test_a_signal_passes_over_connections_being_made(caplog: pytest.LogCaptureFixture) -> None:
    """What a cancelled attempt to connect leaves behind is not told of; whatever else nobody asked for is."""
    stopped = asyncio.Event()
    with until_signalled(stopped.set):
        signal.raise_signal(signal.SIGTERM)
        await stopped.wait()
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "one", "exception": ConnectionError("lost")})
    loop.call_exception_handler({"message": "two", "exception": ZeroDivisionError()})
    assert [record.getMessage() for record in caplog.records] == ["two"]
