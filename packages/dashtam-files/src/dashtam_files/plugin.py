"""What this package adds to Dashtam: its statement readers and writers, and the command `dashtam csv`."""

from collections.abc import Iterable, Mapping

from dashtam_core.accounts import StatementReader, StatementWriter
from dashtam_core.plugins import CommandAdder, hookimpl
from dashtam_files.camt import CamtReader
from dashtam_files.csv import CsvReader
from dashtam_files.mt940 import Mt940Reader
from dashtam_files.ofx import OfxReader
from dashtam_files.qif import QifReader
from dashtam_files.writers import BeancountWriter, CsvWriter, OfxWriter


@hookimpl
def dashtam_readers() -> Iterable[StatementReader]:
    return OfxReader(), CamtReader(), Mt940Reader(), QifReader(), CsvReader.installed()


@hookimpl
def dashtam_writers() -> Iterable[StatementWriter]:
    return OfxWriter(), CsvWriter(), BeancountWriter()


@hookimpl
def dashtam_commands() -> Mapping[str, CommandAdder]:
    def csv(app: object) -> None:
        from dashtam_files.csv._command import add

        add(app)

    return {"csv": csv}
