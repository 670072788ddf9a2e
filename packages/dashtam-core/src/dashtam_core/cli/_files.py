"""Statement files as the command line names them: read up to the limit, and refused by name."""

import os
import sys
from pathlib import Path
from typing import BinaryIO, Final

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.cli._host import note_inactive
from dashtam_core.cli._show import note
from dashtam_core.kernel import Failure, Result, Success
from dashtam_core.messaging import Refused
from dashtam_core.plugins import Plugins

_STDIN: Final = "-"
_CHUNK: Final = 1024 * 1024


def contents(file: str, limit: int, /) -> Result[bytes, ImportFailed]:
    """The bytes of a file, or of standard input for `-`. Of one above `limit` bytes at most one more is read."""
    try:
        data = _at_most(sys.stdin.buffer, limit) if file == _STDIN else _of_file(Path(file), limit)
    except OSError as error:
        message = f"the file cannot be read ({error.strerror}): check its name, and that you may read it"
        return Failure(ImportFailed(ImportCode.FILE_UNREADABLE, message))
    if data is None:
        message = f"more than {limit:,} bytes: download a shorter period, or raise DASHTAM_IMPORT_MAX_BYTES"
        return Failure(ImportFailed(ImportCode.FILE_TOO_LARGE, message))
    return Success(data)


def name_of(file: str, /) -> str | None:
    """The last part of a path; standard input has no name."""
    return None if file == _STDIN else Path(file).name or file


def explain(file: str, error: ImportFailed | Refused, plugins: Plugins, /) -> None:
    """Says on stderr why a file was refused."""
    note(f"{'standard input' if file == _STDIN else file}: [{error.code}] {error.message}")
    if error.code is ImportCode.FORMAT_UNKNOWN:
        note_inactive(plugins)


def _of_file(path: Path, limit: int) -> bytes | None:
    with path.open("rb") as stream:
        return None if os.fstat(stream.fileno()).st_size > limit else _at_most(stream, limit)


def _at_most(stream: BinaryIO, limit: int) -> bytes | None:
    """Everything in the stream, or None if that is more than `limit` bytes."""
    data = bytearray()
    while len(data) <= limit and (chunk := stream.read(min(_CHUNK, limit + 1 - len(data)))):
        data += chunk
    return None if len(data) > limit else bytes(data)
