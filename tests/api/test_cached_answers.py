"""Answers that come from the cache as they were written."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from itertools import count
from typing import ClassVar, cast

import attrs
import pytest
from fastapi import APIRouter

from api.mailbox import KEY
from api.people import token_of
from api.test_contributed import client_of
from dashtam_core import Dashtam, Result, Settings, Success, hookimpl
from dashtam_core.accounts import ImportStatement, ListAccounts, ListTransactions
from dashtam_core.identity import ACCOUNTS_READ, ExternalSubject
from dashtam_core.kernel import Permission
from dashtam_core.memory import MemoryCache, MemoryStore
from dashtam_core.messaging import Query, Refused, Route
from dashtam_core.plugins import RouterMaker
from dashtam_core.testing.samples import LinesPlugin, lines
from dashtam_fastapi import ServiceSettings, _answers, _exposed, create_app

type Asking = Callable[..., Awaitable[bytes]]


@attrs.frozen
class GetTurn(Query[int, Refused]):
    """How often anybody has asked."""

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "turn"
    cached: ClassVar[bool] = True


class GetTurnHandler:
    turns: ClassVar = count()

    async def apply(self, _: GetTurn, /) -> Result[int, Refused]:
        return Success(next(self.turns))


class Turns(LinesPlugin):
    """Two ways to see the turn."""

    @hookimpl
    def dashtam_routes(self) -> tuple[Route, ...]:
        return (GetTurn.handled_by(GetTurnHandler),)

    @hookimpl
    def dashtam_routers(self) -> Mapping[str, RouterMaker]:
        return {"turns": make_turns}


def make_turns() -> APIRouter:
    turns = APIRouter()
    _exposed.expose(turns, "GET /plain", GetTurn, "The turn", operation="plain")
    _exposed.expose(turns, "GET /signed", GetTurn, "The turn", operation="signed", view=lambda turn: [turn])
    return turns


@pytest.fixture(params=["memory:"])
async def dashtam(request: pytest.FixtureRequest) -> AsyncGenerator[Dashtam]:
    settings = Settings(key=KEY, cache_url=request.param)
    async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=[Turns()]) as opened:
        yield opened


@pytest.fixture
async def get(dashtam: Dashtam) -> Asking:
    tokens = {name: await token_of(dashtam, name) for name in ("ann", "bob")}

    async def ask(path: str = "plain", name: str = "ann") -> bytes:
        async with client_of(create_app(ServiceSettings(), dashtam=dashtam)) as client:
            bearer = {"authorization": f"Bearer {tokens[name]}"}
            answer = await client.get(f"/v1/turns/{path}", headers=bearer)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["cache-control"] == "no-store"
        return answer.content

    return ask


async def test_what_was_answered_is_answered_again(
    get: Asking, dashtam: Dashtam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte, to its person alone, in this form and version alone, until something of theirs changes."""
    first, signed = await get(), await get("signed")
    assert (await get(), await get("signed")) == (first, signed)
    assert signed == b"[%d]" % (int(first) + 1)
    assert await get(name="bob") != first
    (await dashtam.acting_as(ExternalSubject("ann")).execute(ImportStatement(lines("account;A")))).unwrap()
    assert (second := await get()) != first
    monkeypatch.setattr(_answers, "_VERSIONS", "another")
    assert await get() != second


@pytest.mark.parametrize(("dashtam", "marked"), [(None, True), ("memory:", False)], indirect=["dashtam"])
async def test_what_is_not_to_be_kept_is_asked_anew(
    get: Asking, marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a cache every answer comes from the store, and always that of a query that is not marked."""
    monkeypatch.setattr(GetTurn, "cached", marked)
    assert await get() != await get()


async def test_what_people_look_at_again_is_kept(dashtam: Dashtam) -> None:
    """Lists and one account are; one transaction is cheap, and is not."""
    me = dashtam.acting_as(ExternalSubject("ann"))
    (
        await me.execute(ImportStatement(lines("account;A", "row;2026-01-02;-5;x", "balance;2026-01-31;10")))
    ).unwrap()
    account = (await me.ask(ListAccounts())).unwrap().items[0].account.account_id
    row = (await me.ask(ListTransactions())).unwrap().items[0].transaction_id
    bearer = {"authorization": f"Bearer {await token_of(dashtam, 'ann')}"}
    cache, one = cast("MemoryCache", dashtam.shared.cache), f"accounts/{account}"
    kept = dict[str, int]()
    async with client_of(create_app(ServiceSettings(), dashtam=dashtam)) as client:
        for path in (
            "accounts",
            one,
            f"{one}/balances",
            f"{one}/holdings",
            "transactions",
            "transfers",
            "duplicates",
        ):
            before = len(cache._kept)
            assert (await client.get(f"/v1/{path}", headers=bearer)).status_code == 200
            kept[path] = len(cache._kept) - before
        before = len(cache._kept)
        assert (await client.get(f"/v1/transactions/{row}", headers=bearer)).status_code == 200
    assert set(kept.values()) == {1}
    assert len(cache._kept) == before
