from datetime import date
from typing import Final

import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure


class ImportCode(ErrorCode):
    """Why a statement file was not imported. Nothing of such a file is stored."""

    FILE_EMPTY = "file_empty", ErrorKind.INVALID
    FILE_TOO_LARGE = "file_too_large", ErrorKind.TOO_LARGE
    FILE_TRUNCATED = "file_truncated", ErrorKind.INVALID
    FILE_UNREADABLE = "file_unreadable", ErrorKind.INVALID
    FORMAT_UNKNOWN = "format_unknown", ErrorKind.UNSUPPORTED
    PROFILE_INVALID = "profile_invalid", ErrorKind.INVALID
    READING_AMBIGUOUS = "reading_ambiguous", ErrorKind.INVALID
    TOO_BUSY = "too_busy", ErrorKind.UNAVAILABLE


@attrs.frozen
class ImportFailed(DomainError[ImportCode]):
    """A file that could not be read as a statement, whole."""


class AccountsCode(ErrorCode):
    ACCOUNT_NOT_FOUND = "account_not_found", ErrorKind.NOT_FOUND
    IMPORT_NOT_FOUND = "import_not_found", ErrorKind.NOT_FOUND
    TRANSACTION_NOT_FOUND = "transaction_not_found", ErrorKind.NOT_FOUND
    ANNOTATION_INVALID = "annotation_invalid", ErrorKind.INVALID
    SPLITS_UNBALANCED = "splits_unbalanced", ErrorKind.INVALID
    CURSOR_INVALID = "cursor_invalid", ErrorKind.INVALID
    LIMIT_INVALID = "limit_invalid", ErrorKind.INVALID
    DATE_RANGE_INVALID = "date_range_invalid", ErrorKind.INVALID
    EXPORT_FORMAT_UNKNOWN = "export_format_unknown", ErrorKind.INVALID


@attrs.frozen
class AccountsRefused(DomainError[AccountsCode]):
    """A question about accounts that cannot be answered as asked."""


ACCOUNT_NOT_FOUND: Final = AccountsRefused(
    AccountsCode.ACCOUNT_NOT_FOUND, "you have no account with this id: list your accounts for the ids there are"
)
TRANSACTION_NOT_FOUND: Final = AccountsRefused(
    AccountsCode.TRANSACTION_NOT_FOUND,
    "you have no transaction with this id: list your transactions for the ids there are",
)
IMPORT_NOT_FOUND: Final = AccountsRefused(
    AccountsCode.IMPORT_NOT_FOUND, "you have no import with this id: an import answers with its id when it is made"
)


def failed(code: ImportCode, message: str) -> Failure[ImportFailed]:
    return Failure(ImportFailed(code, message))


def refused(code: AccountsCode, message: str) -> Failure[AccountsRefused]:
    return Failure(AccountsRefused(code, message))


def backwards(first: date, last: date) -> Failure[AccountsRefused]:
    """That these are no range of days."""
    message = f"the range ends on {last}, before it starts on {first}: swap the two days"
    return refused(AccountsCode.DATE_RANGE_INVALID, message)
