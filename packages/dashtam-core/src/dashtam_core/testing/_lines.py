"""A small statement format of our own, with its reader and the plugin that brings it."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.kernel import Currency, DateRange, Failure, Money, Result, Success
from dashtam_core.plugins import hookimpl

_FIRST, _LAST = "LINES 1", "end"
_FIELDS: Final = {"id": "provider_transaction_id", **dict.fromkeys(("payee", "memo", "category", "replaces"))}


def lines(*said: str) -> bytes:
    """A whole document for `LinesReader` that says this between its first line and its last."""
    return "\n".join((_FIRST, *said, _LAST, "")).encode()


class LinesReader:
    r"""Reads statements that a test can write by hand; subclass it for one that fails, counts or talks.

        LINES 1
        account;DE00 1234;EUR;Everyday
        row;2026-01-05;-12.50;Coffee;id=T1;payee=Corner Bakery;memo=two cups
        row;2026-01-07;1000;;pending
        row;2026-01-08;-12.50;Coffee;void;replaces=T1;other=DE00 5678
        balance;2026-01-31;987.50
        balance;2026-01-01;0;OPENING_BOOKED
        window;2026-01-01;2026-01-31
        removed;T0
        warning;date_unreadable;row 3;31.02.
        end

    What comes behind an account belongs to it. The currency may be left out (it is EUR then), and so may the
    account's name; a row's text may be empty, and `\n` in it begins a new line; `other` is the number of the
    account on the other side. A line that cannot be read is a warning, a file without its last line is cut short.
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


@attrs.define
class _Account:
    data: model.AccountData
    rows: list[model.TransactionData] = attrs.field(factory=list[model.TransactionData])
    balances: list[model.BalanceData] = attrs.field(factory=list[model.BalanceData])
    window: DateRange | None = None
    removed: list[str] = attrs.field(factory=list[str])

    def batch(self) -> model.AccountBatch:
        return model.AccountBatch(
            account=self.data,
            transactions=tuple(self.rows),
            balances=tuple(self.balances),
            covered_window=self.window,
            removed=tuple(self.removed),
        )


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
                self.said.append(_Account(_account(*fields)))
            case "row":
                self.said[-1].rows.append(_row(self.said[-1].data.currency, *fields))
            case "balance":
                self.said[-1].balances.append(_balance(self.said[-1].data.currency, *fields))
            case "window":
                first, last = map(date.fromisoformat, fields)
                self.said[-1].window = DateRange(first, last)
            case "removed":
                self.said[-1].removed.extend(fields)
            case "warning":
                self.warnings.append(model.ReadingWarning(*fields))
            case _:
                raise LookupError(word)

    def batch(self) -> model.SyncBatch:
        return model.SyncBatch(accounts=tuple(each.batch() for each in self.said), warnings=tuple(self.warnings))


def _refused(code: model.ImportCode, message: str) -> Failure[model.ImportFailed]:
    return Failure(model.ImportFailed(code, message))


def _account(number: str, code: str = "EUR", name: str = "") -> model.AccountData:
    if not number.strip():
        raise ValueError("an account has a number")
    return model.AccountData(
        provider_account_id=number,
        number=number,
        account_type=model.AccountType.CHECKING,
        currency=Currency(code),
        name=name or None,
    )


def _row(currency: Currency, day: str, amount: str, text: str, *more: str) -> model.TransactionData:
    statuses = [model.TransactionStatus(each.upper()) for each in more if "=" not in each]
    said = dict(each.split("=", 1) for each in more if "=" in each)
    number = said.pop("other", None)
    texts: dict[str, Any] = {_FIELDS[name] or name: value for name, value in said.items() if value}
    return model.TransactionData(
        posted_date=date.fromisoformat(day),
        amount=_money(amount, currency),
        type=model.TransactionType.DEBIT if amount.startswith("-") else model.TransactionType.CREDIT,
        status=statuses[0] if statuses else model.TransactionStatus.POSTED,
        description=text.replace("\\n", "\n") or None,
        counterparty=model.Counterparty(account=number) if number else None,
        **texts,
    )


def _balance(currency: Currency, day: str, amount: str, kind: str = "LEDGER") -> model.BalanceData:
    return model.BalanceData(
        kind=model.BalanceKind(kind), as_of=date.fromisoformat(day), amount=_money(amount, currency)
    )


def _money(amount: str, currency: Currency) -> Money:
    match Money.parse(amount, currency.code):
        case Success(money):
            return money
        case Failure(refused):
            raise ValueError(refused.message)
