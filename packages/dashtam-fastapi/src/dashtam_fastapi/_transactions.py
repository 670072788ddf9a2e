"""`/transactions`: the caller's transactions."""

from typing import Annotated, TypedDict

from fastapi import APIRouter, Query, Response

from dashtam_core.accounts import AccountId, ListTransactions, TransactionView, transaction_view
from dashtam_fastapi._answers import ProblemRoute, page_answer
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import TransactionQuery
from dashtam_fastapi._problems import documented

transactions = APIRouter(tags=["transactions"], route_class=ProblemRoute)


class TransactionPage(TypedDict):
    items: list[TransactionView]
    next_cursor: str | None


@transactions.get(
    "/transactions",
    operation_id="list_transactions",
    summary="List your transactions",
    response_model=TransactionPage,
    responses=documented(404),
)
async def list_transactions(me: Me, query: Annotated[TransactionQuery, Query()]) -> Response:
    """Your transactions, the latest first. An amount below zero is money leaving the account."""
    asked = ListTransactions(
        account_id=None if query.account_id is None else AccountId(query.account_id),
        from_date=query.from_,
        to_date=query.to,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_answer(await me.ask(asked), transaction_view)
