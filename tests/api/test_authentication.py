"""Bearer tokens (RFC 6750): who comes in, and what the others are told."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from api.people import Person, lines, problem

ENDPOINTS = [
    ("POST", "/v1/imports"),
    ("GET", "/v1/imports/0198a000-0000-7000-8000-000000000000"),
    ("GET", "/v1/accounts"),
    ("GET", "/v1/accounts/0198a000-0000-7000-8000-000000000000"),
    ("GET", "/v1/transactions"),
]


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_every_resource_wants_a_token(nobody: httpx.AsyncClient, method: str, path: str) -> None:
    """Without credentials the answer is 401 with a bare challenge, whatever else is wrong with the request."""
    answer = await nobody.request(method, path, params={"nonsense": "1"})
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("header", "code", "challenge"),
    [
        ("Basic YW5uOmFubg==", "unauthenticated", "Bearer"),
        ("Bearer", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer ", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer a b", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer dashtam_é", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer dashtam_unknown", "token_unknown", 'Bearer error="invalid_token"'),
    ],
)
async def test_credentials_that_are_not_a_known_token_are_refused(
    nobody: httpx.AsyncClient, header: str, code: str, challenge: str
) -> None:
    """Malformed and unknown tokens are invalid_token, another scheme is no credentials at all."""
    answer = await nobody.get("/v1/accounts", headers=[(b"authorization", header.encode("latin-1"))])
    problem(answer, 401, code)
    assert answer.headers["www-authenticate"] == challenge


async def test_a_token_counts_in_the_header_only(nobody: httpx.AsyncClient, ann: Person) -> None:
    """A known token in the query or a cookie opens nothing, and is not echoed."""
    answer = await nobody.get(
        "/v1/accounts", params={"access_token": ann.token}, headers={"cookie": f"token={ann.token}"}
    )
    problem(answer, 401, "unauthenticated")
    assert ann.token not in answer.text


async def test_two_authorization_headers_are_refused(nobody: httpx.AsyncClient, ann: Person) -> None:
    """With two tokens nobody can say who asks."""
    headers = [("authorization", f"Bearer {ann.token}"), ("authorization", "Bearer other")]
    problem(await nobody.get("/v1/accounts", headers=headers), 401, "token_malformed")


async def test_a_known_token_comes_in_whatever_the_case_of_the_scheme(
    nobody: httpx.AsyncClient, ann: Person
) -> None:
    """The scheme's name is compared without case (RFC 9110, section 11.1)."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await nobody.get("/v1/accounts", headers={"authorization": f"{scheme} {ann.token}"})
        assert answer.status_code == 200


async def test_an_upload_is_not_read_before_its_sender_is_known(nobody: httpx.AsyncClient) -> None:
    """Without a token not a byte of the body is asked for."""

    async def body() -> AsyncGenerator[bytes]:
        asked.append("for the body")
        yield b""

    asked: list[str] = []
    headers = {"content-type": "multipart/form-data; boundary=b"}
    problem(await nobody.post("/v1/imports", content=body(), headers=headers), 401, "unauthenticated")
    assert asked == []


async def test_nobody_sees_what_is_anothers(ann: Person, bob: Person) -> None:
    """Every endpoint, asked by one person with the other's ids and cursors, shows nothing of the other's."""
    report = (await ann.upload(lines("A", "2026-01-01;1;anns", "2026-01-02;2;anns"))).json()
    (account,) = (await ann.get("/v1/accounts")).json()["items"]
    cursor = (await ann.get("/v1/transactions", limit=1)).json()["next_cursor"]
    problem(await bob.get(f"/v1/imports/{report['import_id']}"), 404, "import_not_found")
    problem(await bob.get(f"/v1/accounts/{account['account_id']}"), 404, "account_not_found")
    problem(await bob.get("/v1/transactions", account_id=account["account_id"]), 404, "account_not_found")
    problem(await bob.get("/v1/transactions", cursor=cursor), 422, "cursor_invalid")
    assert (await bob.get("/v1/accounts")).json() == {"items": [], "next_cursor": None}
    assert (await bob.get("/v1/transactions")).json() == {"items": [], "next_cursor": None}


async def test_two_people_import_the_same_file_each_for_themselves(ann: Person, bob: Person) -> None:
    """The same bytes are new to each person, and become accounts of their own."""
    file = lines("JOINT", "2026-01-01;1;ours")
    first, second = (await ann.upload(file)).json(), (await bob.upload(file)).json()
    assert second["already_imported"] is False
    assert first["import_id"] != second["import_id"]
    assert first["accounts"][0]["account_id"] != second["accounts"][0]["account_id"]
