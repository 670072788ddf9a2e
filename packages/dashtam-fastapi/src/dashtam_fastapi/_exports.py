"""`/exports`: the caller's data, to take along."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import Field

from dashtam_core.accounts import AccountId, ExportTransactions
from dashtam_fastapi._answers import ProblemRoute
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import Day, Id, NoQuery
from dashtam_fastapi._problems import PRIVATE, documented

exports = APIRouter(tags=["exports"], route_class=ProblemRoute)

_NAMED: Final = {"description": "The file's name, with the day it was made", "schema": {"type": "string"}}
_FILE: Final = {"schema": {"type": "string"}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file, in the media type of its format",
        "headers": {"Content-Disposition": _NAMED},
        "content": {"application/x-ofx": _FILE, "text/csv": _FILE, "text/plain": _FILE},
    },
    **documented(404),
}


class ExportQuery(NoQuery):
    """What is exported, and as what."""

    format: str = Field(
        default="ofx", max_length=64, description="`ofx`, `csv`, `beancount`, or what a plugin brings"
    )
    account_id: Id | None = Field(default=None, description="This account only")
    from_: Day | None = Field(default=None, alias="from", description="Posted on this day or later")
    to: Day | None = Field(default=None, description="Posted on this day or earlier")


@exports.get(
    "/exports",
    operation_id="export_transactions",
    summary="Take your data with you",
    response_class=Response,
    responses=_ANSWERS,
)
async def export_transactions(me: Me, query: Annotated[ExportQuery, Query()]) -> Response:
    """Your accounts and transactions as one file. Each export leaves an entry in the audit trail."""
    account_id = None if query.account_id is None else AccountId(query.account_id)
    made = await me.ask(ExportTransactions(query.format, account_id, query.from_, query.to))
    named = {"content-disposition": f'attachment; filename="{made.filename}"'}
    return Response(made.data, 200, {**PRIVATE, **named}, made.media_type)
