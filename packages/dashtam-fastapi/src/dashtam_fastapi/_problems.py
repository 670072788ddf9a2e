"""Every error as problem details (RFC 9457): one shape, and one mapping from kinds of errors to statuses."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, Final, NotRequired, Self, TypedDict

import attrs
from fastapi import Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import TypeAdapter
from pydantic_core import ErrorDetails, to_json
from starlette.exceptions import HTTPException as BareError

from dashtam_core import UnavailableError
from dashtam_core.kernel import DomainError, ErrorKind
from dashtam_core.messaging import RefusalCode

MEDIA_TYPE: Final = "application/problem+json"
PRIVATE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Headers of every answer that may hold somebody's data, errors included."""
HANDLED: Final = (BareError, RequestValidationError, UnavailableError)
"""The exceptions a request may end with; any other is a bug."""

_log: Final = logging.getLogger(__name__)
_UNAVAILABLE: Final = (
    "something this service needs is not there now: try again shortly; its log says what is missing"
)
_MAX_NAME: Final = 64
_MAX_ERRORS: Final = 20


class ProblemDocument(TypedDict):
    """The body of every answer with a status of 400 or more. `code` is stable and for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[dict[str, str]]]


@attrs.frozen
class _Answer:
    status: int
    title: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


KINDS: Final[Mapping[ErrorKind, _Answer]] = {
    ErrorKind.INVALID: _Answer(422, "The request is not valid"),
    ErrorKind.UNAUTHENTICATED: _Answer(401, "Say who you are", {"www-authenticate": "Bearer"}),
    ErrorKind.FORBIDDEN: _Answer(403, "You may not do this"),
    ErrorKind.NOT_FOUND: _Answer(404, "There is no such thing"),
    ErrorKind.CONFLICT: _Answer(409, "This conflicts with what is there"),
    ErrorKind.TOO_LARGE: _Answer(413, "The request is too large"),
    ErrorKind.UNSUPPORTED: _Answer(415, "The format is not supported"),
    ErrorKind.TOO_MANY: _Answer(429, "Too many requests"),
    ErrorKind.UNAVAILABLE: _Answer(503, "The service is not available now", {"retry-after": "5"}),
}
"""How each kind of error is answered: the only place that says so."""

_AGAIN: Final = {RefusalCode.IDEMPOTENCY_KEY_IN_USE: {"retry-after": "1"}}
_TITLES: Final = {answer.status: answer.title for answer in KINDS.values()}
_DETAILS: Final = {
    404: "nothing is at this path: /openapi.json lists what there is",
    405: "this path does not take this method: the Allow header names those it takes",
    500: "this error is ours, and was logged under the request-id of this answer: quote it to whoever runs this",
}
_SCHEMA: Final = TypeAdapter(ProblemDocument).json_schema()


class ProblemError(HTTPException):
    """Ends a request with a problem. `errors` says which parameters or parts are meant."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[dict[str, str]] = (),
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.errors = errors

    @classmethod
    def of(cls, error: DomainError[Any], *, headers: Mapping[str, str] | None = None) -> Self:
        """The problem that an error of the core is to a caller."""
        answer = KINDS[error.code.kind]
        also = headers or _AGAIN.get(error.code, answer.headers)
        if error.retry_after is not None:
            also = {**(also or {}), "retry-after": str(ceil(error.retry_after))}
        return cls(answer.status, error.code.value, error.message, headers=also)


def invalid(errors: Sequence[dict[str, str]]) -> ProblemError:
    """The problem of a request whose parameters or parts are not as they should be."""
    detail = "the request is not as this endpoint takes it: errors names what to correct"
    return ProblemError(KINDS[ErrorKind.INVALID].status, "request_invalid", detail, errors=errors[:_MAX_ERRORS])


def in_parameter(name: str, detail: str) -> dict[str, str]:
    return {"parameter": name[:_MAX_NAME], "detail": detail}


def in_body(path: str, detail: str) -> dict[str, str]:
    """Points by RFC 6901, as a URI fragment."""
    return {"pointer": f"#/{path[:_MAX_NAME]}", "detail": detail}


def problem_response(error: Exception) -> Response:
    """The answer to an exception. One that nobody expected is answered with 500, and nothing of it gets out."""
    problem = _problem(error)
    body: ProblemDocument = {
        "type": f"urn:dashtam:problem:{problem.code}",
        "title": _title(problem.status_code),
        "status": problem.status_code,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return Response(to_json(body), problem.status_code, {**PRIVATE, **(problem.headers or {})}, MEDIA_TYPE)


async def handle(_: Request, error: Exception) -> Response:
    """`problem_response` as an application's exception handler."""
    return problem_response(error)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of problems with these statuses."""
    content = {MEDIA_TYPE: {"schema": _SCHEMA}}
    return {status: {"description": _title(status), "content": content} for status in statuses}


def _problem(error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case UnavailableError():
            return _unavailable(error)
        case RequestValidationError():
            found: Sequence[ErrorDetails] = error.errors()
            return invalid([_item(each) for each in found])
        case BareError():
            return _bare(error.status_code, error.detail, error.headers)
        case _:
            return _bare(500)


def _unavailable(error: UnavailableError) -> ProblemError:
    """The code for the caller; where what is missing should be, and why it is not, for the operator's log."""
    _log.warning("not available: [%s] %s", error.code, error.message, extra={"code": error.code})
    answer = KINDS[error.code.kind]
    return ProblemError(answer.status, error.code.value, _UNAVAILABLE, headers=answer.headers)


def _bare(status: int, detail: object = None, headers: Mapping[str, str] | None = None) -> ProblemError:
    """The problem of a status alone, such as the framework gives for a path that is not there."""
    known = HTTPStatus(status)
    said = None if detail == known.phrase else detail
    text = str(said or _DETAILS.get(status, known.phrase))
    return ProblemError(status, known.name.lower(), text, headers=headers)


def _title(status: int) -> str:
    return _TITLES.get(status, HTTPStatus(status).phrase)


def _item(found: ErrorDetails) -> dict[str, str]:
    """One wrong value by its place and what it should be, never the value itself."""
    place, *path = map(str, found["loc"])
    detail = "this endpoint has no such parameter" if found["type"] == "extra_forbidden" else found["msg"]
    return (in_body if place == "body" else in_parameter)("/".join(path), detail)
