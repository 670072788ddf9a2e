"""`/transfers` and `/duplicates`: which of the caller's transactions belong together."""

from typing import Annotated, Final, Literal, TypedDict

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from dashtam_core.accounts import TransactionId
from dashtam_core.portfolio import DecideMatch, ForgetDecision, ListMatches, MatchKind, MatchState
from dashtam_core.portfolio import MatchView as View
from dashtam_core.portfolio import match_view as view
from dashtam_fastapi._answers import ProblemRoute, answer, no_content, rendered
from dashtam_fastapi._bodies import Body, documented_body, read_body
from dashtam_fastapi._callers import Me, MeWriting
from dashtam_fastapi._parameters import Day, Id, NoQuery
from dashtam_fastapi._problems import documented


class MatchList(TypedDict):
    items: list[View]


class DecisionBody(Body):
    state: Literal["confirmed", "rejected"]


class MatchQuery(NoQuery):
    """Which pairs: one of the two at least is in these days."""

    state: Literal["suggested", "confirmed", "rejected"] = Field(
        default="suggested", description="What you decided"
    )
    from_: Day | None = Field(default=None, alias="from", description="Without it, 90 days")
    to: Day | None = Field(default=None, description="Without it, the newest transaction's day")


def matching(kind: MatchKind) -> APIRouter:
    """The resource of one kind of pairs."""
    one, path = kind.value, f"/{kind.value}s/{{first_id}}/{{second_id}}"
    resource = APIRouter(tags=[f"{one}s"], route_class=ProblemRoute)
    pairs = rendered(f"GET /{one}s", lambda found: {"items": [view(each) for each in found]})

    @resource.get(f"/{one}s", operation_id=f"list_{one}s", summary=f"List your {one}s", response_model=MatchList)
    async def list_matches(me: Me, query: Annotated[MatchQuery, Query()]) -> Response:
        """The latest first, of 366 days at most: what is suggested to you, or what you decided."""
        state = MatchState(query.state)
        asked = ListMatches(kind=kind, state=state, from_date=query.from_, to_date=query.to)
        return answer(await me.render(asked, pairs))

    @resource.put(
        path,
        operation_id=f"decide_{one}",
        summary=f"Confirm or reject a {one}",
        status_code=204,
        responses=documented(404, 409, 413, 415),
        openapi_extra=documented_body(DecisionBody),
    )
    async def decide_match(
        first_id: Id, second_id: Id, request: Request, me: MeWriting, _: Annotated[NoQuery, Query()]
    ) -> Response:
        """Replaces what you decided about these two before, in either order."""
        state = MatchState((await read_body(request, DecisionBody)).state)
        first, second = TransactionId(first_id), TransactionId(second_id)
        await me.execute(DecideMatch(kind=kind, first=first, second=second, state=state))
        return no_content()

    @resource.delete(
        path,
        operation_id=f"forget_{one}",
        summary=f"Forget what you decided about a {one}",
        status_code=204,
        responses=documented(404, 409),
    )
    async def forget_decision(
        first_id: Id, second_id: Id, me: MeWriting, _: Annotated[NoQuery, Query()]
    ) -> Response:
        """The two may be suggested again; of a confirmed duplicate, the second is shown again."""
        first, second = TransactionId(first_id), TransactionId(second_id)
        await me.execute(ForgetDecision(kind=kind, first=first, second=second))
        return no_content()

    return resource


transfers: Final = matching(MatchKind.TRANSFER)
duplicates: Final = matching(MatchKind.DUPLICATE)
