"""What every reader answers alike: a statement with what was read around in it, or why a file is refused."""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from typing import Final

from dashtam_core import accounts as model
from dashtam_core.accounts import AccountBatch, ImportCode, ImportFailed, Statement, checkpoint
from dashtam_core.kernel import Failure, Result, Success
from dashtam_files._text import MAX_FIELD, Decoded
from dashtam_files._values import NO_CURRENCY

type Refusal = Failure[ImportFailed]
type Answer = Result[Statement, ImportFailed]

MAX_ROWS: Final = 1_000_000
MAX_ACCOUNTS: Final = 1_000
MAX_WARNINGS: Final = 1_000
OFTEN: Final = 256  # After so many rows a reader lets others run.
_MAX_RAW: Final = 200


class Warnings:
    """Collects what was read around, in order; beyond the limit it only counts, and the last one says how many."""

    def __init__(self, source: Decoded | None = None) -> None:
        self._kept: list[model.ReadingWarning] = []
        self._more = 0
        if source and source.damaged:
            self.add("bytes_undecodable", "document", source.encoding)

    def add(self, rule: str, where: str, raw: str | None = None) -> None:
        if len(self._kept) < MAX_WARNINGS - 1:
            self._kept.append(model.ReadingWarning(rule, where, raw[:_MAX_RAW] if raw else None))
        else:
            self._more += 1

    def unless_read[T](self, read: T | None, rule: str, where: str, raw: str | None) -> T | None:
        """What was read; the warning is added where that is nothing."""
        if read is None:
            self.add(rule, where, raw)
        return read

    def whole(self, text: str, where: str, raw: str) -> str:
        """The text, as much as is kept of one element; what is cut off is reported."""
        if len(text) > MAX_FIELD:
            self.add("text_cut", where, raw)
        return text[:MAX_FIELD]

    def checked(self, account: model.AccountData, where: str, unit: str | None = None) -> model.AccountData:
        """The account; reported is what it lacks. `unit` is what the file prints for its currency."""
        if not account.provider_account_id:
            self.add("account_id_missing", where)
        if account.currency == NO_CURRENCY:
            self.add("currency_unreadable" if unit else "currency_missing", where, unit)
        return account

    def all(self) -> tuple[model.ReadingWarning, ...]:
        more = model.ReadingWarning("more_warnings", "document", f"{self._more} more")
        return (*self._kept, more) if self._more else tuple(self._kept)


def statement(form: str, source: Decoded, read: Iterable[AccountBatch], warnings: Warnings) -> Success[Statement]:
    accounts = tuple(read)
    if not accounts:
        warnings.add("no_statement", "document")
    batch = model.SyncBatch(accounts=accounts, warnings=warnings.all())
    return Success(Statement(format=form, encoding=source.encoding, parser=_parser(), batch=batch))


@cache
def _parser() -> str:
    """The package and version that read a statement."""
    return f"dashtam-files {version('dashtam-files')}"


def refused(code: ImportCode, message: str) -> Refusal:
    return Failure(ImportFailed(code, message))


def too_many(count: int, limit: int, what: str) -> Refusal | None:
    """The refusal of a file with more than `limit` of something; None if it has not."""
    if count <= limit:
        return None
    why = f"the file has {count:,} {what} and the limit is {limit:,}: download a shorter period"
    return refused(ImportCode.FILE_TOO_LARGE, why)


def paced[T](items: Iterable[T]) -> Iterator[T]:
    """The same items, with a checkpoint now and then."""
    for number, item in enumerate(items):
        if not number % OFTEN:
            checkpoint()
        yield item
