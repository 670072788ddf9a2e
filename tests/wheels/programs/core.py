"""The core alone, in memory: a reader of one's own, an import, a list."""

import asyncio
import json
import sys
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import dashtam_core
from dashtam_core import Dashtam, Result, Settings, Success, hookimpl
from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    ImportFailed,
    ImportStatement,
    ListTransactions,
    Statement,
    StatementReader,
    SyncBatch,
    TransactionData,
    TransactionType,
)
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Currency, Money

EUR = Currency("EUR")


class Lines:
    name = "lines"

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith(b"LINES")

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        amounts = [Money(Decimal(line), EUR) for line in data.decode().split()[1:]]
        day, kind = date(2026, 3, 1), TransactionType.OTHER
        rows = tuple(TransactionData(posted_date=day, amount=amount, type=kind) for amount in amounts)
        account = AccountData(provider_account_id="1", account_type=AccountType.CHECKING, currency=EUR)
        batch = SyncBatch(accounts=(AccountBatch(account=account, transactions=rows),))
        return Success(Statement(format="lines", encoding="ascii", parser="me", batch=batch))


class Plugin:
    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return (Lines(),)


async def main() -> None:
    async with Dashtam.open(settings=Settings(), plugins=[Plugin()]) as dashtam:
        me = dashtam.acting_as(ExternalSubject("me"))
        report = (await me.execute(ImportStatement(b"LINES 1.50 1.50 -2"))).unwrap()
        page = (await me.ask(ListTransactions())).unwrap()
    amounts = [each.amount.text for each in page.items]
    json.dump({"added": report.document.added, "amounts": amounts, "where": dashtam_core.__file__}, sys.stdout)


asyncio.run(main())
