"""A statement reader for tests: the smallest plugin that reads a whole statement."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

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
    TransactionType,
)
from dashtam_core.kernel import Currency, Failure, Money, Result, Success
from dashtam_core.plugins import hookimpl


class JsonReader:
    """Reads `{"accounts": [{"number": …, "rows": [{"day": …, "amount": …, "text": …, "id": …}]}]}`."""

    name = "json"

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith(b"{")

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        try:
            told = json.loads(data)
        except ValueError:
            return Failure(ImportFailed(ImportCode.FILE_UNREADABLE, "this is no JSON: export the file again"))
        accounts = tuple(_account(each) for each in told["accounts"])
        warnings = tuple(ReadingWarning("odd", where) for where in told.get("warnings", ()))
        batch = SyncBatch(accounts=accounts, warnings=warnings)
        return Success(Statement(format="JSON 1", encoding="utf-8", parser="tests 1", batch=batch))


class JsonPlugin:
    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return (JsonReader(),)


def statement(accounts: Mapping[str, Sequence[dict[str, Any]]], **more: Any) -> bytes:
    """A document with these rows for each account number."""
    told = [{"number": number, "rows": list(rows)} for number, rows in accounts.items()]
    return json.dumps({"accounts": told, **more}).encode()


def _account(told: dict[str, Any]) -> AccountBatch:
    euro = Currency("EUR")
    return AccountBatch(
        account=AccountData(
            provider_account_id=told["number"],
            account_type=AccountType.CHECKING,
            currency=euro,
            name=told.get("name"),
        ),
        transactions=tuple(
            TransactionData(
                posted_date=date.fromisoformat(row["day"]),
                amount=Money(Decimal(row["amount"]), euro),
                type=TransactionType.OTHER,
                description=row["text"],
                provider_transaction_id=row.get("id"),
            )
            for row in told["rows"]
        ),
        balances=tuple(
            BalanceData(
                kind=BalanceKind.LEDGER, as_of=date.fromisoformat(day), amount=Money(Decimal(amount), euro)
            )
            for day, amount in told.get("balances", {}).items()
        ),
    )
