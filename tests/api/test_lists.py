"""`GET /v1/accounts`, `GET /v1/accounts/{account_id}` and `GET /v1/transactions`."""

from typing import Any

import pytest

from api.people import Person, lines, problem

ROWS = [f"2026-0{month}-{day:02};-{day}.5;row {month}-{day}" for month in (1, 2) for day in range(1, 13)]


async def _everything(person: Person, path: str, **query: object) -> list[dict[str, Any]]:
    """Every item of a list, page after page as a client walks it."""
    items: list[dict[str, Any]] = []
    page = (await person.get(path, **query)).json()
    while page["next_cursor"]:
        items += page["items"]
        page = (await person.get(path, **query, cursor=page["next_cursor"])).json()
    return [*items, *page["items"]]


async def test_paging_gives_every_transaction_once_and_the_latest_first(ann: Person) -> None:
    """Whatever the size of its pages, a walk through the list gives the same rows in the same order."""
    await ann.upload(lines("A", *ROWS))
    whole = (await ann.get("/v1/transactions", limit=500)).json()
    assert whole["next_cursor"] is None
    assert [row["description"] for row in whole["items"]] == [
        f"row {month}-{day}" for month in (2, 1) for day in range(12, 0, -1)
    ]
    for limit in (1, 5, 23, 24):
        assert await _everything(ann, "/v1/transactions", limit=limit) == whole["items"]


async def test_amounts_are_texts_with_their_currency(ann: Person) -> None:
    """An amount is exact: digits in a JSON string, padded as the currency has it."""
    await ann.upload(lines("A", "2026-01-01;-0.1;x", "2026-01-02;99999999999999999999.99;y"))
    rows = (await ann.get("/v1/transactions")).json()["items"]
    assert [(row["amount"], row["currency"]) for row in rows] == [
        ("99999999999999999999.99", "EUR"),
        ("-0.10", "EUR"),
    ]


async def test_filters_narrow_the_list(ann: Person) -> None:
    """Account and days, both included, choose what is listed."""
    await ann.upload(lines("A", *ROWS))
    await ann.upload(lines("B", "2026-01-05;1;of b"))
    ids = [account["account_id"] for account in (await ann.get("/v1/accounts")).json()["items"]]
    assert len(await _everything(ann, "/v1/transactions", account_id=ids[0])) == 24
    assert [row["description"] for row in await _everything(ann, "/v1/transactions", account_id=ids[1])] == [
        "of b"
    ]
    some = await _everything(ann, "/v1/transactions", **{"from": "2026-01-05", "to": "2026-01-06"}, limit=1)
    assert [row["posted_date"] for row in some] == ["2026-01-06", "2026-01-05", "2026-01-05"]
    assert sorted(row["description"] for row in some) == ["of b", "row 1-5", "row 1-6"]


async def test_accounts_are_listed_by_pages_with_their_balances(ann: Person) -> None:
    """Accounts come in the order they were added, and each is what its own address gives."""
    for name in ("1A", "1B", "1C"):
        await ann.upload(lines(name, "2026-01-01;1;x"))
    accounts = await _everything(ann, "/v1/accounts", limit=2)
    assert [account["mask"] for account in accounts] == ["A", "B", "C"]
    told = {"kind": "LEDGER", "as_of": "2026-01-31", "amount": "10.00", "currency": "EUR"}
    assert accounts[0]["balances"] == [told | {"reported_at": None, "origin": "reported"}]
    for account in accounts:
        assert (await ann.get(f"/v1/accounts/{account['account_id']}")).json() == account


async def test_a_cursor_that_was_changed_is_refused(ann: Person) -> None:
    """Each of a cursor's characters counts, and so do the filters it was given for."""
    await ann.upload(lines("A", *ROWS))
    cursor = (await ann.get("/v1/transactions", limit=1)).json()["next_cursor"]
    for place in range(0, len(cursor) - 1, 7):
        other = "A" if cursor[place] != "A" else "B"
        forged = cursor[:place] + other + cursor[place + 1 :]
        problem(await ann.get("/v1/transactions", cursor=forged), 422, "cursor_invalid")
    problem(await ann.get("/v1/transactions", cursor=cursor, to="2026-01-31"), 422, "cursor_invalid")
    problem(await ann.get("/v1/accounts", cursor=cursor), 422, "cursor_invalid")
    for nonsense in ("", "x", "é", "%00", "A" * 500):
        problem(await ann.get("/v1/transactions", cursor=nonsense), 422, "cursor_invalid")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("acount_id=0198a000-0000-7000-8000-000000000000", ["acount_id"]),
        ("from_=2026-01-01", ["from_"]),
        ("limit=0", ["limit"]),
        ("limit=501", ["limit"]),
        ("limit=1_0", ["limit"]),
        ("limit=5.0", ["limit"]),
        ("limit=", ["limit"]),
        ("account_id=0198a00000007000800000000000000a", ["account_id"]),
        ("account_id=1", ["account_id"]),
        ("from=01.02.2026", ["from"]),
        ("from=1700000000", ["from"]),
        ("to=2026-02-30", ["to"]),
        ("to=2026-02-03T00:00:00", ["to"]),
        ("limit=1&limit=2", ["limit"]),
        ("limit=x&nope=1&to=y", ["limit", "nope", "to"]),
    ],
)
async def test_a_wrong_parameter_is_named_and_never_shown(ann: Person, query: str, names: list[str]) -> None:
    """A misspelt, repeated or ill-written parameter is refused by name; what was sent is not echoed."""
    body = problem(await ann.http.get(f"/v1/transactions?{query}"), 422, "request_invalid")
    assert sorted(error["parameter"] for error in body["errors"]) == names
    assert all(set(error) == {"parameter", "detail"} for error in body["errors"])
    for value in (part.partition("=")[2] for part in query.split("&")):
        assert len(value) < 4 or value not in str(body)


async def test_a_range_that_ends_before_it_starts_is_refused(ann: Person) -> None:
    """Days the wrong way round are an error, not an empty list."""
    answer = await ann.get("/v1/transactions", **{"from": "2026-02-01", "to": "2026-01-01"})
    problem(answer, 422, "date_range_invalid")


@pytest.mark.parametrize("path", ["/v1/accounts/1", "/v1/imports/{0198a000-0000-7000-8000-000000000000}"])
async def test_an_id_is_a_uuid(ann: Person, path: str) -> None:
    """An id in another form is refused, and named."""
    body = problem(await ann.get(path), 422, "request_invalid")
    assert body["errors"][0]["parameter"] in {"account_id", "import_id"}


async def test_many_wrong_parameters_are_not_all_told(ann: Person) -> None:
    """However many parameters are wrong, the answer stays small."""
    query = "&".join(f"x{number}=1" for number in range(3000))
    assert len(problem(await ann.http.get(f"/v1/accounts?{query}"), 422, "request_invalid")["errors"]) == 20
