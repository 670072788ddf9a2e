"""Endpoints made of messages: path and body fill the fields of one, and its docstring describes the endpoint."""

from collections.abc import Awaitable, Callable, Sequence
from inspect import Parameter, Signature
from string import Formatter
from types import UnionType
from typing import Annotated, Any, Final, cast, get_args, get_origin, get_type_hints

import attrs
from fastapi import APIRouter, Query, Request, Response
from pydantic import create_model

from dashtam_core.kernel import Page
from dashtam_core.messaging import Command, Message, Rendering
from dashtam_core.messaging import Query as Question
from dashtam_fastapi._answers import answer, no_content, rendered
from dashtam_fastapi._bodies import Body, documented_body, read_body
from dashtam_fastapi._callers import Caller, Me, MeWriting, MeWritingUnkept
from dashtam_fastapi._parameters import Id, NoQuery, PageQuery
from dashtam_fastapi._problems import documented

_WITHOUT_CONTENT: Final = frozenset({202, 204})
_LIST: Final = cast("Any", list)
_BODIES: Final = frozenset({"POST", "PUT", "PATCH"})


def expose(
    router: APIRouter,
    endpoint: str,
    message: type[Message[Any, Any]],
    summary: str,
    *,
    status: int | None = None,
    problems: Sequence[int] = (),
    location: str | None = None,
    without: Sequence[str] = (),
    operation: str | None = None,
    query: type[NoQuery] | None = None,
    view: Callable[[Any], object] | None = None,
    model: object = None,
) -> None:
    """Adds the endpoint that sends `message`, such as `GET /accounts`.

    `location` is the new resource's path, of fields of the answer; `without` are fields that keep their defaults;
    `operation` is its id, if not the action. `view` shows the answer, or each item of a list, and `model` is what
    the whole is then.
    """
    method, _, path = endpoint.partition(" ")
    told, in_path = _answer_of(message), [name for _, name, _, _ in Formatter().parse(path) if name]
    body = body_of(message, *in_path, *without) if method in _BODIES else None
    done = status or (204 if told is type(None) or method == "DELETE" else 200)
    asked = query or (PageQuery if get_origin(told) is Page else NoQuery)
    show = _showing(told, view)
    rendering = rendered(endpoint, show)
    also = (*((404,) if in_path else ()), *((413, 415) if body else ()), *((409,) if _kept(message) else ()))
    router.add_api_route(
        path,
        _endpoint(message, in_path, asked, body, _answering(done, location, rendering)),
        methods=[method],
        operation_id=operation or message.action,
        summary=summary,
        description=(message.__doc__ or "").replace("`", ""),
        status_code=done,
        response_model=None if done in _WITHOUT_CONTENT else model or shape(told),
        responses=documented(*problems, *also),
        openapi_extra=documented_body(body) if body else None,
    )


def body_of(message: type[Message[Any, Any]], *elsewhere: str) -> type[Body] | None:
    """The JSON object with the fields of a message that do not come from elsewhere; None if there are none."""
    types, fields = get_type_hints(message), cast("Any", attrs.fields)(message)
    own = {
        each.name: (types[each.name], ... if each.default is attrs.NOTHING else each.default)
        for each in fields
        if each.name not in elsewhere
    }
    return cast("Any", create_model)(message.__name__, __base__=Body, **own) if own else None


def shape(kind: Any) -> Any:
    """What an answer of this type is in JSON, for the API's document."""
    arguments = tuple(shape(each) for each in get_args(kind))
    if get_origin(kind) in {Page, Sequence} and attrs.has(get_args(kind)[0]):
        more = {"next_cursor": (str | None, ...)} if get_origin(kind) is Page else {}
        name = f"{arguments[0].__name__}Page"
        return cast("Any", create_model)(name, items=(_LIST[arguments[0]], ...), **more)
    if not attrs.has(kind):
        return kind if not arguments or get_origin(kind) is UnionType else get_origin(kind)[arguments]
    if "__str__" in vars(kind):
        return str
    fields = {name: (shape(each), ...) for name, each in get_type_hints(kind).items()}
    return cast("Any", create_model)(kind.__name__, **fields)


def _answer_of(message: type[Message[Any, Any]]) -> Any:
    bases: Sequence[Any] = getattr(message, "__orig_bases__", ())
    return next(get_args(each)[0] for each in bases if get_args(each))


def _kept(message: type[Message[Any, Any]]) -> bool:
    """Whether a retry is answered by what is kept, so that the endpoint takes the header Idempotency-Key."""
    return issubclass(message, Command) and message.replayable


def _showing(told: Any, view: Callable[[Any], object] | None) -> Callable[[Any], object]:
    """What shows a whole answer of this type, made of what shows one thing."""
    show: Callable[[Any], object] = view or _as_it_is
    if get_origin(told) is Page:
        return lambda page: {"items": [show(each) for each in page.items], "next_cursor": page.next_cursor}
    if get_origin(told) is Sequence:
        return lambda found: {"items": [show(each) for each in found]}
    return show


def _as_it_is(each: object) -> object:
    return each


def _answering(
    status: int, location: str | None, rendering: Rendering
) -> Callable[[Any, Message[Any, Any]], Awaitable[Response]]:
    async def answering(me: Any, message: Message[Any, Any]) -> Response:
        if isinstance(message, Question):
            return answer(await me.render(message, rendering))
        told = await me.execute(message)
        if status in _WITHOUT_CONTENT:
            return no_content(status)
        headers = {"location": location.format_map(attrs.asdict(told))} if location else None
        return answer(rendering.write(told), status=status, headers=headers)

    return answering


def _endpoint(
    message: type[Message[Any, Any]],
    in_path: Sequence[str],
    asked: type[NoQuery],
    body: type[Body] | None,
    answering: Callable[[Any, Message[Any, Any]], Awaitable[Response]],
) -> Callable[..., Any]:
    """The function, with the parameters that FastAPI is to read."""

    async def endpoint(request: Request, me: Caller, query: NoQuery, **ids: Any) -> Response:
        given = dict(await read_body(request, body)) if body else {}
        return await answering(me, message(**given, **ids, **dict(query)))

    writer = MeWriting if _kept(message) else MeWritingUnkept
    kinds = {
        "request": Request,
        "me": Me if issubclass(message, Question) else writer,
        "query": Annotated[asked, Query()],
        **dict.fromkeys(in_path, Id),
    }
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=each) for name, each in kinds.items()]
    endpoint.__signature__ = Signature(parameters)  # type: ignore[attr-defined] # read by inspect.signature
    return endpoint
