"""`/v1/transactions/{transaction_id}` and what the caller says of it; balances and holdings of an account."""

from typing import Any
from uuid import UUID

import attrs
import pytest
from pydantic import TypeAdapter

from api.people import Person, lines, problem
from dashtam_core.accounts import (
    AccountImport,
    Arithmetic,
    DocumentId,
    Holding,
    SecurityData,
    SecurityId,
    SecurityScheme,
    SecurityType,
    TransactionView,
)
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import new_id
from dashtam_core.store import Store
from dashtam_core.testing._shared import overviews
from dashtam_core.testing.samples import add, eur, full_row
from dashtam_fastapi._accounts import BalanceList, HoldingList

SAID = {
    "category": "Food",
    "payee": "Corner Bakery",
    "note": "two\nlines",
    "tags": ["b", "a"],
    "splits": [
        {"amount": "-4.00", "currency": "EUR", "category": "Coffee", "note": None},
        {"amount": "-0.50", "currency": "EUR", "category": None, "note": "tip"},
    ],
}


@pytest.fixture
async def url(ann: Person) -> str:
    """Of Ann's only transaction, of -4.50 EUR."""
    await ann.upload(lines("DE00 1234", "2026-01-01;-4.5;coffee"))
    (row,) = (await ann.get("/v1/transactions")).json()["items"]
    return f"/v1/transactions/{row['transaction_id']}"


async def test_a_transaction_shows_what_is_said_of_it(ann: Person, url: str) -> None:
    """What is put is answered, shown alone and in the list, replaced whole, and gone when it is deleted."""
    assert (await ann.get(url)).json()["annotation"] is None
    put = await ann.http.put(f"{url}/annotation", json=SAID)
    assert (put.status_code, put.json()) == (200, SAID)
    assert (await ann.get(url)).json()["annotation"] == SAID
    assert (await ann.get("/v1/transactions")).json()["items"] == [(await ann.get(url)).json()]
    await ann.http.put(f"{url}/annotation", json={"note": " again "})
    empty: dict[str, Any] = {"category": None, "payee": None, "note": "again", "tags": [], "splits": []}
    assert (await ann.get(url)).json()["annotation"] == empty
    gone = await ann.http.delete(f"{url}/annotation")
    assert (gone.status_code, gone.content, gone.headers["cache-control"]) == (204, b"", "no-store")
    assert (await ann.get(url)).json()["annotation"] is None


async def test_an_import_leaves_an_annotation_alone(ann: Person, url: str) -> None:
    """The same transaction in another file is known, and what was said of it stays."""
    await ann.http.put(f"{url}/annotation", json=SAID)
    await ann.upload(lines("DE00 1234", "2026-01-01;-4.5;coffee", "2026-01-02;-1;tea"))
    assert (await ann.get(url)).json()["annotation"] == SAID


async def test_a_retry_with_its_key_changes_nothing_more(ann: Person, url: str) -> None:
    """The first answer is given again, whatever was said in between."""
    headers = {"idempotency-key": "one"}
    first = await ann.http.put(f"{url}/annotation", json=SAID, headers=headers)
    await ann.http.delete(f"{url}/annotation")
    again = await ann.http.put(f"{url}/annotation", json=SAID, headers=headers)
    assert again.json() == first.json()
    assert (await ann.get(url)).json()["annotation"] is None


async def test_nobody_else_sees_or_says_anything(ann: Person, bob: Person, url: str) -> None:
    """Another's transaction is not there, whatever is tried."""
    problem(await bob.get(url), 404, "transaction_not_found")
    problem(await bob.http.put(f"{url}/annotation", json=SAID), 404, "transaction_not_found")
    problem(await bob.http.delete(f"{url}/annotation"), 404, "transaction_not_found")
    assert (await ann.get(url)).json()["annotation"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"categroy": "x"}', "#/categroy"),
        (b'{"note": 1}', "#/note"),
        (b'{"tags": "x"}', "#/tags"),
        (b'{"tags": [1]}', "#/tags/0"),
        (b'{"splits": [{"amount": -4.5, "currency": "EUR"}]}', "#/splits/0/amount"),
        (b'{"splits": [{"amount": "-4.5"}]}', "#/splits/0/currency"),
        (b"[]", "#/"),
        (b"{", "#/"),
        (b'{"note": "\\ud800"}', "#/"),
        (b"", "#/"),
    ],
)
async def test_a_wrong_body_is_pointed_at(ann: Person, url: str, body: bytes, pointer: str) -> None:
    """What is wrong is named by its place (RFC 6901), and no number is taken for an amount."""
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = await ann.http.put(f"{url}/annotation", content=body, headers=headers)
    (error, *_) = problem(answer, 422, "request_invalid")["errors"]
    assert error["pointer"] == pointer


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"splits": [{"amount": "-4", "currency": "EUR"}]}, "splits_unbalanced"),
        ({"splits": [{"amount": "4,5", "currency": "EUR"}]}, "money_invalid"),
        ({"splits": [{"amount": "-4.5", "currency": ""}]}, "currency_invalid"),
        ({"category": "x" * 201}, "annotation_invalid"),
        ({"note": "\x00"}, "annotation_invalid"),
    ],
)
async def test_what_cannot_be_said(ann: Person, url: str, change: dict[str, Any], code: str) -> None:
    """The core's refusal comes as a problem with its code, and nothing is kept."""
    problem(await ann.http.put(f"{url}/annotation", json=change), 422, code)
    assert (await ann.get(url)).json()["annotation"] is None


