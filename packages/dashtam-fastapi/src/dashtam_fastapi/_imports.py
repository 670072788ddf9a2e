"""`/imports`: statement files taken in."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from dashtam_core.accounts import (
    DocumentId,
    GetImport,
    ImportReport,
    ImportStatement,
    ImportView,
    ReadDocument,
    import_view,
)
from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._bodies import Body, documented_body, read_body
from dashtam_fastapi._callers import Me, MeWriting
from dashtam_fastapi._parameters import Id, NoQuery
from dashtam_fastapi._problems import documented
from dashtam_fastapi._upload import MULTIPART, PART, PROFILE, announced, holding, read_upload

imports = APIRouter(tags=["imports"], route_class=ProblemRoute)


class ImportAnswer(ImportView):
    already_imported: bool


_FILE: Final = {"type": "string", "contentMediaType": "application/octet-stream"}
_MEANT: Final = {"type": "string", "description": "A TOML document that says how a CSV or QIF file is meant"}
_BODY: Final = {
    "type": "object",
    "properties": {PART: _FILE, PROFILE: _MEANT},
    "required": [PART],
    "additionalProperties": False,
}
_LOCATION: Final = {"description": "Where the report is", "schema": {"type": "string"}}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": ImportAnswer, "description": "The same file was imported before: its report of then"},
    201: {"description": "Imported", "headers": {"Location": _LOCATION}},
    **documented(400, 409, 413, 415),
}


@imports.post(
    "/imports",
    operation_id="import_statement",
    summary="Import a statement file",
    status_code=201,
    response_model=ImportAnswer,
    responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": {MULTIPART: {"schema": _BODY}}}},
)
async def import_statement(request: Request, me: MeWriting, _: Annotated[NoQuery, Query()]) -> Response:
    """Takes in every account, balance and transaction of the file, each once however often it comes."""
    with holding(request, me, announced(request, me.import_max_bytes)):
        upload = await read_upload(request, me.import_max_bytes)
        report = await me.execute(ImportStatement(upload.data, upload.filename, upload.profile))
    if report.already_imported:
        return answer(_view(report))
    location = f"{request.url.path}/{report.document.document_id}"
    return answer(_view(report), status=201, headers={"location": location})


class Reading(Body):
    """How a file is to be read this time."""

    profile: str | None = Field(default=None, description=_MEANT["description"])


@imports.post(
    "/imports/{import_id}/readings",
    operation_id="read_again",
    summary="Read an imported file again",
    response_model=ImportAnswer,
    responses=documented(404, 409, 413, 415),
    openapi_extra=documented_body(Reading),
)
async def read_again(import_id: Id, request: Request, me: MeWriting, _: Annotated[NoQuery, Query()]) -> Response:
    """Reads the kept bytes once more: what a better reader or another profile makes of them replaces what was."""
    reading = await read_body(request, Reading)
    data = await me.ask(ReadDocument(DocumentId(import_id)))
    with holding(request, me, len(data)):
        return answer(_view(await me.execute(ImportStatement(data, profile=reading.profile, again=True))))


@imports.get(
    "/imports/{import_id}",
    operation_id="get_import",
    summary="Get the report of an import",
    response_model=ImportView,
    responses=documented(404),
)
async def get_import(import_id: Id, me: Me, _: Annotated[NoQuery, Query()]) -> Response:
    """What the file was, and how many transactions of it were new."""
    return answer(import_view(await me.ask(GetImport(DocumentId(import_id)))))


def _view(report: ImportReport) -> ImportAnswer:
    return {**import_view(report.document), "already_imported": report.already_imported}
