"""The questions a person asks: which accounts, which transactions."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import ClassVar, Final
from uuid import UUID

import attrs

from dashtam_core.accounts._entities import Balance, Holding, Transaction
from dashtam_core.accounts._errors import ACCOUNT_NOT_FOUND, AccountsCode, AccountsRefused, backwards, refused
from dashtam_core.accounts._repositories import (
    AccountOverview,
    Accounts,
    Position,
    TransactionFilter,
    Transactions,
)
from dashtam_core.accounts._types import AccountId, TransactionId, TransactionStatus
from dashtam_core.identity import ACCOUNTS_READ, Keyring
from dashtam_core.kernel import Cursors, Failure, Page, Permission, Result, Subject, Success, map_failure
from dashtam_core.messaging import Query

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
_BALANCE_DAYS: Final = 3_660
_YEAR: Final = timedelta(days=365)


@attrs.frozen
class ListAccounts(Query[Page[AccountOverview], AccountsRefused]):
    """Your accounts in the order they were added, each with the latest balance of each kind."""

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "account"
    cached: ClassVar[bool] = True
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


@attrs.frozen
class _OfAccount:
    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "account"
    resource_field: ClassVar[str] = "account_id"
    account_id: AccountId


@attrs.frozen
class GetAccount(_OfAccount, Query[AccountOverview, AccountsRefused]):
    """One account with the latest balance of each kind."""

    cached: ClassVar[bool] = True


@attrs.frozen(kw_only=True)
class ListTransactions(Query[Page[Transaction], AccountsRefused]):
    """Your transactions, the latest first. Days are calendar days of the bank, both included.

    An amount below zero is money leaving the account.
    """

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "transaction"
    cached: ClassVar[bool] = True
    account_id: AccountId | None = None
    from_date: date | None = None
    to_date: date | None = None
    status: TransactionStatus | None = None
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class ListBalances(_OfAccount, Query[Sequence[Balance], AccountsRefused]):
    """The history of an account's balances, the earliest first, over at most ten years.

    Without days, the year up to the latest balance. Days are those of the bank, both included.
    """

    cached: ClassVar[bool] = True
    from_date: date | None = None
    to_date: date | None = None


@attrs.frozen
class ListHoldings(_OfAccount, Query[Sequence[Holding], AccountsRefused]):
    """What an account holds as of the latest day that its provider told of."""

    cached: ClassVar[bool] = True


@attrs.frozen
class Paging:
    """What the lists share: the bounds of a page, and the cursor between two."""

    subject: Subject
    keyring: Keyring

    def start(self, scope: str, limit: int, cursor: str | None) -> Result[str | None, AccountsRefused]:
        """Where the page begins: behind this position, or None for the first page."""
        if not 1 <= limit <= MAX_LIMIT:
            return refused(
                AccountsCode.LIMIT_INVALID,
                f"a page has 1 to {MAX_LIMIT} items, not {limit}: ask for fewer, and for the rest by next_cursor",
            )
        if cursor is None:
            return Success(None)
        return map_failure(
            self._cursors().read(cursor, scope=self._own(scope)),
            lambda error: AccountsRefused(AccountsCode.CURSOR_INVALID, error.message),
        )

    def page[T](self, scope: str, items: Sequence[T], limit: int, position: Callable[[T], str]) -> Page[T]:
        """A page of `limit` out of items of which one more was asked for."""
        if len(items) <= limit:
            return Page(items, None)
        cursor = self._cursors().write(position(items[limit - 1]), scope=self._own(scope))
        return Page(items[:limit], cursor)

    def _cursors(self) -> Cursors:
        return Cursors(self.keyring.derive("cursor"))

    def _own(self, scope: str) -> str:
        return f"{self.subject.user_id}/{scope}"


@attrs.frozen
class ListAccountsHandler:
    accounts: Accounts
    paging: Paging

    async def apply(self, query: ListAccounts, /) -> Result[Page[AccountOverview], AccountsRefused]:
        start = self.paging.start("accounts", query.limit, query.cursor)
        if isinstance(start, Failure):
            return start
        position = start.unwrap()
        after = None if position is None else AccountId(UUID(position))
        found = await self.accounts.list_accounts(after=after, limit=query.limit + 1)
        return Success(self.paging.page("accounts", found, query.limit, lambda each: str(each.account.account_id)))


@attrs.frozen
class GetAccountHandler:
    accounts: Accounts

    async def apply(self, query: GetAccount, /) -> Result[AccountOverview, AccountsRefused]:
        found = await self.accounts.find_account(query.account_id)
        return Failure(ACCOUNT_NOT_FOUND) if found is None else Success(found)


@attrs.frozen
class ListTransactionsHandler:
    accounts: Accounts
    transactions: Transactions
    paging: Paging

    async def apply(self, query: ListTransactions, /) -> Result[Page[Transaction], AccountsRefused]:
        if query.from_date and query.to_date and query.to_date < query.from_date:
            return backwards(query.from_date, query.to_date)
        status = f"/{query.status}" if query.status else ""
        scope = f"transactions/{query.account_id}/{query.from_date}/{query.to_date}{status}"
        start = self.paging.start(scope, query.limit, query.cursor)
        if isinstance(start, Failure):
            return start
        position = start.unwrap()
        after = None if position is None else _position(position)
        if query.account_id is not None and await self.accounts.find_account(query.account_id) is None:
            return Failure(ACCOUNT_NOT_FOUND)
        wanted = TransactionFilter(
            account_id=query.account_id, from_date=query.from_date, to_date=query.to_date, status=query.status
        )
        found = await self.transactions.find(wanted, after=after, limit=query.limit + 1)
        return Success(self.paging.page(scope, found, query.limit, _position_text))


@attrs.frozen
class ListBalancesHandler:
    accounts: Accounts

    async def apply(self, query: ListBalances, /) -> Result[Sequence[Balance], AccountsRefused]:
        found = await self.accounts.find_account(query.account_id)
        if found is None:
            return Failure(ACCOUNT_NOT_FOUND)
        latest = max((each.as_of for each in found.balances), default=query.from_date or date.min)
        last = query.to_date or max(latest, query.from_date or date.min)
        first = query.from_date or (last - _YEAR if last - date.min > _YEAR else date.min)
        if last < first:
            return backwards(first, last)
        if (last - first).days >= _BALANCE_DAYS:
            message = f"{first} to {last} is too long: ask for at most {_BALANCE_DAYS:,} days at a time"
            return refused(AccountsCode.DATE_RANGE_INVALID, message)
        return Success(await self.accounts.list_balances(query.account_id, from_date=first, to_date=last))


@attrs.frozen
class ListHoldingsHandler:
    accounts: Accounts

    async def apply(self, query: ListHoldings, /) -> Result[Sequence[Holding], AccountsRefused]:
        if await self.accounts.find_account(query.account_id) is None:
            return Failure(ACCOUNT_NOT_FOUND)
        return Success(await self.accounts.list_holdings(query.account_id))


def _position(text: str) -> Position:
    day, _, id_ = text.partition("/")
    return date.fromisoformat(day), TransactionId(UUID(id_))


def _position_text(transaction: Transaction) -> str:
    return f"{transaction.posted_date}/{transaction.transaction_id}"


ROUTES: Final = (
    ListAccounts.handled_by(ListAccountsHandler),
    GetAccount.handled_by(GetAccountHandler),
    ListTransactions.handled_by(ListTransactionsHandler),
    ListBalances.handled_by(ListBalancesHandler),
    ListHoldings.handled_by(ListHoldingsHandler),
)
