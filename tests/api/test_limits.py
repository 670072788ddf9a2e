"""Uploads that are too large, by what they say and by what they are."""

import tracemalloc
from collections.abc import AsyncGenerator

import pytest
from fastapi import Request
from starlette.types import Message

from api.conftest import MAX_BYTES
from api.people import Person, lines, problem
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
