"""`/transactions/{transaction_id}/annotation`: what the caller says of a transaction."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from dashtam_core import Failure
from dashtam_core.accounts import AnnotateTransaction, AnnotationView, ClearAnnotation, Split, TransactionId
from dashtam_core.accounts import annotation_view as view
from dashtam_core.kernel import Money
from dashtam_fastapi._answers import ProblemRoute, answer, no_content
from dashtam_fastapi._bodies import Body, documented_body, read_body
from dashtam_fastapi._callers import MeWriting
from dashtam_fastapi._parameters import Id, NoQuery
from dashtam_fastapi._problems import ProblemError, documented

annotations = APIRouter(tags=["transactions"], route_class=ProblemRoute)
_PATH: Final = "/transactions/{transaction_id}/annotation"


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


@annotations.put(
    _PATH,
    operation_id="annotate_transaction",
    summary="Say what a transaction is to you",
    response_model=AnnotationView,
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
    command = AnnotateTransaction(transaction_id=TransactionId(transaction_id), tags=tags, splits=splits, **texts)
    return answer(view(await me.execute(command)))


@annotations.delete(
    _PATH,
    operation_id="clear_annotation",
    summary="Take back what you said of a transaction",
    status_code=204,
    responses=documented(404, 409),
)
async def clear_annotation(transaction_id: Id, me: MeWriting, _: Annotated[NoQuery, Query()]) -> Response:
    """Leaves the transaction as the bank told of it."""
    await me.execute(ClearAnnotation(TransactionId(transaction_id)))
    return no_content()


def _split(body: SplitBody) -> Split:
    amount = Money.parse(body.amount, body.currency)
    if isinstance(amount, Failure):
        raise ProblemError.of(amount.failure())
    return Split(amount=amount.unwrap(), category=body.category, note=body.note)
