"""How an endpoint answers: the core's views as JSON, written once, and every error as a problem."""

from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version
from typing import Any, Final, cast

import attrs
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from dashtam_core.messaging import Rendering
from dashtam_fastapi._problems import HANDLED, PRIVATE, problem_response
from dashtam_fastapi._rates import telling

# What the form of an answer changes with: views are the core's, and how they are written is ours.
_VERSIONS: Final = "+".join(map(version, ("dashtam-core", "dashtam-fastapi")))


def answer(view: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A view as it is, not validated again: `response_model` is for the document only, a test holds it true."""
    body = view if isinstance(view, bytes) else written(view)
    return Response(body, status, {**PRIVATE, **(headers or {})}, "application/json")


def written(view: object) -> bytes:
    """A view as JSON, which `answer` sends as it is."""
    return to_json(view, fallback=_fields)


def rendered(endpoint: str, show: Callable[[Any], object]) -> Rendering:
    """How an endpoint sends what `show` makes of an answer."""
    return Rendering(f"{endpoint} {_VERSIONS}", lambda found: written(show(found)))


def _fields(value: Any) -> Any:
    """An object of the core by its fields; one that has a text form of its own, by that."""
    own_text = "__str__" in vars(cast("object", value).__class__)
    return str(value) if own_text else attrs.asdict(value, recurse=False)


def no_content(status: int = 204) -> Response:
    """That it is done, or will be, and that there is no more to say."""
    return Response(status_code=status, headers=PRIVATE)


class ProblemRoute(APIRoute):
    """A route whose errors are problems in whatever application it is included."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().handle(scope, receive, telling(scope, send))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def run_or_explain(request: Request) -> Response:
            try:
                return await run(request)
            except HANDLED as error:
                return problem_response(error)

        return run_or_explain
