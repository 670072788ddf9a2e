"""What this package adds to Dashtam: its statement readers and writers, and the command `dashtam csv`."""

from collections.abc import Iterable, Mapping

from dashtam_core.accounts import StatementReader, StatementWriter
from dashtam_core.plugins import CommandAdder, hookimpl
from dashtam_files import camt, csv, mt940, ofx, qif, writers


@hookimpl
def dashtam_readers() -> Iterable[StatementReader]:
    return ofx.OfxReader(), camt.CamtReader(), mt940.Mt940Reader(), qif.QifReader(), csv.CsvReader.installed()


@hookimpl
def dashtam_writers() -> Iterable[StatementWriter]:
    return writers.OfxWriter(), writers.CsvWriter(), writers.BeancountWriter()


@hookimpl
def dashtam_commands() -> Mapping[str, CommandAdder]:
    def add_csv(app: object) -> None:
        from dashtam_files.csv._command import add

        add(app)

    return {"csv": add_csv}
