"""`/transactions`: the caller's transactions."""

from typing import Annotated, TypedDict

from fastapi import APIRouter, Query, Response

from dashtam_core.accounts import (
    AccountId,
    GetTransaction,
    ListTransactions,
    TransactionId,
    TransactionStatus,
    TransactionView,
    transaction_view,
)
from dashtam_fastapi._answers import ProblemRoute, answer, page_answer
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import Id, NoQuery, TransactionQuery
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
        status=None if query.status is None else TransactionStatus(query.status),
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_answer(await me.ask(asked), transaction_view)


@transactions.get(
    "/transactions/{transaction_id}",
    operation_id="get_transaction",
    summary="Get a transaction",
    response_model=TransactionView,
    responses=documented(404),
)
async def get_transaction(transaction_id: Id, me: Me, _: Annotated[NoQuery, Query()]) -> Response:
    """One transaction with your annotation, also one that counts no more."""
    return answer(transaction_view(await me.ask(GetTransaction(TransactionId(transaction_id)))))
