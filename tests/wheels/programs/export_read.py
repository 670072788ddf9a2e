"""What OFX Tools, ofxparse and Beancount read in our exports: ids, days and amounts, one list for each file."""

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")  # ofxparse reads XML with a parser for HTML, and is warned of that
folder = Path(sys.argv[1])
# Imported by name: no environment that checks types has these tools.
beancount: Any = import_module("beancount.loader")
entry: Any = import_module("beancount.core.data")
ofxparse: Any = import_module("ofxparse")
ofxtools: Any = import_module("ofxtools.Parser")


def strict(file: Path) -> list[list[str]]:
    """Rows as the strictest reader of OFX has them."""
    tree = ofxtools.OFXTree()
    tree.parse(str(file))
    return sorted(
        [row.fitid, str(row.dtposted.date()), str(row.trnamt), row.name or row.memo]
        for each in tree.convert().statements
        for row in each.banktranlist or ()
    )


def lenient(file: Path) -> list[list[str]]:
    with file.open("rb") as stream:
        every = ofxparse.OfxParser.parse(stream).accounts
    return sorted(
        [row.id, str(row.date.date()), str(row.amount), row.payee or row.memo]
        for each in every
        for row in each.statement.transactions
    )


def ledger(file: Path) -> dict[str, object]:
    entries, errors, _ = beancount.load_file(str(file))
    rows = [each for each in entries if isinstance(each, entry.Transaction) and "transaction_id" in each.meta]
    return {
        "errors": [each.message for each in errors],
        "rows": sorted(
            [each.meta["transaction_id"], str(each.date), str(each.postings[0].units.number)] for each in rows
        ),
        "flags": sorted(each.flag for each in rows),
        "balances": sum(isinstance(each, entry.Balance) for each in entries),
    }


told = {
    "ofxtools": strict(folder / "some.ofx"),
    "ofxtools nasty": len(strict(folder / "nasty.ofx")),
    "ofxparse": lenient(folder / "some.ofx"),
    "beancount": ledger(folder / "some.beancount"),
    "beancount nasty": ledger(folder / "nasty.beancount"),
}
json.dump(told, sys.stdout)
