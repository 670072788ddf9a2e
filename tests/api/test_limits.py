"""Uploads that are too large, by what they say and by what they are, and too many at once."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import Request
from starlette.types import Message

from api.conftest import MAX_BYTES
from api.people import Person, lines, problem, token_of
from dashtam_core import Dashtam
from dashtam_fastapi._upload import read_upload

HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"
HEADERS = {"content-type": "multipart/form-data; boundary=b"}
ENOUGH = 100 * MAX_BYTES


class Sent:
    """A body that counts how much of it was asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    async def chunks(self) -> AsyncGenerator[bytes]:
        yield HEAD
        while self.asked < self.size:
            self.asked += 10_000
            yield b"x" * 10_000
        yield TAIL


async def test_an_upload_that_says_it_is_too_large_is_not_read(ann: Person) -> None:
    """A Content-Length above the limit is refused before a byte is asked for, and the limit is named."""
    sent = Sent(ENOUGH)
    headers = {**HEADERS, "content-length": str(ENOUGH)}
    answer = await ann.http.post("/v1/imports", content=sent.chunks(), headers=headers)
    assert f"{MAX_BYTES:,}" in problem(answer, 413, "file_too_large")["detail"]
    assert sent.asked == 0


@pytest.mark.parametrize("length", [{}, {"content-length": "10"}, {"content-length": "many"}])
async def test_an_upload_that_turns_out_too_large_is_read_no_further(ann: Person, length: dict[str, str]) -> None:
    """Without a length, or with a false one, reading ends just beyond the limit."""
    sent = Sent(ENOUGH)
    answer = await ann.http.post("/v1/imports", content=sent.chunks(), headers={**HEADERS, **length})
    problem(answer, 413, "file_too_large")
    assert MAX_BYTES <= sent.asked <= 2 * MAX_BYTES


async def test_a_file_of_just_the_limit_is_taken(ann: Person) -> None:
    """The limit is for the file: what multipart adds does not count, one byte more does."""
    rows = lines("A", "2026-01-01;1;x")
    whole = rows + b" " * (MAX_BYTES - len(rows))
    assert (await ann.upload(whole)).status_code == 201
    problem(await ann.upload(whole + b"x"), 413, "file_too_large")


async def test_a_file_is_held_once() -> None:
    """Reading an upload takes little more memory than the file has."""
    size = 16_000_000
    chunks = [HEAD, *[b"x" * 64_000] * (size // 64_000), TAIL]

    async def receive() -> Message:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
    tracemalloc.start()
    upload = await read_upload(Request(scope, receive), size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(upload.data) == size
    assert peak < size * 1.3


class Held:
    """An upload that is on its way until it is let go, sent as somebody."""

    def __init__(
        self, client: httpx.AsyncClient, token: str, end: bytes = TAIL, length: int | None = None
    ) -> None:
        self.end = end
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()
        sent = {**HEADERS, "authorization": f"Bearer {token}"}
        sent |= {} if length is None else {"content-length": str(length)}
        self.answer = asyncio.create_task(client.post("/v1/imports", content=self._chunks(), headers=sent))

    async def _chunks(self) -> AsyncGenerator[bytes]:
        yield HEAD
        self.begun.set()
        await self.let_go.wait()
        yield self.end

    async def wait(self) -> httpx.Response:
        self.let_go.set()
        return await self.answer


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_uploads_at_once_are_bounded_in_memory(ann: Person, dashtam: Dashtam) -> None:
    """Beyond four of the largest the answer is 503 before a byte is asked for; shorter ones count as they are."""
    names = ("cleo", "dan", "eve", "finn")
    tokens = {name: await token_of(dashtam, name) for name in names}
    some = [Held(ann.http, tokens[name]) for name in names[:3]]
    short = Held(ann.http, tokens["finn"], length=MAX_BYTES // 2)
    for each in (*some, short):
        await each.begun.wait()
    sent = Sent(MAX_BYTES)
    answer = await ann.http.post("/v1/imports", content=sent.chunks(), headers=HEADERS)
    problem(answer, 503, "too_busy")
    assert int(answer.headers["retry-after"]) > 0
    assert sent.asked == 0
    assert (await ann.upload(lines("A", "2026-01-01;1;x"))).status_code == 201, "half a file has room"
    await short.wait()
    problem(await ann.http.post("/v1/imports", content=sent.chunks(), headers=HEADERS), 415, "format_unknown")
    for each in some:
        problem(await each.wait(), 422, "file_empty")


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_one_person_leaves_room_for_others(ann: Person, bob: Person) -> None:
    """Whoever sends as much as one file may have waits for its end, and nobody else does."""
    first = Held(ann.http, ann.token)
    await first.begun.wait()
    rows = lines("A", "2026-01-01;1;x")
    problem(await ann.upload(rows), 503, "too_busy")
    assert (await bob.upload(rows)).status_code == 201
    await first.wait()
    assert (await ann.upload(rows)).status_code == 201


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_room_is_given_back_whatever_ends_an_upload(ann: Person) -> None:
    """Read, refused, failed by a bug of ours or given up by its sender: the next one is not kept out."""
    for end in (b"", b"nothing that is known", b"EXPLODE"):
        for tail in (TAIL, b"\r\n--b"):
            whole = Held(ann.http, ann.token, end + tail)
            assert (await whole.wait()).status_code in {400, 415, 422, 500}
        left = Held(ann.http, ann.token)
        await left.begun.wait()
        left.answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left.answer


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_a_file_that_is_read_again_takes_its_room(ann: Person) -> None:
    """The kept bytes are in memory as those of an upload are."""
    made = (await ann.upload(lines("A", "2026-01-01;1;x"))).json()
    first = Held(ann.http, ann.token)
    await first.begun.wait()
    path = f"/v1/imports/{made['import_id']}/readings"
    problem(await ann.post(path, {}), 503, "too_busy")
    await first.wait()
    assert (await ann.post(path, {})).status_code == 200
