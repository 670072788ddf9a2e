"""A command line to test: a reader that knows a few statements by name, and one store in memory that lasts."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from importlib.metadata import EntryPoint
from typing import Any

import attrs
from typer.testing import CliRunner, Result

from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    BalanceData,
    BalanceKind,
    ImportCode,
    ImportFailed,
    ReadingWarning,
    Statement,
    StatementReader,
    SyncBatch,
    TransactionData,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.cli._app import app
from dashtam_core.cli._host import Host
from dashtam_core.kernel import Currency, Failure, Money, Success
from dashtam_core.kernel import Result as Answer
from dashtam_core.memory import MemoryStore
from dashtam_core.plugins import CommandAdder, Plugins

EUR = Currency("EUR")


def money(amount: str) -> Money:
    return Money(Decimal(amount), EUR)


def row(day: str, amount: str, description: str | None, **more: Any) -> TransactionData:
    kind = TransactionType.DEBIT if amount.startswith("-") else TransactionType.CREDIT
    return TransactionData(
        posted_date=date.fromisoformat(day), amount=money(amount), type=kind, description=description, **more
    )


def account(number: str, *rows: TransactionData, balances: tuple[BalanceData, ...] = ()) -> AccountBatch:
    data = AccountData(provider_account_id=number, account_type=AccountType.CHECKING, currency=EUR)
    return AccountBatch(account=data, transactions=rows, balances=balances)


def statement(*accounts: AccountBatch, warnings: tuple[ReadingWarning, ...] = ()) -> Statement:
    batch = SyncBatch(accounts=accounts, warnings=warnings)
    return Statement(format="TOY 1", encoding="ascii", parser="toy 1", batch=batch)


JANUARY = statement(
    account(
        "DE00 1234",
        row("2026-01-05", "-12.5", "Coffee", payee="Café", memo="Coffee", provider_transaction_id="T1"),
        row("2026-01-07", "1000.000", None, status=TransactionStatus.PENDING),
        balances=(BalanceData(kind=BalanceKind.LEDGER, as_of=date(2026, 1, 31), amount=money("987.5")),),
    ),
    warnings=(ReadingWarning("date_unreadable", "row 3", "31.02."),),
)


class ToyReader:
    """Reads `TOY name`, and prints while it does, as libraries will."""

    name = "toy"

    def __init__(self, statements: Mapping[str, Statement]) -> None:
        self.statements = statements

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith(b"TOY ")

    def read(self, data: bytes, /) -> Answer[Statement, ImportFailed]:
        sys.stdout.write("noise of the reader\n")
        found = self.statements.get(data.decode().split()[1])
        if found is None:
            return Failure(ImportFailed(ImportCode.FILE_TRUNCATED, "the file is cut short: download it again"))
        return Success(found)


class Toy:
    """The plugin with that reader."""

    def __init__(self, **statements: Statement) -> None:
        self.reader = ToyReader({"january": JANUARY, **statements})

    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return [self.reader]


class Adding:
    """A plugin that contributes commands."""

    def __init__(self, **commands: Callable[[Any], None]) -> None:
        self.commands = commands

    @hookimpl
    def dashtam_commands(self) -> Mapping[str, CommandAdder]:
        return self.commands


BROKEN = EntryPoint(name="broken", value="dashtam_no_such_module", group="dashtam")


class CommandLine:
    """`dashtam` with these plugins; what one command stores the next one finds."""

    def __init__(self, *plugins: object, broken: bool = False) -> None:
        self.plugins = plugins
        self.broken = broken
        self.store = MemoryStore()

    def __call__(self, *args: str, stdin: bytes | None = None) -> Result:
        host = Host(self._find, self._open)
        return CliRunner().invoke(app, args, input=stdin, obj=host, catch_exceptions=False, prog_name="dashtam")

    def json(self, *args: str) -> Any:
        """What a command that must succeed prints with `--json`."""
        result = self(*args, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def _find(self, allowed: Sequence[str] | None) -> Plugins:
        found = Plugins.of(self.plugins)
        if self.broken:
            found.add_installed(BROKEN)
        return found

    def _open(self, settings: Settings) -> AbstractAsyncContextManager[Dashtam]:
        sys.stdout.write("noise of the store\n")
        with_key = attrs.evolve(settings, master_key="a key of the tests, long enough for it")
        return Dashtam.open(settings=with_key, store=self.store, plugins=self.plugins, workers=False)
