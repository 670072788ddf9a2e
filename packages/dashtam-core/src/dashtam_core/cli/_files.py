"""Files as the command line names them: read up to a limit, refused by name, and never left half written."""

import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final

from dashtam_core.accounts import AccountsRefused, ImportCode, ImportFailed
from dashtam_core.cli._exits import stop
from dashtam_core.cli._host import note_inactive
from dashtam_core.cli._show import note
from dashtam_core.kernel import Failure, Result, Success
from dashtam_core.messaging import Refused
from dashtam_core.plugins import Plugins

STDIO: Final = "-"
_CHUNK: Final = 1024 * 1024
_MAX_LINE: Final = 16 * _CHUNK


def contents(file: str, limit: int, /) -> Result[bytes, ImportFailed]:
    """The bytes of a file, or of standard input for `-`. Of one above `limit` bytes at most one more is read."""
    try:
        data = _at_most(sys.stdin.buffer, limit) if file == STDIO else _of_file(Path(file), limit)
    except OSError as error:
        message = f"the file cannot be read ({error.strerror}): check its name, and that you may read it"
        return Failure(ImportFailed(ImportCode.FILE_UNREADABLE, message))
    if data is None:
        message = f"more than {limit:,} bytes: download a shorter period, or raise DASHTAM_IMPORT_MAX_BYTES"
        return Failure(ImportFailed(ImportCode.FILE_TOO_LARGE, message))
    return Success(data)


def name_of(file: str, /) -> str | None:
    """The last part of a path; standard input has no name."""
    return None if file == STDIO else Path(file).name or file


def explain(file: str, error: ImportFailed | AccountsRefused | Refused, plugins: Plugins, /) -> None:
    """Says on stderr why a file was refused."""
    note(f"{'standard input' if file == STDIO else file}: [{error.code}] {error.message}")
    if error.code is ImportCode.FORMAT_UNKNOWN:
        note_inactive(plugins)


def text_of(file: str, /) -> str:
    """A small text as it is in its file. Of a larger file just enough comes to be refused."""
    with _reading(file) as stream:
        return stream.read(_CHUNK).decode("utf-8", "surrogateescape")


@contextmanager
def lines_of(file: str, /) -> Generator[Iterator[str]]:
    """Line by line, and one longer than any should be in pieces: no file takes more memory than that."""
    with _reading(file) as stream:
        yield (data.decode("utf-8", "surrogateescape") for data in iter(lambda: stream.readline(_MAX_LINE), b""))


@contextmanager
def writing(file: str, /) -> Generator[Callable[[str], object]]:
    """What takes text for standard output, or for a file: written beside it, and renamed when complete."""
    if file == STDIO:
        out = sys.stdout.buffer
        yield lambda text: out.write(text.encode())
        out.flush()
        return
    path = Path(file).resolve()
    if path.exists() and not path.is_file():
        stop(f"{file} is no ordinary file: name one, or - for standard output", 2)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as stream:
            yield lambda text: stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        stop(f"{file} cannot be written ({error.strerror}): name another place, or make room", 2)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _reading(file: str) -> Generator[BinaryIO]:
    """A file, or standard input for `-`; one that cannot be read ends the command."""
    try:
        with nullcontext(sys.stdin.buffer) if file == STDIO else Path(file).open("rb") as stream:
            yield stream
    except OSError as error:
        stop(f"{file} cannot be read ({error.strerror}): check its name, and that you may read it", 2)


def _of_file(path: Path, limit: int) -> bytes | None:
    with path.open("rb") as stream:
        return None if os.fstat(stream.fileno()).st_size > limit else _at_most(stream, limit)


def _at_most(stream: BinaryIO, limit: int) -> bytes | None:
    """Everything in the stream, or None if that is more than `limit` bytes."""
    data = bytearray()
    while len(data) <= limit and (chunk := stream.read(min(_CHUNK, limit + 1 - len(data)))):
        data += chunk
    return None if len(data) > limit else bytes(data)
