from typing import Final

import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind


class ImportCode(ErrorCode):
    """Why a statement file was not imported. Nothing of such a file is stored."""

    FILE_EMPTY = "file_empty", ErrorKind.INVALID
    FILE_TOO_LARGE = "file_too_large", ErrorKind.TOO_LARGE
    FILE_TRUNCATED = "file_truncated", ErrorKind.INVALID
    FILE_UNREADABLE = "file_unreadable", ErrorKind.INVALID
    FORMAT_UNKNOWN = "format_unknown", ErrorKind.UNSUPPORTED


@attrs.frozen
class ImportFailed(DomainError[ImportCode]):
    """A file that could not be read as a statement, whole."""


class AccountsCode(ErrorCode):
    ACCOUNT_NOT_FOUND = "account_not_found", ErrorKind.NOT_FOUND
    IMPORT_NOT_FOUND = "import_not_found", ErrorKind.NOT_FOUND
    CURSOR_INVALID = "cursor_invalid", ErrorKind.INVALID
    LIMIT_INVALID = "limit_invalid", ErrorKind.INVALID
    DATE_RANGE_INVALID = "date_range_invalid", ErrorKind.INVALID


@attrs.frozen
class AccountsRefused(DomainError[AccountsCode]):
    """A question about accounts that cannot be answered as asked."""


ACCOUNT_NOT_FOUND: Final = AccountsRefused(
    AccountsCode.ACCOUNT_NOT_FOUND,
    "you have no account with this id: list your accounts for the ids there are",
)
IMPORT_NOT_FOUND: Final = AccountsRefused(
    AccountsCode.IMPORT_NOT_FOUND,
    "you have no import with this id: an import answers with its id when it is made",
)
