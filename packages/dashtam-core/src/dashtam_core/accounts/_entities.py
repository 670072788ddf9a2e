"""What the store keeps: accounts, balances, transactions, and the documents they came from."""

from datetime import datetime

import attrs

from dashtam_core.accounts._batch import BalanceData, HoldingData, ReadingWarning, TransactionData
from dashtam_core.accounts._types import (
    AccountId,
    AccountStatus,
    AccountType,
    Arithmetic,
    BalanceOrigin,
    BalanceType,
    DocumentId,
    TransactionId,
)
from dashtam_core.kernel import Currency, Money


@attrs.define(eq=False, kw_only=True)
class Account:
    """An account of one person. Its full number is nowhere in it: `mask` is for people, `account_key` matches.

    `account_key` is 16 bytes, a keyed hash of what identifies the account at its provider.
    """

    account_id: AccountId
    provider: str
    account_key: bytes = attrs.field(repr=False)
    provider_account_id: str | None = None
    """The provider's opaque id; None where that is the account's number."""
    name: str
    official_name: str | None = None
    mask: str | None = None
    """The last four characters of the number."""
    number_hash: bytes | None = attrs.field(default=None, repr=False)
    """16 bytes, a keyed hash of the full number or IBAN: equal wherever the same account is met."""
    account_type: AccountType
    currency: Currency
    bank_id: str | None = None
    institution: str | None = None
    status: AccountStatus = AccountStatus.OPEN
    created_at: datetime

    @property
    def balance_type(self) -> BalanceType:
        """Whether a positive balance is owned or owed."""
        return self.account_type.balance_type


@attrs.frozen(kw_only=True, slots=True)
class Balance(BalanceData):
    """A balance of an account at a time. Balances are only added, so that they are the history of net worth."""

    account_id: AccountId
    origin: BalanceOrigin = BalanceOrigin.REPORTED


@attrs.frozen(kw_only=True, slots=True)
class Holding(HoldingData):
    """What an account held of a security on a day. Holdings are only added: the latest day is what it holds."""

    account_id: AccountId


@attrs.frozen(kw_only=True, slots=True)
class Split:
    """A share of a transaction that a person gives a category of its own."""

    amount: Money
    category: str | None = None
    note: str | None = None


@attrs.frozen(kw_only=True, slots=True)
class Annotation:
    """What a person says about a transaction. No import ever writes it. `splits` add up to the amount."""

    transaction_id: TransactionId
    category: str | None = None
    payee: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()


@attrs.frozen(kw_only=True, slots=True, eq=False)
class Transaction(TransactionData):
    """One movement of an account, as stored: what the provider said, and where that came from."""

    transaction_id: TransactionId
    account_id: AccountId
    document_id: DocumentId | None = None
    index: int
    """Its place in the document, from 0, counted over the account."""
    dedupe_key: bytes = attrs.field(repr=False)
    occurrence: int
    superseded_by: TransactionId | None = None
    """The transaction that this is an earlier or a second telling of: shown is that one."""
    removed_at: datetime | None = None
    """When the provider took it back."""
    missing_since: datetime | None = None
    """Since when a statement that covers its day is without it. It counts all the same."""
    waits_for: str | None = None
    """The provider's id of a row that it replaces and that has not come yet."""
    annotation: Annotation | None = None

    @property
    def is_hidden(self) -> bool:
        """Whether it counts no more: another stands for it, or it was taken back."""
        return self.superseded_by is not None or self.removed_at is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Transaction) and self.transaction_id == other.transaction_id

    def __hash__(self) -> int:
        return hash(self.transaction_id)


@attrs.frozen(slots=True)
class AccountImport:
    """What a document brought for one account: `read` rows in it, of which `added` were new.

    `changed` rows were known and said something new, such as a pending one that was posted; `removed` ones were
    taken back, or pending for too long. `difference` is what is missing for the statement to add up.
    """

    account_id: AccountId
    read: int
    added: int
    changed: int = 0
    removed: int = 0
    arithmetic: Arithmetic = Arithmetic.UNKNOWN
    difference: Money | None = None

    @property
    def skipped(self) -> int:
        """Rows that were there already."""
        return self.read - self.added - self.changed


@attrs.frozen(kw_only=True)
class ImportDocument:
    """A statement file that was taken in, and what came of it. `sha256` is unique for each person."""

    document_id: DocumentId
    sha256: bytes
    filename: str | None
    format: str
    encoding: str
    parser: str
    imported_at: datetime
    accounts: tuple[AccountImport, ...] = ()
    warnings: tuple[ReadingWarning, ...] = ()

    @property
    def added(self) -> int:
        """Transactions that were new."""
        return sum(account.added for account in self.accounts)

    @property
    def skipped(self) -> int:
        """Transactions that were there already."""
        return sum(account.skipped for account in self.accounts)
