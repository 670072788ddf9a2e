"""What the tests of the API share: people with a token, and a plugin that reads a small format of our own."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import attrs
import httpx

from dashtam_core import Dashtam, Failure, Result, Success, hookimpl
from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    BalanceData,
    BalanceKind,
    ImportCode,
    ImportFailed,
    Statement,
    StatementReader,
    SyncBatch,
    TransactionData,
    TransactionType,
)
from dashtam_core.audit import EntryFilter, ListAuditEntries, ReadableEntry
from dashtam_core.identity import OPERATOR, CreateApiToken, ExternalSubject
from dashtam_core.kernel import Currency, Money

SECRET = "hunter2-in-a-message"
CODES = {each.value: each for each in ImportCode}


class Lines:
    """Reads `LINES;<account>` and then lines of `date;amount;text`. `FAIL;<code>` fails, `EXPLODE` raises."""

    name = "lines"

    def __init__(self) -> None:
        self.reads = 0

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith((b"LINES;", b"FAIL;", b"EXPLODE"))

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        self.reads += 1
        if data.startswith(b"EXPLODE"):
            raise RuntimeError(SECRET)
        first, *rows = data.decode().splitlines()
        word = first.split(";")[1]
        if first.startswith("FAIL"):
            return Failure(ImportFailed(CODES[word], f"failed as asked: {word}"))
        return Success(_statement(word, rows))


class LinesPlugin:
    def __init__(self) -> None:
        self.reader = Lines()

    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return [self.reader]


@attrs.frozen
class Person:
    """Somebody with a token, and a client that sends it."""

    token: str
    http: httpx.AsyncClient

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.http.get(path, params={name: str(value) for name, value in query.items()})

    async def upload(self, data: bytes, filename: str = "june.lines", *, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        return await self.http.post("/v1/imports", files={"file": (filename, data)}, headers=headers)


async def token_of(dashtam: Dashtam, name: str) -> str:
    made = await dashtam.acting_as(ExternalSubject(name)).execute(CreateApiToken("test"))
    return made.unwrap()


async def trail(dashtam: Dashtam, name: str) -> list[ReadableEntry]:
    """What the audit trail holds of one person since their token was made, in order."""
    wanted = EntryFilter(user_id=ExternalSubject(name).user_id)
    operator = dashtam.acting_as(ExternalSubject("operator", OPERATOR))
    page = (await operator.ask(ListAuditEntries(wanted, limit=1000))).unwrap()
    return [each for each in reversed(page.items) if each.entry.action != "create_api_token"]


def lines(account: str, *rows: str) -> bytes:
    return "\n".join([f"LINES;{account}", *rows]).encode()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a response, having checked that it is problem details all through."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"urn:dashtam:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert set(body) <= {"type", "title", "status", "detail", "code", "errors"}
    return body


def _statement(account: str, rows: list[str]) -> Statement:
    euro = Currency("EUR")
    transactions = tuple(_transaction(row, euro) for row in rows)
    balance = BalanceData(
        kind=BalanceKind.LEDGER, as_of=date(2026, 1, 31), amount=Money.parse("10", "EUR").unwrap()
    )
    data = AccountData(provider_account_id=account, account_type=AccountType.CHECKING, currency=euro)
    batch = AccountBatch(account=data, transactions=transactions, balances=(balance,))
    return Statement(format="LINES 1", encoding="utf-8", parser="tests 1", batch=SyncBatch(accounts=(batch,)))


def _transaction(row: str, currency: Currency) -> TransactionData:
    day, amount, text = row.split(";")
    return TransactionData(
        posted_date=date.fromisoformat(day),
        amount=Money.parse(amount, currency.code).unwrap(),
        type=TransactionType.OTHER,
        description=text,
    )
