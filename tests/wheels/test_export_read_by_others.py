"""What we export, others read: the tools that people would take it to, in an environment of their own."""

import itertools
import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from dashtam_core.accounts import (
    AccountType,
    BalanceKind,
    ExportedAccount,
    StatementWriter,
    Transaction,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Currency
from dashtam_core.testing import samples
from dashtam_files.writers import BeancountWriter, OfxWriter
from unit.files.writers.exports import exported, row
from wheels.environments import Environment, Workshop, once

TOOLS: Final = ("ofxtools==1.1.1", "ofxparse==0.21", "beancount==3.2.3")
"""For tests alone: none of our packages needs them."""

NASTY: Final = (
    "Café <&> \"Bar\" \\ '1'",
    "普通預金\n\t💶",
    "=1+1",
    "; * ! {}",
    "x" * 400,
    "",
    "-",
    "]]>",
    "&amp;",
)


def some() -> Sequence[ExportedAccount]:
    """Two accounts with a hundred rows each, and balances that hold. In ASCII, which ofxparse needs."""
    chance, made = random.Random(7), list[ExportedAccount]()
    for key, kind in (("one", AccountType.CHECKING), ("two", AccountType.CREDITCARD)):
        of = samples.account(key, account_type=kind, mask="6789")
        amounts = [Decimal(chance.randrange(-99_999, 99_999)).scaleb(-2) for _ in range(100)]
        rows = [
            row(f"Shop & Co {place}", amount=str(amount), posted_date=date(2026, 1, 1) + timedelta(place))
            for place, amount in enumerate(amounts)
        ]
        last = samples.balance(of, str(sum(amounts)), kind=BalanceKind.CLOSING_BOOKED, as_of=rows[-1].posted_date)
        made.append(exported(*rows, account=of, balances=[last]))
    return made


def nasty() -> Sequence[ExportedAccount]:
    """Every kind of account, row and unit, with texts that could break a format."""
    kinds, states, types = (itertools.cycle(each) for each in (AccountType, TransactionStatus, TransactionType))
    units = ("EUR", "XXX", "JPY", "BTC", "btc", "x" * 64, "TRUE")
    return [
        exported(
            *(
                row(
                    text,
                    status=next(states),
                    type=next(types),
                    unit=Currency(unit),
                    payee=text,
                    memo=text,
                    reference=text,
                )
                for text in (*NASTY, *reversed(NASTY))
                for unit in ("EUR", *units)
            ),
            row("huge", amount="9" * 38),
            account=samples.account("same name", account_type=kind, bank_id=text or None, mask=text[:4]),
        )
        for kind, text in zip(kinds, NASTY, strict=False)
    ]


def facts(accounts: Sequence[ExportedAccount], *, words: bool) -> list[list[str]]:
    """What every tool should have read, as the programs beside tell it."""

    def of(each: Transaction) -> list[str]:
        said = [str(each.transaction_id), str(each.posted_date), each.amount.text]
        return [*said, each.description or ""] if words else said

    return sorted(of(row) for each in accounts for row in each.transactions)


def write(folder: Path, name: str, accounts: Sequence[ExportedAccount], *writers: StatementWriter) -> None:
    for writer in writers:
        (folder / f"{name}{writer.suffix}").write_bytes("".join(writer.write(accounts)).encode())


@pytest.fixture(scope="module")
def tools(workshop: Workshop) -> Environment:
    """An environment with these tools and nothing of ours."""

    def make(folder: Path) -> None:
        workshop.call("venv", "--quiet", folder)
        workshop.call("pip", "install", "--quiet", "--python", Environment(folder).python, *TOOLS)

    return Environment(once(workshop.folder / "export-tools", make))


def test_other_tools_read_what_we_write(tools: Environment, tmp_path: Path) -> None:
    """Each has every row with its id, its day, its amount to the cent and its name, and finds no fault."""
    ours, worse = some(), nasty()
    write(tmp_path, "some", ours, OfxWriter(), BeancountWriter())
    write(tmp_path, "nasty", worse, OfxWriter(), BeancountWriter())
    told: dict[str, Any] = tools.told("export_read", tmp_path)
    assert told["ofxtools"] == told["ofxparse"] == facts(ours, words=True)
    assert told["beancount"] == {
        "errors": [],
        "rows": facts(ours, words=False),
        "flags": ["*"] * 200,
        "balances": 2,
    }
    rows = [row for each in worse for row in each.transactions]
    posted = sum(row.status is TransactionStatus.POSTED for row in rows)
    pending = sum(row.status is TransactionStatus.PENDING for row in rows)
    assert told["ofxtools nasty"] == posted
    huge = len(worse)
    assert told["beancount nasty"]["errors"] == []
    assert told["beancount nasty"]["flags"] == ["!"] * pending + ["*"] * (posted - huge)
