"""`/transactions`: the caller's transactions, and what they say of them."""

from typing import Annotated, Any, Literal, TypedDict

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field

from dashtam_core import Failure
from dashtam_core import accounts as core
from dashtam_core.kernel import Money
from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._bodies import Body, documented_body, read_body
from dashtam_fastapi._callers import MeWriting
from dashtam_fastapi._exposed import expose
from dashtam_fastapi._parameters import Day, Id, NoQuery, PageQuery
from dashtam_fastapi._problems import ProblemError, documented

transactions = APIRouter(tags=["transactions"], route_class=ProblemRoute)


class TransactionPage(TypedDict):
    items: list[core.TransactionView]
    next_cursor: str | None


def _status(text: str) -> core.TransactionStatus:
    return core.TransactionStatus(text)


class TransactionQuery(PageQuery):
    """Which transactions, and which page of them."""

    account_id: Id | None = Field(default=None, description="Of this account only")
    from_date: Day | None = Field(default=None, alias="from", description="Posted on this day or later")
    to_date: Day | None = Field(default=None, alias="to", description="Posted on this day or earlier")
    status: Annotated[Literal["PENDING", "POSTED", "VOID"], AfterValidator(_status)] | None = Field(
        default=None, description="In this state only"
    )


expose(
    transactions,
    "GET /transactions",
    core.ListTransactions,
    "List your transactions",
    problems=[404],
    query=TransactionQuery,
    view=core.transaction_view,
    model=TransactionPage,
)
expose(
    transactions,
    "GET /transactions/{transaction_id}",
    core.GetTransaction,
    "Get a transaction",
    view=core.transaction_view,
    model=core.TransactionView,
)
expose(
    transactions,
    "DELETE /transactions/{transaction_id}/annotation",
    core.ClearAnnotation,
    "Take back what you said of a transaction",
)


class SplitBody(Body):
    amount: str = Field(description="Plain digits with a point, such as -12.50")
    currency: str
    category: str | None = None
    note: str | None = None


class AnnotationBody(Body):
    category: str | None = None
    payee: str | None = None
    note: str | None = None
    tags: list[str] = Field(default_factory=list[str], description="50 at most")
    splits: list[SplitBody] = Field(
        default_factory=list[SplitBody], description="Add up to the amount; 100 at most"
    )


@transactions.put(
    "/transactions/{transaction_id}/annotation",
    operation_id="annotate_transaction",
    summary="Say what a transaction is to you",
    response_model=core.AnnotationView,
    responses=documented(404, 409, 413, 415),
    openapi_extra=documented_body(AnnotationBody),
)
async def annotate_transaction(
    transaction_id: Id, request: Request, me: MeWriting, _: Annotated[NoQuery, Query()]
) -> Response:
    """Replaces all you said of it before. No import ever changes it."""
    said = await read_body(request, AnnotationBody)
    texts: dict[str, Any] = said.model_dump(exclude={"tags", "splits"})
    tags, splits = tuple(said.tags), tuple(map(_split, said.splits))
    command = core.AnnotateTransaction(
        transaction_id=core.TransactionId(transaction_id), tags=tags, splits=splits, **texts
    )
    return answer(core.annotation_view(await me.execute(command)))


def _split(body: SplitBody) -> core.Split:
    amount = Money.parse(body.amount, body.currency)
    if isinstance(amount, Failure):
        raise ProblemError.of(amount.failure())
    return core.Split(amount=amount.unwrap(), category=body.category, note=body.note)
