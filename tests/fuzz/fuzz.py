"""Throws bytes at a statement reader for as long as you like, steered by which of its lines they reach.

Run: `make fuzz READER=ofx SECONDS=600`. Begins with real statements where there is a folder of them, and with what
was found before. An input that makes the reader raise, hang for 10 seconds or take 1 GiB, or that brings what
breaks the model's conventions, is kept in `tests/fuzz/findings/READER/`: `test_findings.py` reads it ever after.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dashtam_core.accounts import StatementReader
from dashtam_core.kernel import Failure, Success
from dashtam_core.testing._batches import check

atheris: Any = import_module("atheris")  # it has no types
with atheris.instrument_imports(include=["dashtam_files"]):
    from dashtam_files import CamtReader, CsvReader, Mt940Reader, OfxReader, QifReader

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE.parents[2] / "shared/corpus"
READERS: Final[Mapping[str, StatementReader]] = {
    "camt": CamtReader(),
    "csv": CsvReader(),
    "mt940": Mt940Reader(),
    "ofx": OfxReader(),
    "qif": QifReader(),
}


def seeds(name: str, folder: Path) -> None:
    """Fills the folder with statements to begin with."""
    found = [path for path in CORPUS.glob(f"{name}*/**/*") if path.is_file() and path.suffix != ".json"]
    for number, path in enumerate([*found, *(HERE / "findings" / name).glob("*")]):
        data = path.read_bytes()
        if len(data) <= 65_536:
            (folder / f"seed-{number}").write_bytes(data)


def main(name: str, seconds: str, folder: str) -> None:
    reader = READERS[name]

    def one(data: bytes) -> None:
        recognized = reader.recognizes(data)
        assert isinstance(recognized, bool)
        match reader.read(data):
            case Success(statement):
                check(statement.batch)
            case Failure(refused):
                assert refused.message

    seeds(name, Path(folder))
    findings = HERE / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=65536"]
    options += [f"-artifact_prefix={findings}/", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], folder, *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:4])
