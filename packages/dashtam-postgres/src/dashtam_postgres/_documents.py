import json
from typing import Any, Final

import attrs
from sqlalchemy import ColumnElement, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from dashtam_core.accounts import AccountImport, DocumentId, ImportDocument, ReadingWarning, from_json, to_json
from dashtam_postgres._accounts import Unit
from dashtam_postgres._tables import import_document
from dashtam_postgres._transactions import storable

_FIXED: Final = {"document_id", "user_id", "sha256"}
_TOLD: Final = [column for column in import_document.c if column.name != "content"]


@attrs.frozen
class PostgresDocuments:
    unit: Unit

    async def add(self, document: ImportDocument, content: bytes | None = None, /) -> bool:
        row = self._row(document) | {"content": content}
        kept = insert(import_document).on_conflict_do_nothing(constraint="import_document_known").values(row)
        added = await self.unit.connection.execute(kept.returning(import_document.c.document_id))
        return added.first() is not None

    async def change(self, document: ImportDocument, /) -> None:
        said = {name: value for name, value in self._row(document).items() if name not in _FIXED}
        changed = update(import_document).where(self._is(document.document_id)).values(said)
        await self.unit.connection.execute(changed)

    async def content(self, document_id: DocumentId, /) -> bytes | None:
        asked = select(import_document.c.content).where(self._is(document_id))
        return (await self.unit.connection.execute(asked)).scalar()

    async def find(self, sha256: bytes, /) -> ImportDocument | None:
        mine = import_document.c.user_id == self.unit.user_id
        return await self._one(mine & (import_document.c.sha256 == sha256))

    async def get(self, document_id: DocumentId, /) -> ImportDocument | None:
        return await self._one(self._is(document_id))

    async def _one(self, condition: ColumnElement[bool]) -> ImportDocument | None:
        row = (await self.unit.connection.execute(select(*_TOLD).where(condition))).first()
        return None if row is None else _document(row)

    def _is(self, document_id: DocumentId) -> ColumnElement[bool]:
        mine = import_document.c.user_id == self.unit.user_id
        return mine & (import_document.c.document_id == document_id)

    def _row(self, document: ImportDocument) -> dict[str, Any]:
        return attrs.asdict(document, recurse=False) | {
            "user_id": self.unit.user_id,
            "accounts": [json.loads(to_json(each)) for each in document.accounts],
            "warnings": [_storable(warning) for warning in document.warnings],
            "filename": storable(document.filename),
        }


def _storable(warning: ReadingWarning) -> dict[str, str | None]:
    """What was odd about a file may well be a character that PostgreSQL does not keep."""
    return {name: storable(value) for name, value in attrs.asdict(warning).items()}


def _document(row: Row[Any]) -> ImportDocument:
    return ImportDocument(
        document_id=DocumentId(row.document_id),
        sha256=row.sha256,
        filename=row.filename,
        format=row.format,
        encoding=row.encoding,
        parser=row.parser,
        imported_at=row.imported_at,
        accounts=tuple(from_json(json.dumps(each), AccountImport) for each in row.accounts),
        warnings=tuple(ReadingWarning(**each) for each in row.warnings),
    )
