"""The OpenAPI document is true, and the page that shows it needs nobody else."""

import re
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from typing_extensions import TypeForm

from api.people import Person, lines
from dashtam_core.accounts import AccountView, ImportView
from dashtam_fastapi._accounts import AccountPage
from dashtam_fastapi._health import Health
from dashtam_fastapi._imports import ImportAnswer
from dashtam_fastapi._problems import ProblemDocument
from dashtam_fastapi._transactions import TransactionPage

OPERATIONS = {
    ("post", "/v1/imports"): ("import_statement", {200, 201, 400, 401, 403, 409, 413, 415, 422, 429, 500, 503}),
    ("post", "/v1/imports/{import_id}/readings"): (
        "read_again",
        {200, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    ),
    ("get", "/v1/exports"): ("export_transactions", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/imports/{import_id}"): ("get_import", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/accounts"): ("list_accounts", {200, 401, 403, 422, 429, 500, 503}),
    ("get", "/v1/accounts/{account_id}"): ("get_account", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/transactions"): ("list_transactions", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/transactions/{transaction_id}"): ("get_transaction", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("put", "/v1/transactions/{transaction_id}/annotation"): (
        "annotate_transaction",
        {200, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    ),
    ("delete", "/v1/transactions/{transaction_id}/annotation"): (
        "clear_annotation",
        {204, 401, 403, 404, 409, 422, 429, 500, 503},
    ),
    ("get", "/v1/accounts/{account_id}/balances"): ("list_balances", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/accounts/{account_id}/holdings"): ("list_holdings", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/transfers"): ("list_transfers", {200, 401, 403, 422, 429, 500, 503}),
    ("put", "/v1/transfers/{first_id}/{second_id}"): (
        "decide_transfer",
        {204, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    ),
    ("delete", "/v1/transfers/{first_id}/{second_id}"): (
        "forget_transfer",
        {204, 401, 403, 404, 409, 422, 429, 500, 503},
    ),
    ("get", "/v1/duplicates"): ("list_duplicates", {200, 401, 403, 422, 429, 500, 503}),
    ("put", "/v1/duplicates/{first_id}/{second_id}"): (
        "decide_duplicate",
        {204, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    ),
    ("delete", "/v1/duplicates/{first_id}/{second_id}"): (
        "forget_duplicate",
        {204, 401, 403, 404, 409, 422, 429, 500, 503},
    ),
    ("get", "/v1/users/me"): ("get_my_user", {200, 401, 403, 404, 422, 429, 500, 503}),
    ("delete", "/v1/users/me"): ("erase_user", {204, 401, 403, 422, 429, 500, 503}),
    ("get", "/v1/users/me/export"): ("export_user", {200, 401, 403, 422, 429, 500, 503}),
    ("put", "/v1/users/me/email"): ("change_email", {202, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503}),
    ("put", "/v1/users/me/password"): ("change_password", {204, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("post", "/v1/users/me/deactivation"): ("deactivate_user", {204, 401, 403, 404, 422, 429, 500, 503}),
    ("get", "/v1/sessions"): ("list_sessions", {200, 401, 403, 422, 429, 500, 503}),
    ("delete", "/v1/sessions"): ("end_all_sessions", {204, 401, 403, 409, 422, 429, 500, 503}),
    ("post", "/v1/sessions"): ("log_in", {201, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("delete", "/v1/sessions/{session_id}"): ("end_sessions", {204, 401, 403, 404, 409, 422, 429, 500, 503}),
    ("get", "/v1/factors"): ("list_factors", {200, 401, 403, 422, 429, 500, 503}),
    ("post", "/v1/factors"): ("enroll_factor", {201, 401, 403, 404, 409, 422, 429, 500, 503}),
    ("post", "/v1/factors/{factor_id}/confirmation"): (
        "confirm_factor",
        {200, 401, 403, 404, 413, 415, 422, 429, 500, 503},
    ),
    ("delete", "/v1/factors/{factor_id}"): ("remove_factor", {204, 401, 403, 404, 409, 422, 429, 500, 503}),
    ("get", "/v1/api-tokens"): ("list_api_tokens", {200, 401, 403, 422, 429, 500, 503}),
    ("post", "/v1/api-tokens"): ("create_api_token", {201, 401, 403, 409, 413, 415, 422, 429, 500, 503}),
    ("delete", "/v1/api-tokens/{token_id}"): ("revoke_api_token", {204, 401, 403, 404, 409, 422, 429, 500, 503}),
    ("get", "/v1/admin/users"): ("list_users", {200, 401, 403, 422, 429, 500, 503}),
    ("post", "/v1/admin/users"): ("create_user", {201, 401, 403, 409, 413, 415, 422, 429, 500, 503}),
    ("patch", "/v1/admin/users/{user_id}"): (
        "change_user",
        {200, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503},
    ),
    ("delete", "/v1/admin/users/{user_id}/tokens"): (
        "revoke_tokens",
        {204, 401, 403, 404, 409, 422, 429, 500, 503},
    ),
    ("delete", "/v1/admin/tokens"): ("revoke_all_tokens", {204, 401, 403, 409, 422, 429, 500, 503}),
    ("post", "/v1/users"): ("register_user", {202, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("post", "/v1/email-verifications"): ("verify_email", {204, 401, 403, 409, 413, 415, 422, 429, 500, 503}),
    ("put", "/v1/password-resets"): ("reset_password", {204, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("post", "/v1/password-resets"): ("request_password_reset", {202, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("post", "/v1/tokens"): ("refresh_session", {200, 401, 403, 413, 415, 422, 429, 500, 503}),
    ("get", "/v1/events"): ("listen", {200, 401, 403, 422, 429, 500, 503}),
    ("get", "/health/live"): ("live", {200}),
    ("get", "/health/ready"): ("ready", {200, 503}),
}

UNPROVEN = {
    *("register_user", "verify_email", "request_password_reset", "reset_password", "log_in", "refresh_session"),
}
"""What is asked before anybody has said who they are."""
NOT_KEPT = UNPROVEN | {
    *("change_password", "deactivate_user", "erase_user", "enroll_factor", "confirm_factor", "create_api_token"),
    *("create_user", "change_user"),
}
"""What is not answered from memory when it is repeated, for the answer or what it stands for is a secret."""


@pytest.fixture
async def document(nobody: httpx.AsyncClient) -> dict[str, Any]:
    body: dict[str, Any] = (await nobody.get("/openapi.json")).json()
    return body


def _operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): it for path, item in document["paths"].items() for method, it in item.items()}


def test_the_document_names_the_product(document: dict[str, Any]) -> None:
    """Title and version are the package's."""
    assert document["info"]["title"] == "Dashtam"
    assert document["info"]["version"] == version("dashtam-fastapi")


def test_every_operation_is_listed_with_its_answers(document: dict[str, Any]) -> None:
    """Paths, operation ids and statuses are those written down here by hand, each with a summary and a tag."""
    found = {
        key: (each["operationId"], {int(status) for status in each["responses"]})
        for key, each in _operations(document).items()
    }
    assert found == OPERATIONS
    assert all(each["summary"] and each["tags"] for each in _operations(document).values())


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    """Statuses of 400 and more have problem details and nothing else."""
    for operation in _operations(document).values():
        for status, answer in operation["responses"].items():
            assert (set(answer.get("content", ())) == {"application/problem+json"}) == (int(status) >= 400)


def test_the_token_is_asked_for_where_it_is_needed(document: dict[str, Any]) -> None:
    """The bearer scheme stands on every operation under /v1 but what comes before a token, and on no other."""
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for (_, path), operation in _operations(document).items():
        asked = path.startswith("/v1") and operation["operationId"] not in UNPROVEN
        assert operation.get("security", []) == ([{"bearer": []}] if asked else [])


def test_parameters_are_documented(document: dict[str, Any]) -> None:
    """The list of transactions has its six filters, and an upload its two parts."""
    operations = _operations(document)
    names = [each["name"] for each in operations["get", "/v1/transactions"]["parameters"]]
    assert sorted(names) == ["account_id", "cursor", "from", "limit", "status", "to"]
    body = operations["post", "/v1/imports"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (body["required"], list(body["properties"])) == (["file"], ["file", "profile"])


def test_what_changes_something_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    """The header stands on what changes something and is kept, with what is answered while its key is in use."""
    for (method, _), operation in _operations(document).items():
        kept = method != "get" and operation["operationId"] not in NOT_KEPT
        named = [each for each in operation.get("parameters", []) if each["in"] == "header"]
        own = ["Last-Event-ID"] if operation["operationId"] == "listen" else []
        assert [each["name"] for each in named] == (["Idempotency-Key"] if kept else own)
        assert not any(each["required"] for each in named)
        assert "409" in operation["responses"] or not kept


async def test_every_operation_refuses_a_parameter_it_does_not_have(ann: Person) -> None:
    """No operation under /v1 takes a query parameter that is not documented for it."""
    some = "0198a000-0000-7000-8000-000000000000"
    for method, path in OPERATIONS:
        if path.startswith("/v1"):
            url = re.sub(r"\{\w+\}", some, path)
            answer = await ann.http.request(method, url, params={"misspelt": "1"})
            assert answer.json()["errors"] == [
                {"parameter": "misspelt", "detail": "this endpoint has no such parameter"}
            ]


async def test_answers_are_what_their_types_say(ann: Person, nobody: httpx.AsyncClient) -> None:
    """Real answers pass the types that the document is made from, strictly and with no key beside."""
    made = await ann.upload(lines("A", "2026-01-01;1;x", "2026-01-02;2;y"))
    again = await ann.upload(lines("A", "2026-01-01;1;x", "2026-01-02;2;y"))
    account_id = made.json()["accounts"][0]["account_id"]
    answers: list[tuple[TypeForm[Any], httpx.Response]] = [
        (ImportAnswer, made),
        (ImportAnswer, again),
        (ImportView, await ann.get(made.headers["location"])),
        (AccountPage, await ann.get("/v1/accounts")),
        (AccountView, await ann.get(f"/v1/accounts/{account_id}")),
        (TransactionPage, await ann.get("/v1/transactions", limit=1)),
        (Health, await nobody.get("/health/ready")),
        (ProblemDocument, await nobody.get("/v1/accounts")),
        (ProblemDocument, await ann.get("/v1/accounts", misspelt=1)),
    ]
    for kind, answer in answers:
        read = TypeAdapter(kind).validate_json(answer.content, strict=True)
        assert read == answer.json()


async def test_the_page_loads_nothing_from_elsewhere(nobody: httpx.AsyncClient) -> None:
    """Every file of the interactive page is served here, and its policy forbids any other and inline scripts."""
    page = await nobody.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == "'none'"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    assert "<script>" not in page.text
    for link in links:
        assert "//" not in link
        asset = await nobody.get(f"/{link}")
        assert asset.status_code == 200
        assert asset.headers["x-content-type-options"] == "nosniff"
        assert link.endswith((".css", ".png")) or "javascript" in asset.headers["content-type"]
    assert "SwaggerUIBundle" in (await nobody.get("/docs/swagger-ui-bundle.js")).text
    assert (await nobody.get(re.findall(r'url: "([^"]+)"', (await nobody.get("/docs/start.js")).text)[0])).json()
