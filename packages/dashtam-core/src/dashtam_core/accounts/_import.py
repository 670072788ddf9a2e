"""Taking in a statement file: read and keyed outside the transaction, stored whole inside it."""

import hashlib
import zlib
from typing import ClassVar, Final

import attrs

from dashtam_core.accounts._entities import ImportDocument
from dashtam_core.accounts._errors import IMPORT_NOT_FOUND, AccountsRefused, ImportFailed
from dashtam_core.accounts._ingestion import FILES, Ingestion, PreparedAccount
from dashtam_core.accounts._readers import Statement, StatementReaders
from dashtam_core.accounts._reading import Reading
from dashtam_core.accounts._repositories import Documents
from dashtam_core.accounts._types import AccountId, DocumentId
from dashtam_core.audit import PersonalVault, Seal
from dashtam_core.identity import ACCOUNTS_READ, ACCOUNTS_WRITE
from dashtam_core.kernel import Clock, Failure, Permission, Result, Subject, Success, UserId, map_success, new_id
from dashtam_core.messaging import Category, Command, DomainEvent, Notes, Outgoing, Query

_MAX_FILENAME: Final = 255


@attrs.frozen
class StatementImported(DomainEvent):
    """A statement file brought `added` new transactions to these accounts of a person."""

    category: ClassVar[Category | None] = Category.IMPORTS
    user_id: UserId
    document_id: DocumentId
    account_ids: tuple[AccountId, ...]
    added: int


@attrs.frozen
class ImportReport:
    """What came of a file. `already_imported`: the same bytes were taken in before, this is the report of then."""

    document: ImportDocument
    already_imported: bool


@attrs.frozen
class ImportStatement(Command[ImportReport, ImportFailed]):
    """Take in a statement file: its accounts, balances and transactions, each once however often it comes.

    The format is told from `data` alone; `filename` is kept for people. The bytes are kept, sealed, so that they
    can be read again.
    """

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "import_document"
    data: bytes = attrs.field(repr=False)
    filename: str | None = None
    profile: str | None = None
    """A TOML document that says how a file of a wide family (CSV, QIF) is meant."""
    again: bool = False
    """Read a file that was taken in before once more: by a better reader, or by another profile."""


@attrs.frozen
class PreparedImport:
    """A document read and keyed: all that can be known of it without the store."""

    sha256: bytes
    statement: Statement
    accounts: tuple[PreparedAccount, ...]
    content: bytes


@attrs.frozen
class ImportStatementHandler:
    readers: StatementReaders
    reading: Reading
    vault: PersonalVault
    ingestion: Ingestion
    documents: Documents
    subject: Subject
    outgoing: Outgoing
    notes: Notes
    clock: Clock

    async def prepare(self, command: ImportStatement, /) -> Result[PreparedImport, ImportFailed]:
        seal = await self.vault.sealing(self.subject.user_id)
        return await self.reading.run(lambda: self._read(command, seal))

    async def apply(
        self, command: ImportStatement, prepared: PreparedImport, /
    ) -> Result[ImportReport, ImportFailed]:
        known = await self.documents.find(prepared.sha256)
        if known is not None and not command.again:
            return Success(self._known(known))
        document_id = known.document_id if known else DocumentId(new_id())
        stored = await self.ingestion.store(prepared.accounts, document_id, again=known is not None)
        document = ImportDocument(
            document_id=document_id,
            sha256=prepared.sha256,
            filename=_filename(command.filename) or (known.filename if known else None),
            format=prepared.statement.format,
            encoding=prepared.statement.encoding,
            parser=prepared.statement.parser,
            imported_at=self.clock.now(),
            accounts=stored.accounts,
            warnings=(*prepared.statement.batch.warnings, *stored.warnings),
        )
        if known is not None:
            await self.documents.change(document)
        elif not await self.documents.add(document, prepared.content):
            # Another import of the same file was done while this one ran: every row was there already.
            overtaking = await self.documents.find(prepared.sha256)
            assert overtaking is not None, "a document that stands in the way can be seen"
            return Success(self._known(overtaking))
        self._note(document, read=sum(account.read for account in document.accounts), added=document.added)
        account_ids = tuple(account.account_id for account in document.accounts)
        self.outgoing.emit(StatementImported(self.subject.user_id, document_id, account_ids, document.added))
        return Success(ImportReport(document, already_imported=False))

    def _read(self, command: ImportStatement, seal: Seal) -> Result[PreparedImport, ImportFailed]:
        data = command.data

        def prepared(statement: Statement) -> PreparedImport:
            accounts = self.ingestion.prepare(statement.batch, FILES)
            return PreparedImport(hashlib.sha256(data).digest(), statement, accounts, seal(zlib.compress(data, 1)))

        return map_success(self.readers.read(data, command.profile), prepared)

    def _known(self, document: ImportDocument) -> ImportReport:
        self._note(document, added=0)
        return ImportReport(document, already_imported=True)

    def _note(self, document: ImportDocument, **counts: int) -> None:
        """One entry for the whole file: how many rows, and the digest that names them all."""
        self.notes.about(document.document_id, sha256=document.sha256.hex(), **counts)
        if document.filename:
            self.notes.privately(filename=document.filename)


def _filename(name: str | None) -> str | None:
    """The last part of a path, without control characters, cut to what file systems allow."""
    if name is None:
        return None
    plain = "".join(each for each in name.replace("\\", "/").rpartition("/")[2] if each.isprintable())
    return plain[-_MAX_FILENAME:] or None


@attrs.frozen
class _OfDocument:
    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "import_document"
    resource_field: ClassVar[str] = "document_id"
    document_id: DocumentId


@attrs.frozen
class ReadDocument(_OfDocument, Query[bytes, AccountsRefused]):
    """The bytes of a file that was taken in, as they were."""

    audited: ClassVar[bool] = True


@attrs.frozen
class ReadDocumentHandler:
    documents: Documents
    vault: PersonalVault
    subject: Subject

    async def apply(self, query: ReadDocument, /) -> Result[bytes, AccountsRefused]:
        # The key is at hand without the store: the pipeline had it for the entry that this query leaves.
        sealed = await self.documents.content(query.document_id)
        content = None if sealed is None else await self.vault.open(self.subject.user_id, sealed)
        return Failure(IMPORT_NOT_FOUND) if content is None else Success(zlib.decompress(content))


@attrs.frozen
class GetImport(_OfDocument, Query[ImportDocument, AccountsRefused]):
    """The report of one import."""


@attrs.frozen
class GetImportHandler:
    documents: Documents

    async def apply(self, query: GetImport, /) -> Result[ImportDocument, AccountsRefused]:
        document = await self.documents.get(query.document_id)
        return Failure(IMPORT_NOT_FOUND) if document is None else Success(document)


ROUTES: Final = (
    ImportStatement.prepared_by(ImportStatementHandler),
    ReadDocument.handled_by(ReadDocumentHandler),
    GetImport.handled_by(GetImportHandler),
)
