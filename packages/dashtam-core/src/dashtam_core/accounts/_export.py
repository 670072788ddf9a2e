"""Taking one's data along: what is in the store, written in a format that others read."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import ClassVar, Final, Protocol

import attrs

from dashtam_core.accounts._entities import Account, Balance, Transaction
from dashtam_core.accounts._errors import ACCOUNT_NOT_FOUND, AccountsCode, AccountsRefused, backwards, refused
from dashtam_core.accounts._reading import checkpoint
from dashtam_core.accounts._repositories import AccountOverview, Accounts, TransactionFilter, Transactions
from dashtam_core.accounts._types import AccountId
from dashtam_core.identity import ACCOUNTS_READ
from dashtam_core.kernel import Clock, Failure, Permission, Result, Success
from dashtam_core.messaging import Notes, Query

_ROWS: Final = 5_000
_ACCOUNTS: Final = 500
_BREATH: Final = 256


@attrs.frozen
class ExportedAccount:
    """An account as a writer gets it: the latest balance of each kind, and the transactions, the oldest first."""

    account: Account
    balances: Sequence[Balance]
    transactions: Sequence[Transaction]


class StatementWriter(Protocol):
    """Writes accounts in one format. Pure and synchronous: it runs in a worker thread."""

    @property
    def name(self) -> str:
        """What the format is asked for by, in lower case, such as `ofx`."""
        ...

    @property
    def media_type(self) -> str: ...

    @property
    def suffix(self) -> str:
        """How the file's name ends, with the dot."""
        ...

    def write(self, accounts: Iterable[ExportedAccount], /) -> Iterator[str]:
        """The file piece by piece, to be encoded in UTF-8. What is given alike is written alike, to the letter."""
        ...


@attrs.frozen
class StatementWriters:
    """Every writer at hand."""

    writers: Sequence[StatementWriter] = ()

    def find(self, name: str, /) -> Result[StatementWriter, AccountsRefused]:
        for writer in self.writers:
            if writer.name == name:
                return Success(writer)
        known = ", ".join(sorted(writer.name for writer in self.writers))
        advice = f"ask for one of {known}" if known else "pip install dashtam-files"
        message = f"no installed writer has the format {name[:64]!r}: {advice}"
        return refused(AccountsCode.EXPORT_FORMAT_UNKNOWN, message)


@attrs.frozen
class Export:
    """A file to take along. `filename` is a suggestion, with the day it was made."""

    data: bytes = attrs.field(repr=False)
    media_type: str
    filename: str


@attrs.frozen
class ExportTransactions(Query[Export, AccountsRefused]):
    """The subject's accounts as one file, or one of them. Days are those of the bank, both included."""

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "export"
    resource_field: ClassVar[str] = "account_id"
    audited: ClassVar[bool] = True
    format: str
    account_id: AccountId | None = None
    from_date: date | None = None
    to_date: date | None = None


@attrs.frozen
class ExportTransactionsHandler:
    writers: StatementWriters
    accounts: Accounts
    transactions: Transactions
    clock: Clock
    notes: Notes

    async def apply(self, query: ExportTransactions, /) -> Result[Export, AccountsRefused]:
        found = self.writers.find(query.format)
        if isinstance(found, Failure):
            return found
        if query.from_date and query.to_date and query.to_date < query.from_date:
            return backwards(query.from_date, query.to_date)
        overviews = await self._overviews(query.account_id)
        if query.account_id is not None and not overviews:
            return Failure(ACCOUNT_NOT_FOUND)
        writer, told = found.unwrap(), [await self._exported(each, query) for each in overviews]
        rows = sum(len(each.transactions) for each in told)
        self.notes.context |= {"format": writer.name, "accounts": len(told), "transactions": rows}
        data = await asyncio.to_thread(_written, writer, told)
        return Success(Export(data, writer.media_type, f"dashtam-{self.clock.now():%Y-%m-%d}{writer.suffix}"))

    async def _overviews(self, account_id: AccountId | None) -> Sequence[AccountOverview]:
        if account_id is not None:
            one = await self.accounts.find_account(account_id)
            return [] if one is None else [one]
        every = list[AccountOverview]()
        after = None
        while some := await self.accounts.list_accounts(after=after, limit=_ACCOUNTS):
            every += some
            after = some[-1].account.account_id
        return every

    async def _exported(self, overview: AccountOverview, query: ExportTransactions) -> ExportedAccount:
        account = overview.account
        wanted = TransactionFilter(account_id=account.account_id, from_date=query.from_date, to_date=query.to_date)
        rows = list[Transaction]()
        after = None
        while some := await self.transactions.find(wanted, after=after, limit=_ROWS):
            rows += some
            after = some[-1].posted_date, some[-1].transaction_id
            if len(some) < _ROWS:
                break
        rows.reverse()
        return ExportedAccount(account, overview.balances, rows)


def _written(writer: StatementWriter, accounts: Sequence[ExportedAccount]) -> bytes:
    data = bytearray()
    for number, piece in enumerate(writer.write(accounts)):
        data += piece.encode()
        if not number % _BREATH:
            checkpoint()
    return bytes(data)


ROUTES: Final = (ExportTransactions.handled_by(ExportTransactionsHandler),)
