"""A small statement format of our own, with its reader and the plugin that brings it."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.kernel import Currency, Failure, Money, Result, Success
from dashtam_core.plugins import hookimpl

_FIRST, _LAST = "LINES 1", "end"
_FIELDS: Final = {"id": "provider_transaction_id", "payee": "payee", "memo": "memo"}


def lines(*said: str) -> bytes:
    """A whole document for `LinesReader` that says this between its first line and its last."""
    return "\n".join((_FIRST, *said, _LAST, "")).encode()


class LinesReader:
    r"""Reads statements that a test can write by hand; subclass it for one that fails, counts or talks.

        LINES 1
        account;DE00 1234;EUR;Everyday
        row;2026-01-05;-12.50;Coffee;id=T1;payee=Corner Bakery;memo=two cups
        row;2026-01-07;1000;;pending
        balance;2026-01-31;987.50
        warning;date_unreadable;row 3;31.02.
        end

    Rows and balances belong to the account before them. The currency may be left out (it is EUR then), and so may
    the account's name; a row's text may be empty, and `\n` in it begins a new line. A line that cannot be read is
    a warning, a file without its last line is cut short.
    """

    name = "lines"

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith(_FIRST.encode())

    def read(self, data: bytes, /) -> Result[model.Statement, model.ImportFailed]:
        try:
            first, *said = data.decode().rstrip().split("\n")
        except UnicodeDecodeError:
            return _refused(model.ImportCode.FILE_UNREADABLE, "the file is not UTF-8: export it again")
        if first != _FIRST:
            return _refused(
                model.ImportCode.FILE_UNREADABLE, f"the file does not begin with {_FIRST}: export it again"
            )
        if not said or said.pop() != _LAST:
            return _refused(model.ImportCode.FILE_TRUNCATED, "the file is cut short: download it again")
        reading = _Reading()
        for number, line in enumerate(said, 2):
            reading.take(line, f"line {number}")
        return Success(model.Statement(format=_FIRST, encoding="utf-8", parser="samples 1", batch=reading.batch()))


class LinesPlugin:
    """The plugin that brings a `LinesReader`, or another reader in its place."""

    def __init__(self, reader: model.StatementReader | None = None) -> None:
        self.reader = reader or LinesReader()

    @hookimpl
    def dashtam_readers(self) -> Iterable[model.StatementReader]:
        return [self.reader]


type _Account = tuple[model.AccountData, list[model.TransactionData], list[model.BalanceData]]


@attrs.define
class _Reading:
    """What has been read so far."""

    said: list[_Account] = attrs.field(factory=list[_Account])
    warnings: list[model.ReadingWarning] = attrs.field(factory=list[model.ReadingWarning])

    def take(self, line: str, where: str) -> None:
        try:
            self._take(*line.split(";"))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            self.warnings.append(model.ReadingWarning("line_unreadable", where, line))

    def _take(self, word: str, *fields: str) -> None:
        match word:
            case "account":
                self.said.append((_account(*fields), [], []))
            case "row":
                account, rows, _ = self.said[-1]
                rows.append(_row(account.currency, *fields))
            case "balance":
                account, _, balances = self.said[-1]
                balances.append(_balance(account.currency, *fields))
            case "warning":
                self.warnings.append(model.ReadingWarning(*fields))
            case _:
                raise LookupError(word)

    def batch(self) -> model.SyncBatch:
        return model.SyncBatch(
            accounts=tuple(
                model.AccountBatch(account=account, transactions=tuple(rows), balances=tuple(balances))
                for account, rows, balances in self.said
            ),
            warnings=tuple(self.warnings),
        )


def _refused(code: model.ImportCode, message: str) -> Failure[model.ImportFailed]:
    return Failure(model.ImportFailed(code, message))


def _account(number: str, code: str = "EUR", name: str = "") -> model.AccountData:
    if not number.strip():
        raise ValueError("an account has a number")
    return model.AccountData(
        provider_account_id=number,
        account_type=model.AccountType.CHECKING,
        currency=Currency(code),
        name=name or None,
    )


def _row(currency: Currency, day: str, amount: str, text: str, *more: str) -> model.TransactionData:
    status = model.TransactionStatus.PENDING if "pending" in more else model.TransactionStatus.POSTED
    said = dict(each.split("=", 1) for each in more if each != "pending")
    texts: dict[str, Any] = {_FIELDS[name]: value for name, value in said.items() if value}
    return model.TransactionData(
        posted_date=date.fromisoformat(day),
        amount=_money(amount, currency),
        type=model.TransactionType.DEBIT if amount.startswith("-") else model.TransactionType.CREDIT,
        status=status,
        description=text.replace("\\n", "\n") or None,
        **texts,
    )


def _balance(currency: Currency, day: str, amount: str) -> model.BalanceData:
    return model.BalanceData(
        kind=model.BalanceKind.LEDGER, as_of=date.fromisoformat(day), amount=_money(amount, currency)
    )


def _money(amount: str, currency: Currency) -> Money:
    match Money.parse(amount, currency.code):
        case Success(money):
            return money
        case Failure(refused):
            raise ValueError(refused.message)
