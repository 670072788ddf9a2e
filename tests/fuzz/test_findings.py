"""Inputs that a reader once failed on, kept so that it never does again."""

from pathlib import Path

import pytest

from dashtam_core.accounts import StatementReader
from dashtam_core.kernel import Failure, Success
from dashtam_core.testing._batches import check
from dashtam_files import CamtReader, CsvReader, Mt940Reader, OfxReader, QifReader

FINDINGS = sorted(path for path in (Path(__file__).parent / "findings").rglob("*") if path.is_file())
READERS: dict[str, StatementReader] = {
    "camt": CamtReader(),
    "csv": CsvReader(),
    "mt940": Mt940Reader(),
    "ofx": OfxReader(),
    "qif": QifReader(),
}


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name[:24]}")
def test_a_finding_is_read_or_refused(path: Path) -> None:
    """Nothing raises, and what is read keeps the conventions of the model."""
    reader = READERS[path.parent.name]
    assert isinstance(reader.recognizes(path.read_bytes()), bool)
    match reader.read(path.read_bytes()):
        case Success(statement):
            check(statement.batch)
        case Failure(refused):
            assert refused.message
