"""Asking Toybank: one page of its feed at a time, and every way in which that can fail."""

import json
import re
from decimal import Decimal
from typing import Any, Final

import attrs
import httpx

from dashtam_core.accounts import SyncBatch
from dashtam_core.connections import ProviderCode, ProviderFailed, SyncRequest
from dashtam_core.kernel import Failure, Result, Success
from dashtam_toybank._reading import batch_of

ADDRESS: Final = "https://api.toybank.example"
_SECONDS: Final = 20.0
_TOKEN: Final = re.compile(r"[!-~]+")  # what a header can carry
_WORDS: Final = {
    ProviderCode.CREDENTIAL_REFUSED: "Toybank does not take this token: make a new one in its settings",
    ProviderCode.PROVIDER_CURSOR_INVALID: "Toybank does not go on from this cursor: sync again without one",
    ProviderCode.PROVIDER_LIMITED: "Toybank was asked too often: try again later",
    ProviderCode.PROVIDER_UNAVAILABLE: "Toybank does not answer: try again later",
    ProviderCode.PROVIDER_UNREADABLE: "Toybank answered otherwise than documented: update dashtam-toybank",
}
_CODES: Final = {
    401: ProviderCode.CREDENTIAL_REFUSED,
    410: ProviderCode.PROVIDER_CURSOR_INVALID,
    429: ProviderCode.PROVIDER_LIMITED,
}


@attrs.frozen
class Toybank:
    """The provider. It keeps nothing of a person, so that one serves everybody."""

    address: str = ADDRESS
    name: str = attrs.field(default="toybank", init=False)
    stable_ids: bool = attrs.field(default=True, init=False)

    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        if not _TOKEN.fullmatch(request.credential):
            return _failed(ProviderCode.CREDENTIAL_REFUSED)
        bearer = {"authorization": f"Bearer {request.credential}"}
        after = {} if request.cursor is None else {"after": request.cursor}
        try:
            async with httpx.AsyncClient(base_url=self.address, headers=bearer, timeout=_SECONDS) as client:
                feed = await client.get("/v1/feed", params=after)
                accounts = await client.get("/v1/accounts")  # after the feed: whose rows are in it is there by now
        except httpx.HTTPError:
            return _failed(ProviderCode.PROVIDER_UNAVAILABLE)
        for answer in (feed, accounts):
            if not answer.is_success:
                return _refused(answer)
        try:
            return Success(batch_of(_json(accounts)["accounts"], _json(feed)))
        except (LookupError, RecursionError, TypeError, ValueError):
            return _failed(ProviderCode.PROVIDER_UNREADABLE)


def _json(answer: httpx.Response) -> Any:
    """No number becomes a float on its way."""
    return json.loads(answer.content, parse_float=Decimal, parse_constant=Decimal)


def _refused(answer: httpx.Response) -> Failure[ProviderFailed]:
    down = ProviderCode.PROVIDER_UNAVAILABLE if answer.is_server_error else ProviderCode.PROVIDER_UNREADABLE
    wait: str = answer.headers.get("retry-after", "")
    seconds = float(wait) if wait.isascii() and wait.isdigit() else None
    return _failed(_CODES.get(answer.status_code, down), seconds)


def _failed(code: ProviderCode, retry_after: float | None = None) -> Failure[ProviderFailed]:
    return Failure(ProviderFailed(code, _WORDS[code], retry_after))