async def test_bodies_have_a_type_and_a_size(ann: Person, url: str) -> None:
    """Another media type, and more than a body may have, are refused before they are parsed."""
    problem(await ann.http.put(f"{url}/annotation", content=b"{}"), 415, "media_type_unsupported")
    much = b'{"note": "' + b"x" * 1_000_000 + b'"}'
    headers = {"content-type": "application/json"}
    problem(await ann.http.put(f"{url}/annotation", content=much, headers=headers), 413, "body_too_large")


async def test_who_asks_is_known_before_a_body_is_looked_at(nobody: Any, url: str) -> None:
    """Without a token, a broken body is answered with 401."""
    headers = {"content-type": "application/json"}
    problem(await nobody.put(f"{url}/annotation", content=b"{", headers=headers), 401, "unauthenticated")


async def test_transactions_by_status(ann: Person) -> None:
    """The list narrows to one status, which is one of three words."""
    await ann.upload(lines("A", "2026-01-01;1;posted", "2026-01-02;2;waits;pending"))
    found = (await ann.get("/v1/transactions", status="PENDING")).json()["items"]
    assert [row["description"] for row in found] == ["waits"]
    problem(await ann.get("/v1/transactions", status="pending"), 422, "request_invalid")


async def test_everything_that_a_provider_said_is_shown(ann: Person, url: str, data: Store) -> None:
    """A transaction of which all is known passes the type that the document is made from."""
    me = ExternalSubject("ann")
    (account,) = await overviews(data, me)
    await add(data, me, account.account, full_row())
    (row,) = (await ann.get("/v1/transactions", status="PENDING")).json()["items"]
    assert TypeAdapter(TransactionView).validate_python(row, strict=True) == row
    assert [name for name, value in row.items() if value is None] == [
        *("import_id", "missing_since", "removed_at", "superseded_by", "annotation")
    ]
    assert row["counterparty"].keys() == {"name", "mask", "bic"}


async def test_a_report_says_whether_a_statement_adds_up(ann: Person, data: Store) -> None:
    """What an import changed, and the verdict with what is missing, for each account."""
    report = (await ann.upload(lines("DE00 1234", "2026-01-01;-4.5;coffee"))).json()
    (told,) = report["accounts"]
    assert told | {"account_id": ""} == {
        "account_id": "",
        "read": 1,
        "added": 1,
        "changed": 0,
        "removed": 0,
        "skipped": 0,
        "arithmetic": "unknown",
        "difference": None,
    }
    me = ExternalSubject("ann")
    (account,) = await overviews(data, me)
    off = AccountImport(account.account.account_id, 3, 1, 1, 1, Arithmetic.MISMATCH, eur("-0.5"))
    async with data.unit_of_work(me) as unit:
        document = await unit.documents.get(DocumentId(UUID(report["import_id"])))
        assert document is not None
        await unit.documents.change(attrs.evolve(document, accounts=(off,)))
    (told,) = (await ann.get(f"/v1/imports/{report['import_id']}")).json()["accounts"]
    assert [told[name] for name in ("changed", "removed", "skipped", "arithmetic", "difference")] == [
        *(1, 1, 1, "mismatch", {"amount": "-0.50", "currency": "EUR"})
    ]


async def test_the_balances_of_an_account(ann: Person, bob: Person) -> None:
    """Every one that was reported, the earliest first, within the days that are asked for."""
    for day in ("03", "01", "02"):
        await ann.upload(lines("A", "2026-01-01;1;x").replace(b"2026-01-31;10", f"2026-02-{day};{day}".encode()))
    (account,) = (await ann.get("/v1/accounts")).json()["items"]
    url = f"/v1/accounts/{account['account_id']}/balances"
    whole = await ann.get(url)
    TypeAdapter(BalanceList).validate_json(whole.content, strict=True)
    assert [each["amount"] for each in whole.json()["items"]] == ["1.00", "2.00", "3.00"]
    some = await ann.get(url, **{"from": "2026-02-02", "to": "2026-02-02"})
    assert [each["as_of"] for each in some.json()["items"]] == ["2026-02-02"]
    problem(await ann.get(url, **{"from": "1999-01-01"}), 422, "date_range_invalid")
    problem(await bob.get(url), 404, "account_not_found")


async def test_the_holdings_of_an_account(ann: Person, bob: Person, url: str, data: Store) -> None:
    """What it holds as of the latest day, with security, price and value."""
    me = ExternalSubject("ann")
    (account,) = await overviews(data, me)
    fund = SecurityData(
        ids=(SecurityId(SecurityScheme.ISIN, "IE00B4L5Y983"),), name="World", type=SecurityType.MUTUALFUND
    )
    day = account.account.created_at.date()
    holding = Holding(
        account_id=account.account.account_id,
        security=fund,
        as_of=day,
        units=eur("1.5").amount,
        unit_price=eur("80"),
    )
    async with data.unit_of_work(me) as unit:
        await unit.accounts.add_holdings([attrs.evolve(holding, market_value=eur("120"), price_as_of=day)])
    url = f"/v1/accounts/{holding.account_id}/holdings"
    found = await ann.get(url)
    TypeAdapter(HoldingList).validate_json(found.content, strict=True)
    ids = [{"scheme": "ISIN", "value": "IE00B4L5Y983"}]
    assert found.json()["items"] == [
        {
            "security": {"name": "World", "type": "MUTUALFUND", "currency": None, "ids": ids},
            "as_of": day.isoformat(),
            "units": "1.5",
            "unit_price": {"amount": "80.00", "currency": "EUR"},
            "price_as_of": day.isoformat(),
            "market_value": {"amount": "120.00", "currency": "EUR"},
            "cost_basis": None,
        }
    ]
    problem(await bob.get(url), 404, "account_not_found")
    problem(await ann.get(f"/v1/accounts/{new_id()}/holdings"), 404, "account_not_found")
