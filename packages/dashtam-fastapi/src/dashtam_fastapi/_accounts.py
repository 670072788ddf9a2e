"""`/accounts`: the caller's accounts, what each had, and what it holds."""

from typing import TypedDict

from fastapi import APIRouter
from pydantic import Field

from dashtam_core import accounts as core
from dashtam_fastapi._answers import ProblemRoute
from dashtam_fastapi._exposed import expose
from dashtam_fastapi._parameters import Day, NoQuery

accounts = APIRouter(tags=["accounts"], route_class=ProblemRoute)


class AccountPage(TypedDict):
    items: list[core.AccountView]
    next_cursor: str | None


class BalanceList(TypedDict):
    items: list[core.BalanceView]


class HoldingList(TypedDict):
    items: list[core.HoldingView]


class BalanceQuery(NoQuery):
    """Which days of a history."""

    from_date: Day | None = Field(default=None, alias="from", description="Without it, a year before the last day")
    to_date: Day | None = Field(default=None, alias="to", description="Without it, the day of the latest balance")


expose(
    accounts, "GET /accounts", core.ListAccounts, "List your accounts", view=core.account_view, model=AccountPage
)
expose(
    accounts,
    "GET /accounts/{account_id}",
    core.GetAccount,
    "Get an account",
    view=core.account_view,
    model=core.AccountView,
)
expose(
    accounts,
    "GET /accounts/{account_id}/balances",
    core.ListBalances,
    "List the balances an account had",
    query=BalanceQuery,
    view=core.balance_view,
    model=BalanceList,
)
expose(
    accounts,
    "GET /accounts/{account_id}/holdings",
    core.ListHoldings,
    "List what an account holds",
    view=core.holding_view,
    model=HoldingList,
)
