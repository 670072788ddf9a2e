"""The parameters of requests, parsed strictly: one spelling for each value, and no parameter that nobody reads."""

import re
from collections import Counter
from datetime import date
from typing import Annotated, Final
from uuid import UUID

from fastapi import Header, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dashtam_core.accounts import DEFAULT_LIMIT, MAX_LIMIT
from dashtam_core.messaging import Category
from dashtam_fastapi._problems import in_parameter, invalid

_MAX_CURSOR: Final = 512
_KEY_HEADER: Final = "Idempotency-Key"
_KEY: Final = r'^(?:"(?:[!#-\[\]-~]|\\["\\]){1,255}"|[!#-~][!-~]{0,254})$'
_ESCAPED: Final = re.compile(r"\\(.)")


def _written(pattern: str, form: str) -> BeforeValidator:
    """Takes text of this pattern only: Pydantic by itself would take `1_0` for a number, a number for a day."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: object) -> object:
        if isinstance(text, str) and compiled.fullmatch(text):
            return text
        raise PydanticCustomError("form", "write {form}", {"form": form})

    return BeforeValidator(check)


Id = Annotated[
    UUID, _written(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID, as it was given to you")
]
Day = Annotated[date, _written(r"\d{4}-\d\d-\d\d", "a day by ISO 8601, such as 2026-01-31")]
Limit = Annotated[
    int, _written(r"\d{1,4}", f"a number from 1 to {MAX_LIMIT} in digits"), Field(ge=1, le=MAX_LIMIT)
]
_ANY: Final = "|".join(Category)
Categories = Annotated[str, _written(f"({_ANY})(,({_ANY}))*", f"some of {_ANY}, with commas between them")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="What came after it is told first")]
_Key = Annotated[
    str,
    Field(pattern=_KEY),
    _written(_KEY, "1 to 255 visible ASCII characters without spaces, bare or in double quotes"),
]
IdempotencyKey = Annotated[
    _Key | None,
    Header(
        alias=_KEY_HEADER,
        description="Makes a retry safe: for 24 hours the same key with the same request changes nothing more and "
        "is answered as the first time. A UUID does well",
    ),
]


class NoQuery(BaseModel):
    """The query of an endpoint that takes no parameters."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(NoQuery):
    """Which page of a list."""

    limit: Limit = Field(default=DEFAULT_LIMIT, description="How many items at most")
    cursor: str | None = Field(
        default=None, max_length=_MAX_CURSOR, description="The next_cursor of the page before; none is the first"
    )


def idempotency_key(request: Request, given: str | None) -> str | None:
    """The key itself, which may come bare or as a string of structured fields (RFC 9651, section 3.3.3)."""
    if len(request.headers.getlist(_KEY_HEADER)) > 1:
        raise invalid([in_parameter(_KEY_HEADER, "give this once")])
    return _ESCAPED.sub(r"\1", given[1:-1]) if given and given[0] == '"' else given


def refuse_repeated(request: Request) -> None:
    """A parameter given twice is refused: one of the two would be left out without a word."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise invalid([in_parameter(name, "give this once") for name in twice])
