"""What every reader answers alike: who read the file, and why one was refused."""

from functools import cache
from importlib.metadata import version
from typing import Final

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.kernel import Failure

MAX_ROWS: Final = 1_000_000
MAX_ACCOUNTS: Final = 1_000


@cache
def parser() -> str:
    """The package and version that read a statement."""
    return f"dashtam-files {version('dashtam-files')}"


def refused(code: ImportCode, message: str) -> Failure[ImportFailed]:
    return Failure(ImportFailed(code, message))


def too_many(count: int, limit: int, what: str) -> Failure[ImportFailed] | None:
    """The refusal of a file with more than `limit` of something; None if it has not."""
    if count <= limit:
        return None
    return refused(
        ImportCode.FILE_TOO_LARGE,
        f"the file has {count:,} {what} and the limit is {limit:,}: download a shorter period",
    )
