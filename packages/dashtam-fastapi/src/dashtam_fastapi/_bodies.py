"""JSON bodies: read once the caller is known, no further than they may be long, and parsed strictly."""

from typing import Any, Final, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect

from dashtam_fastapi._problems import ProblemError, in_body, invalid

JSON: Final = "application/json"
_MAX_BYTES: Final = 1_000_000


class Body(BaseModel):
    """The JSON object that an endpoint takes: no number for a text, and no member that nobody reads."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def read_body[B: Body](request: Request, kind: type[B]) -> B:
    """The body as this object. What is none ends the request."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != JSON:
        raise ProblemError(415, "media_type_unsupported", f"send {JSON}")
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > _MAX_BYTES:
                raise ProblemError(413, "body_too_large", f"a body may have {_MAX_BYTES:,} bytes: send less")
    except ClientDisconnect:
        raise invalid([in_body("", "the connection ended before it did")]) from None
    try:
        return kind.model_validate_json(bytes(data))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None


def documented_body(kind: type[Body]) -> dict[str, Any]:
    """The OpenAPI description of an endpoint that takes this object: its `openapi_extra`."""
    schema = kind.model_json_schema()
    content = {JSON: {"schema": _whole(schema, schema.pop("$defs", {}))}}
    return {"requestBody": {"required": True, "content": content}}


def _whole(schema: Any, parts: dict[str, Any]) -> Any:
    """The schema with its parts in their places: the document has no other place for them."""
    match schema:
        case {"$ref": str(name)}:
            return _whole(parts[name.removeprefix("#/$defs/")], parts)
        case dict():
            return {key: _whole(each, parts) for key, each in cast("dict[str, Any]", schema).items()}
        case [*items]:
            return [_whole(each, parts) for each in items]
        case _:
            return schema
