"""What the tests of the API share: people with a token, and a reader that fails when told to."""

from typing import Any

import attrs
import httpx

from dashtam_core import Dashtam, Failure, Result
from dashtam_core.accounts import ImportCode, ImportFailed, Statement
from dashtam_core.audit import EntryFilter, ListAuditEntries, ReadableEntry
from dashtam_core.identity import OPERATOR, CreateApiToken, ExternalSubject
from dashtam_core.testing import samples

SECRET = "hunter2-in-a-message"
CODES = {each.value: each for each in ImportCode}


class Lines(samples.LinesReader):
    """Counts what it reads; `FAIL;<code>` fails, `EXPLODE` raises."""

    def __init__(self) -> None:
        self.reads = 0

    def recognizes(self, data: bytes, /) -> bool:
        return data.startswith((b"FAIL;", b"EXPLODE")) or super().recognizes(data)

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        self.reads += 1
        if data.startswith(b"EXPLODE"):
            raise RuntimeError(SECRET)
        if data.startswith(b"FAIL;"):
            code = data.decode().removeprefix("FAIL;")
            return Failure(ImportFailed(CODES[code], f"failed as asked: {code}"))
        return super().read(data)


@attrs.frozen
class Person:
    """Somebody with a token, and a client that sends it."""

    token: str
    http: httpx.AsyncClient

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.http.get(path, params={name: str(value) for name, value in query.items()})

    async def upload(
        self, data: bytes, filename: str = "june.lines", *, key: str | None = None, profile: str | None = None
    ) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        form = None if profile is None else {"profile": profile}
        return await self.http.post("/v1/imports", files={"file": (filename, data)}, data=form, headers=headers)


async def token_of(dashtam: Dashtam, name: str) -> str:
    made = await dashtam.acting_as(ExternalSubject(name)).execute(CreateApiToken("test"))
    return made.unwrap().token


async def trail(dashtam: Dashtam, name: str) -> list[ReadableEntry]:
    """What the audit trail holds of one person since their token was made, in order."""
    wanted = EntryFilter(user_id=ExternalSubject(name).user_id)
    operator = dashtam.acting_as(ExternalSubject("operator", OPERATOR))
    page = (await operator.ask(ListAuditEntries(wanted, limit=1000))).unwrap()
    return [each for each in reversed(page.items) if each.entry.action != "create_api_token"]


def lines(account: str, *rows: str) -> bytes:
    """A statement of one account with a balance and these rows of `date;amount;text`."""
    return samples.lines(f"account;{account}", *(f"row;{each}" for each in rows), "balance;2026-01-31;10")


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
