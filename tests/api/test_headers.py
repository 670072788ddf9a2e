"""What every answer tells browsers, whatever was asked, and that a page which says more keeps its own."""

import httpx
import pytest

from api.people import Person
from dashtam_core.memory import MemoryStore
from dashtam_core.store import Store

ASKED = [
    ("GET", "/v1/accounts", 200),
    ("GET", "/v1/accounts?misspelt=1", 422),
    ("GET", "/v1/nothing", 404),
    ("DELETE", "/v1/accounts", 405),
    ("POST", "/v1/imports", 415),
    ("GET", "/health/ready", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/docs", 200),
    ("GET", "/docs/start.js", 200),
]


@pytest.fixture
def data() -> Store:
    """Headers are the same on every store."""
    return MemoryStore()


@pytest.fixture
async def answers(ann: Person, nobody: httpx.AsyncClient) -> list[httpx.Response]:
    """One answer of each sort: what was asked for, a refusal of each kind, and a bug of ours."""
    made = [await ann.http.request(method, path) for method, path, _ in ASKED]
    assert [each.status_code for each in made] == [status for *_, status in ASKED]
    refused, failed = await nobody.get("/v1/accounts"), await ann.upload(b"EXPLODE")
    assert (refused.status_code, failed.status_code) == (401, 500)
    return [*made, refused, failed]


def test_every_answer_has_a_policy(answers: list[httpx.Response]) -> None:
    """Nothing runs, loads or frames it, the interactive page by its own words; no other origin is let in."""
    for answer in answers:
        own = answer.request.url.path == "/docs"
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
        assert ("script-src" in policy) is own
        assert answer.headers.get_list("content-security-policy") == [policy]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_asks_for_tls(answers: list[httpx.Response]) -> None:
    """For a year, with all that is below the name."""
    said = {answer.headers["strict-transport-security"] for answer in answers}
    assert said == {"max-age=31536000; includeSubDomains"}


def test_no_answer_lets_its_address_be_told(answers: list[httpx.Response]) -> None:
    """Who follows a link from here does not say from where."""
    assert {answer.headers["referrer-policy"] for answer in answers} == {"no-referrer"}
