"""`/accounts`: the caller's accounts."""

from typing import Annotated, TypedDict

from fastapi import APIRouter, Query, Response

from dashtam_core.accounts import AccountId, AccountView, GetAccount, ListAccounts, account_view
from dashtam_fastapi._answers import ProblemRoute, answer, page_answer
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import Id, NoQuery, PageQuery
from dashtam_fastapi._problems import documented

accounts = APIRouter(tags=["accounts"], route_class=ProblemRoute)


class AccountPage(TypedDict):
    items: list[AccountView]
    next_cursor: str | None


@accounts.get("/accounts", operation_id="list_accounts", summary="List your accounts", response_model=AccountPage)
async def list_accounts(me: Me, query: Annotated[PageQuery, Query()]) -> Response:
    """Your accounts in the order they were added, each with the latest balance of each kind."""
    page = await me.ask(ListAccounts(limit=query.limit, cursor=query.cursor))
    return page_answer(page, account_view)


@accounts.get(
    "/accounts/{account_id}",
    operation_id="get_account",
    summary="Get an account",
    response_model=AccountView,
    responses=documented(404),
)
async def get_account(account_id: Id, me: Me, _: Annotated[NoQuery, Query()]) -> Response:
    """One account with the latest balance of each kind."""
    return answer(account_view(await me.ask(GetAccount(AccountId(account_id)))))
