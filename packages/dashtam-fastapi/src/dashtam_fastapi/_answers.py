"""How an endpoint answers: the core's views as JSON, written once, and every error as a problem."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import attrs
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from dashtam_fastapi._problems import HANDLED, PRIVATE, problem_response


def answer(view: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A view as it is, not validated again: `response_model` is for the document only, a test holds it true."""
    body = to_json(view, fallback=_fields)
    return Response(body, status, {**PRIVATE, **(headers or {})}, "application/json")


def _fields(value: Any) -> Any:
    """An object of the core by its fields; one that has a text form of its own, by that."""
    own_text = "__str__" in vars(cast("object", value).__class__)
    return str(value) if own_text else attrs.asdict(value, recurse=False)


def no_content(status: int = 204) -> Response:
    """That it is done, or will be, and that there is no more to say."""
    return Response(status_code=status, headers=PRIVATE)


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
