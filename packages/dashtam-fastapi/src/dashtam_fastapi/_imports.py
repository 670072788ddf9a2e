"""`/imports`: statement files taken in."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from dashtam_core.accounts import DocumentId, GetImport, ImportStatement, ImportView, import_view
from dashtam_fastapi._answers import ProblemRoute, answer
from dashtam_fastapi._callers import Me, MeWriting
from dashtam_fastapi._parameters import Id, NoQuery
from dashtam_fastapi._problems import documented
from dashtam_fastapi._upload import MULTIPART, PART, read_upload

imports = APIRouter(tags=["imports"], route_class=ProblemRoute)


class ImportAnswer(ImportView):
    already_imported: bool


_FILE: Final = {"type": "string", "contentMediaType": "application/octet-stream"}
_BODY: Final = {"type": "object", "properties": {PART: _FILE}, "required": [PART], "additionalProperties": False}
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
    upload = await read_upload(request, me.import_max_bytes)
    report = await me.execute(ImportStatement(upload.data, filename=upload.filename))
    view = {**import_view(report.document), "already_imported": report.already_imported}
    if report.already_imported:
        return answer(view)
    return answer(view, status=201, headers={"location": f"{request.url.path}/{report.document.document_id}"})


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
