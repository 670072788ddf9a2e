"""What this package adds to Dashtam: its statement readers."""

from collections.abc import Iterable

from dashtam_core.accounts import StatementReader
from dashtam_core.plugins import hookimpl
from dashtam_files._ofx import OfxReader


@hookimpl
def dashtam_readers() -> Iterable[StatementReader]:
    return (OfxReader(),)
