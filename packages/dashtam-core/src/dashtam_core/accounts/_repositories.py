"""The ports of this room's storage. Each belongs to one unit of work and sees one person's data only."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

import attrs

from dashtam_core.accounts._dedupe import KeyedTransaction
from dashtam_core.accounts._entities import Account, Balance, ImportDocument, Transaction
from dashtam_core.accounts._types import AccountId, DocumentId, TransactionId


@attrs.frozen(slots=True)
class AccountOverview:
    """An account with the latest balance of each kind.

    The later `as_of` wins, then the later `reported_at` (none is the earliest), then what was added last.
    """

    account: Account
    balances: tuple[Balance, ...]


@attrs.frozen(kw_only=True, slots=True)
class TransactionFilter:
    """Which transactions: those that meet everything given. Days are included at both ends."""

    account_id: AccountId | None = None
    from_date: date | None = None
    to_date: date | None = None


class Accounts(Protocol):
    async def add_accounts(self, accounts: Sequence[Account], /) -> Sequence[Account]:
        """Each account as the store knows it, in order: found by its `account_key`, or added."""
        ...

    async def add_transactions(
        self, document_id: DocumentId | None, rows: Mapping[AccountId, Sequence[KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        """Adds the rows whose (account, dedupe_key, occurrence) is new; how many that were, for each account.

        The document is added later in the same unit, for it says how many were new: a store that checks the
        reference checks it at the commit. An account that is not the person's raises.
        """
        ...

    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        """Adds the balances that were not there already: equal in every field, where 1 and 1.00 are equal."""
        ...

    async def list_accounts(self, *, after: AccountId | None, limit: int) -> Sequence[AccountOverview]:
        """Accounts by their id, which is the order they were made in, beginning beyond `after`."""
        ...

    async def find_account(self, account_id: AccountId, /) -> AccountOverview | None: ...

    async def list_transactions(
        self, wanted: TransactionFilter, /, *, after: tuple[date, TransactionId] | None, limit: int
    ) -> Sequence[Transaction]:
        """Transactions by (posted_date, transaction_id), the latest first, beginning beyond `after`."""
        ...


class Documents(Protocol):
    async def add(self, document: ImportDocument, /) -> bool:
        """Keeps the document; False, and nothing is kept, if the person has one with the same `sha256`."""
        ...

    async def find(self, sha256: bytes, /) -> ImportDocument | None: ...

    async def get(self, document_id: DocumentId, /) -> ImportDocument | None: ...
