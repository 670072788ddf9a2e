"""How an endpoint answers: the core's views as JSON, written once, and every error as a problem."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from dashtam_core.kernel import Page
from dashtam_fastapi._problems import HANDLED, PRIVATE, problem_response


def answer(view: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A view as it is, not validated again: `response_model` is for the document only, a test holds it true."""
    return Response(to_json(view), status, {**PRIVATE, **(headers or {})}, "application/json")


def no_content() -> Response:
    """That it is done, and that there is no more to say."""
    return Response(status_code=204, headers=PRIVATE)


def page_answer[T](page: Page[T], view: Callable[[T], object]) -> Response:
    """A page of anything: its items, and the cursor for the next one or null."""
    return answer({"items": [view(item) for item in page.items], "next_cursor": page.next_cursor})


class ProblemRoute(APIRoute):
    """A route whose errors are problems in whatever application it is included."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def run_or_explain(request: Request) -> Response:
            try:
                return await run(request)
            except HANDLED as error:
                return problem_response(error)

        return run_or_explain
