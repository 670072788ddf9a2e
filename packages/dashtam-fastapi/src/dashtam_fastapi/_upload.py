"""The file of a multipart/form-data body (RFC 7578), and a profile beside it: read as it comes, never on disk."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from typing import Final
from weakref import WeakKeyDictionary

import attrs
from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_fastapi._callers import Caller
from dashtam_fastapi._problems import ProblemError, in_body, invalid

MULTIPART: Final = "multipart/form-data"
PART: Final = "file"
PROFILE: Final = "profile"
_OVERHEAD: Final = 64 * 1024
"""What boundaries and the headers of parts may add to the file, in bytes."""
_BUSY: Final = "too many bytes are being imported, of yours or of all: send one file after another, a bit later"

_held: Final = WeakKeyDictionary[object, Counter[object]]()


@attrs.frozen
class Upload:
    data: bytes = attrs.field(repr=False)
    filename: str
    profile: str | None


@contextmanager
def holding(request: Request, me: Caller, size: int) -> Generator[None]:
    """A block with so many bytes of a file in memory. Where they would be too many at once it ends the request."""
    held, most = _held.setdefault(request.app, Counter()), me.import_max_bytes
    # Of all callers an application holds four of the largest files, of one it holds one.
    bounds = {most: 4 * most, (most, me.actor.subject.user_id): most}
    size = min(size, most)
    if any(held[whose] + size > bound for whose, bound in bounds.items()):
        raise ProblemError.of(ImportFailed(ImportCode.TOO_BUSY, _BUSY))
    held.update(dict.fromkeys(bounds, size))
    try:
        yield
    finally:
        held.subtract(dict.fromkeys(bounds, size))
        held += Counter()  # leaves out who holds nothing


def announced(request: Request, max_bytes: int) -> int:
    """How many bytes the body has as its sender says, or may have."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else max_bytes


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """The parts `file` and `profile` of the body. What is not one file of at most `max_bytes` ends the request."""
    sent, options = parse_options_header(request.headers.get("content-type"))
    if sent.decode("latin-1") != MULTIPART:
        raise ProblemError(
            415, "media_type_unsupported", f"send {MULTIPART}, with the file in a part named {PART}"
        )
    if announced(request, max_bytes) > max_bytes + _OVERHEAD:
        raise _too_large(max_bytes)
    try:
        return await _read(request, options.get(b"boundary", b""), max_bytes)
    except FormParserError as error:
        raise _malformed(str(error)) from None
    except ClientDisconnect:
        raise _malformed("the connection ended before it did") from None


async def _read(request: Request, boundary: bytes, max_bytes: int) -> Upload:
    """Counts what comes: the length need not be announced, nor be true."""
    if not boundary:
        raise _malformed("its Content-Type names no boundary")
    part, left = _Part(), max_bytes + _OVERHEAD
    parser = part.parser(boundary)
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise _too_large(max_bytes)
        parser.write(chunk)
    if not part.whole:
        raise _malformed("it ends before its last boundary")
    if part.filename is None:
        raise _not_one_file()
    profile = None if part.profile is None else part.profile.getvalue().decode("utf-8", "replace")
    return Upload(part.data.getvalue(), part.filename.decode("utf-8", "replace"), profile)


@attrs.define
class _Part:
    """Hears the parser, and refuses anything but one file and one profile."""

    data: BytesIO = attrs.field(factory=BytesIO)
    filename: bytes | None = None
    profile: BytesIO | None = None
    whole: bool = False
    _into: BytesIO = attrs.field(factory=BytesIO)
    _name: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def _on_header_field(self, chunk: bytes, start: int, end: int) -> None:
        self._name += chunk[start:end]

    def _on_header_value(self, chunk: bytes, start: int, end: int) -> None:
        self._value += chunk[start:end]

    def _on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._disposition, name = b"", options.get(b"name")
        if name == PROFILE.encode() and self.profile is None:
            self.profile = self._into = BytesIO()
        elif name == PART.encode() and self.filename is None and b"filename" in options:
            self.filename, self._into = options[b"filename"], self.data
        else:
            raise _not_one_file()

    def _on_part_data(self, chunk: bytes, start: int, end: int) -> None:
        self._into.write(memoryview(chunk)[start:end])

    def _on_end(self) -> None:
        self.whole = True


def _not_one_file() -> ProblemError:
    return invalid([in_body(PART, f"send one part named {PART} with a filename, and beside it {PROFILE} at most")])


def _malformed(why: str) -> ProblemError:
    return ProblemError(400, "multipart_malformed", f"the body is no whole {MULTIPART}: {why}")


def _too_large(max_bytes: int) -> ProblemError:
    detail = f"a file may have {max_bytes:,} bytes: send a shorter period, or raise DASHTAM_IMPORT_MAX_BYTES"
    return ProblemError(413, "file_too_large", detail)
