"""Reading MT940, beside the least that could: two regular expressions over the whole text.

Run: `.venv/bin/python benchmarks/bench_parse_mt940.py`. Each reads the same files in turn, interleaved. Prints
CPU milliseconds and thousands of rows a second, medians of the repeats, and the ratio to the plain reader of the
same repeat.
"""

import re
import statistics
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from dashtam_core.kernel import Success
from dashtam_files.mt940 import Mt940Reader

ROWS = 10_000
REPEATS = 9
GOAL = 3.0

ROW = re.compile(
    r"^:61:(\d\d)(\d\d)(\d\d)(?:\d{4})?(R?[DC])[A-Z]?(\d+),(\d*)([A-Z][A-Z0-9 ]{3})([^\r\n]*)"
    r"(?:\r?\n(?!:)[^\r\n]*)*(?:\r?\n:86:([^\r\n]*(?:\r?\n(?![:-])[^\r\n]*)*))?",
    re.MULTILINE,
)
SUBFIELD = re.compile(r"\?(\d\d)([^?]*)")
WORD = re.compile(r"/([A-Z]{3,4})/([^/]*)")

GERMAN = (
    ":86:166?00SEPA-GUTSCHRIFT?109310?20EREF+END-TO-END-{0:09d}?21KREF\r\n"
    "+{0:012d}?22SVWZ+Rechnung {0} vom 12.03?23.2024 Kunde 4711?30NOLADE\r\n"
    "21XXX?31DE02120300000000202051?32Mustermann GmbH und Co. KG\r\n"
)
DUTCH = (
    ":86:/TRTP/SEPA OVERBOEKING/IBAN/NL02ABNA0123456789/BIC/ABNANL2A/NAME/J\r\n"
    ". JANSEN/REMI/FACTUUR {0} KLANT 4711/EREF/END-{0}\r\n"
)
PLAIN = ":86:BETAALAUTOMAAT 12:30 PAS 001 WINKEL {0}\r\nAMSTERDAM\r\n"


def document(details: str) -> str:
    head = ":20:STARTUMS\r\n:25:12030000/1234567890\r\n:28C:1/1\r\n:60F:C240101EUR1000,00\r\n"
    rows = (
        f":61:2403{row % 28 + 1:02d}0312{'CD'[row % 2]}R{row % 977},{row % 100:02d}NTRFNONREF//B{row:09d}\r\n"
        + details.format(row)
        for row in range(ROWS)
    )
    return f"{head}{''.join(rows)}:62F:C240331EUR1000,00\r\n-\r\n"


def plain(data: bytes) -> int:
    """What a reader cannot do with less: days, amounts, references and the words of the details."""
    rows: list[object] = []
    for found in ROW.finditer(data.decode()):
        year, month, day, mark, whole, cents, kind, references, text = found.groups()
        amount = Decimal(f"{whole}.{cents}")
        customer, _, bank = references.partition("//")
        joined = text.replace("\r\n", "")
        words = dict(SUBFIELD.findall(joined)) if "?" in joined else dict(WORD.findall(joined))
        signed = -amount if mark in {"D", "RC"} else amount
        booked = date(2000 + int(year), int(month), int(day))
        rows.append((booked, signed, kind, customer, bank, joined, words))
    return len(rows)


def ours(data: bytes) -> int:
    match Mt940Reader().read(data):
        case Success(read):
            return len(read.batch.accounts[0].transactions)
        case failure:
            raise AssertionError(failure)


READERS: dict[str, Callable[[bytes], int]] = {"plain": plain, "ours": ours}
DOCUMENTS = {"German, structured": GERMAN, "Dutch, structured": DUTCH, "plain text": PLAIN}


def measured(data: bytes) -> dict[str, list[float]]:
    """CPU seconds of each reader in each repeat, after one that warms up."""
    spent: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(REPEATS + 1):
        for name, read in READERS.items():
            start = time.process_time()
            assert read(data) == ROWS
            spent[name].append(time.process_time() - start)
    return {name: taken[1:] for name, taken in spent.items()}


def main() -> None:
    worst = 0.0
    print(f"{ROWS:,} rows, {REPEATS} repeats{'':14}{'ms':>8}{'k rows/s':>10}{'ratio':>8}")
    for title, details in DOCUMENTS.items():
        data = document(details).encode()
        spent = measured(data)
        for name, taken in spent.items():
            ratio = statistics.median(a / b for a, b in zip(taken, spent["plain"], strict=True))
            middle = statistics.median(taken)
            print(f"{title:22}{name:14}{middle * 1e3:8.1f}{ROWS / middle / 1e3:10.1f}{ratio:7.2f}x")
            worst = max(worst, ratio)
    print(f"the worst takes {worst:.2f} times the plain reader; the goal is {GOAL} at most")


if __name__ == "__main__":
    main()
