"""The ports of this room's storage. Each belongs to one unit of work and sees one person's data only."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from dashtam_core.accounts._dedupe import KeyedTransaction
from dashtam_core.accounts._entities import Account, Annotation, Balance, Holding, ImportDocument, Transaction
from dashtam_core.accounts._types import AccountId, DocumentId, TransactionId, TransactionStatus
from dashtam_core.kernel import DateRange

type Position = tuple[date, TransactionId]


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
    status: TransactionStatus | None = None
    transaction_ids: Collection[TransactionId] | None = None
    keys: Collection[bytes] | None = None
    """Their `dedupe_key`."""
    provider_ids: Collection[str] | None = None
    """Their `provider_transaction_id`."""
    document_id: DocumentId | None = None
    waiting: bool = False
    """Only those that may still change: pending, or waiting for the row they replace."""
    hidden: bool = False
    """Those that count no more as well."""


class Accounts(Protocol):
    async def add_accounts(self, accounts: Sequence[Account], /) -> Sequence[Account]:
        """Each account as the store knows it, in order: found by its `account_key`, or added.

        Until this unit ends, another that adds or finds one of them here waits: imports into an account follow
        one another.
        """
        ...

    async def add_balances(self, balances: Sequence[Balance], /) -> None:
        """Adds the balances that were not there already: equal in every field, where 1 and 1.00 are equal."""
        ...

    async def add_holdings(self, holdings: Sequence[Holding], /) -> None:
        """Adds the holdings that were not there already: of this account, security and day."""
        ...

    async def list_accounts(self, *, after: AccountId | None, limit: int) -> Sequence[AccountOverview]:
        """Accounts by their id, which is the order they were made in, beginning beyond `after`."""
        ...

    async def find_account(self, account_id: AccountId, /) -> AccountOverview | None: ...

    async def list_balances(
        self, account_id: AccountId, /, *, from_date: date, to_date: date
    ) -> Sequence[Balance]:
        """Every balance as of these days, the earliest first: by day, kind, instant (none first) and arrival."""
        ...

    async def list_holdings(self, account_id: AccountId, /) -> Sequence[Holding]:
        """What the account holds as of its latest day, in the order it was added."""
        ...


class Transactions(Protocol):
    """The rows of a person's accounts, and what the person says of them."""

    async def add(
        self, document_id: DocumentId | None, rows: Mapping[AccountId, Sequence[KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        """Adds the rows whose (account, dedupe_key, occurrence) is new; how many that were, for each account.

        The document is added later in the same unit, for it says how many were new: a store that checks the
        reference checks it at the commit. An account that is not the person's raises.
        """
        ...

    async def change(self, rows: Sequence[Transaction], /) -> None:
        """Replaces rows by their id, all but annotations. One that is not there raises `LookupError`."""
        ...

    async def find(
        self, wanted: TransactionFilter, /, *, after: Position | None = None, limit: int | None = None
    ) -> Sequence[Transaction]:
        """Transactions by (posted_date, transaction_id), the latest first, beginning beyond `after`."""
        ...

    async def mark_missing(
        self, account_id: AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        """Sets `missing_since` of posted rows in these days that were not sent, as (dedupe_key, occurrence).

        Where it is set it stays as it was; of those sent it is cleared. Rows that are hidden are left alone.
        """
        ...

    async def annotate(self, annotation: Annotation, /) -> None:
        """Keeps what a person says of a transaction of theirs, in place of what they said before.

        One with nothing but the id takes it away.
        """
        ...


class Documents(Protocol):
    async def add(self, document: ImportDocument, content: bytes | None = None, /) -> bool:
        """Keeps the document with its sealed content.

        False, and nothing is kept, if the person has one with the same `sha256`.
        """
        ...

    async def change(self, document: ImportDocument, /) -> None:
        """Replaces what is said of a document that is there; its content stays."""
        ...

    async def content(self, document_id: DocumentId, /) -> bytes | None:
        """What `add` was given; None where there is no such document, or it was kept without."""
        ...

    async def find(self, sha256: bytes, /) -> ImportDocument | None: ...

    async def get(self, document_id: DocumentId, /) -> ImportDocument | None: ...
