"""`/accounts/{account_id}/balances` and `/holdings`: what an account had, and what it holds."""

from typing import Annotated, TypedDict

from fastapi import APIRouter, Query, Response
from pydantic import Field

from dashtam_core.accounts import (
    AccountId,
    BalanceView,
    HoldingView,
    ListBalances,
    ListHoldings,
    balance_view,
    holding_view,
)
from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import Day, Id, NoQuery
from dashtam_fastapi._problems import documented

positions = APIRouter(tags=["accounts"], route_class=ProblemRoute)


class BalanceList(TypedDict):
    items: list[BalanceView]


class HoldingList(TypedDict):
    items: list[HoldingView]


class BalanceQuery(NoQuery):
    """Which days of a history."""

    from_: Day | None = Field(default=None, alias="from", description="Without it, a year before the last day")
    to: Day | None = Field(default=None, description="Without it, the day of the latest balance")


@positions.get(
    "/accounts/{account_id}/balances",
    operation_id="list_balances",
    summary="List the balances an account had",
    response_model=BalanceList,
    responses=documented(404),
)
async def list_balances(account_id: Id, me: Me, query: Annotated[BalanceQuery, Query()]) -> Response:
    """The history of its balances, the earliest first, over 3,660 days at most."""
    asked = ListBalances(account_id=AccountId(account_id), from_date=query.from_, to_date=query.to)
    return answer({"items": [balance_view(each) for each in await me.ask(asked)]})


@positions.get(
    "/accounts/{account_id}/holdings",
    operation_id="list_holdings",
    summary="List what an account holds",
    response_model=HoldingList,
    responses=documented(404),
)
async def list_holdings(account_id: Id, me: Me, _: Annotated[NoQuery, Query()]) -> Response:
    """Its securities as of the latest day that its provider told of."""
    held = await me.ask(ListHoldings(AccountId(account_id)))
    return answer({"items": [holding_view(each) for each in held]})
