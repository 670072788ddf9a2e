"""Reading statement files, beside one pattern over their rows that does the least a reader must.

Run: `.venv/bin/python benchmarks/bench_parse.py [FORMAT...]`. Every file is made in memory: one account, every row
with type, day, amount, id, name and memo. The limit is one regular expression over the rows, whose day and amount
become `date` and `Decimal` and the rest stays text: no warnings, no other spelling, no damage. Prints the CPU of
one row, medians of interleaved repeats, the ratio to the limit in the same repeat, how long a thread beside the
reader waits for its turn, and what the model's own objects take, which the limit does not make.
"""

import gc
import re
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

import attrs

from dashtam_core.accounts import TransactionData, TransactionType
from dashtam_core.kernel import Currency, Money, Success
from dashtam_files import OfxReader

SIZES = (10_000, 100_000)
REPEATS = 7
GOAL = 2.5
TYPES = ("DEBIT", "CREDIT", "POS", "CHECK", "XFER")
NAMES = ("Corner Bakery", "CITY TRANSIT 0042", "Rent", "PAYROLL ACME LTD", "Pharmacy &amp; Care", "ATM 12 MAIN ST")

type Read = Callable[[bytes], int]


@attrs.frozen
class Format:
    """A family of files: how to make one of so many rows, our reader of it, and the limit. Both tell the rows."""

    make: Callable[[int], bytes]
    ours: Read
    limit: Read


def movements(count: int) -> Iterator[tuple[int, str, date, Decimal, str]]:
    """Number, type, day, amount and name of every row: some forty a day."""
    first = date(2019, 1, 1)
    for number in range(count):
        amount = Decimal((number * 7919) % 500_000 - 250_000).scaleb(-2)
        yield number, TYPES[number % 5], first + timedelta(days=number // 40), amount, NAMES[number % 6]


def ofx(count: int) -> bytes:
    rows = "".join(
        f"<STMTTRN>\n<TRNTYPE>{type_}\n<DTPOSTED>{day:%Y%m%d}120000[-5:EST]\n<TRNAMT>{amount}\n<FITID>2019{number:09}\n"
        f"<NAME>{name}\n<MEMO>Reference {number * 31} at branch {number % 90}\n</STMTTRN>\n"
        for number, type_, day, amount, name in movements(count)
    )
    return (
        "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nCHARSET:1252\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD\n"
        "<BANKACCTFROM><BANKID>021<ACCTID>4417<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>20190101\n"
        f"<DTEND>20261231\n{rows}</BANKTRANLIST><LEDGERBAL><BALAMT>1.00<DTASOF>20261231</LEDGERBAL></STMTRS></STMTTRNRS>"
        "</BANKMSGSRSV1></OFX>\n"
    ).encode()


OFX_ROW = re.compile(
    r"<STMTTRN>\s*<TRNTYPE>([^<\n]*)\s*<DTPOSTED>(\d{4})(\d\d)(\d\d)[^<\n]*\s*<TRNAMT>([^<\n]*)\s*<FITID>([^<\n]*)\s*"
    r"<NAME>([^<\n]*)\s*<MEMO>([^<\n]*)\s*</STMTTRN>"
)


def ofx_limit(data: bytes) -> int:
    rows = [
        (type_, date(int(year), int(month), int(day)), Decimal(amount), id_, name, memo)
        for type_, year, month, day, amount, id_, name, memo in (
            found.groups() for found in OFX_ROW.finditer(data.decode())
        )
    ]
    return len(rows)


def ofx_ours(data: bytes) -> int:
    match OfxReader().read(data):
        case Success(read):
            assert not read.batch.warnings
            return sum(len(each.transactions) for each in read.batch.accounts)
        case failure:
            raise AssertionError(failure)


FORMATS: Mapping[str, Format] = {"OFX": Format(ofx, ofx_ours, ofx_limit)}


def objects(count: int) -> float:
    """CPU seconds to make the model's row of fields that are there already."""
    unit = Currency("USD")
    rows = list(movements(count))
    cpu = time.process_time()
    made = [
        TransactionData(
            posted_date=day, amount=Money(amount, unit), type=TransactionType(type_), description=name, payee=name
        )
        for _, type_, day, amount, name in rows
    ]
    return (time.process_time() - cpu) / len(made)


def measured(file: Format, count: int) -> dict[str, list[float]]:
    """CPU seconds of a row, for our reader and the limit in each repeat."""
    data, spent = file.make(count), defaultdict[str, list[float]](list)
    for repeat in range(REPEATS + 1):
        for way, read in (("limit", file.limit), ("ours", file.ours)):
            gc.collect()
            cpu = time.process_time()
            assert read(data) == count
            if repeat:  # the first warms up
                spent[way].append((time.process_time() - cpu) / count)
    return spent


def waits(read: Read, data: bytes) -> tuple[float, float]:
    """Seconds that a thread beside the reader waits for its turn: 99 of 100 times, and at most."""
    found = list[float]()
    reader = threading.Thread(target=read, args=(data,))
    reader.start()
    while reader.is_alive():
        asked = time.perf_counter()
        time.sleep(0.0005)
        found.append(time.perf_counter() - asked - 0.0005)
    reader.join()
    return statistics.quantiles(found, n=100)[-1], max(found)


def main(names: list[str]) -> None:
    columns = f"{'rows':>21}{'MB':>7}{'CPU µs':>9}{'limit':>8}{'ratio':>9}{'wait p99':>10}{'at most':>9}"
    print(f"{REPEATS} repeats{columns}")
    for name in names or FORMATS:
        for count in SIZES:
            file = FORMATS[name]
            spent, data = measured(file, count), file.make(count)
            ours, limit = (statistics.median(spent[way]) * 1e6 for way in ("ours", "limit"))
            ratio = statistics.median(a / b for a, b in zip(spent["ours"], spent["limit"], strict=True))
            late = "".join(f"{each * 1e3:6.1f} ms" for each in waits(file.ours, data))
            print(f"{name:10}{count:20,}{len(data) / 1e6:7.1f}{ours:9.2f}{limit:8.2f}{ratio:8.2f}x{late:>18}")
    alone = statistics.median(objects(SIZES[0]) for _ in range(REPEATS))
    print(f"the model's objects alone take {alone * 1e6:.2f} µs a row")
    print(f"the goal is {GOAL} times the limit at most, whatever the size")


if __name__ == "__main__":
    main(sys.argv[1:])
