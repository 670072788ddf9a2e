from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.dialects.postgresql import insert

from dashtam_core.accounts import AccountId, AccountImport, DocumentId, ImportDocument, ReadingWarning
from dashtam_postgres._accounts import Unit
from dashtam_postgres._tables import import_document
from dashtam_postgres._transactions import storable


@attrs.frozen
class PostgresDocuments:
    unit: Unit

    async def add(self, document: ImportDocument, /) -> bool:
        row = attrs.asdict(document, recurse=False) | {
            "user_id": self.unit.user_id,
            "accounts": [attrs.asdict(each) | {"account_id": str(each.account_id)} for each in document.accounts],
            "warnings": [_storable(warning) for warning in document.warnings],
            "filename": storable(document.filename),
        }
        kept = insert(import_document).on_conflict_do_nothing(constraint="import_document_known").values(row)
        added = await self.unit.connection.execute(kept.returning(import_document.c.document_id))
        return added.first() is not None

    async def find(self, sha256: bytes, /) -> ImportDocument | None:
        return await self._one(import_document.c.sha256 == sha256)

    async def get(self, document_id: DocumentId, /) -> ImportDocument | None:
        return await self._one(import_document.c.document_id == document_id)

    async def _one(self, condition: ColumnElement[bool]) -> ImportDocument | None:
        mine = import_document.c.user_id == self.unit.user_id
        row = (await self.unit.connection.execute(select(import_document).where(mine, condition))).first()
        return None if row is None else _document(row)


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
        accounts=tuple(
            AccountImport(AccountId(UUID(each["account_id"])), each["read"], each["added"])
            for each in row.accounts
        ),
        warnings=tuple(ReadingWarning(**each) for each in row.warnings),
    )
