"""What any provider delivers, a file or an API alike: the one shape that ingestion takes."""

from datetime import date, datetime
from decimal import Decimal

import attrs

from dashtam_core.accounts._types import (
    AccountType,
    BalanceKind,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Currency, DateRange, Money


@attrs.frozen(slots=True)
class ReadingWarning:
    """Something odd that was read around, so that one bad field never costs a file.

    `rule` is a stable name such as `date_unreadable`, `where` the place in the document, `raw` the text found.
    """

    rule: str
    where: str
    raw: str | None = None


@attrs.frozen(kw_only=True, slots=True)
class AccountData:
    """An account as its provider names it. `number` is the full number or IBAN: hashed, never stored."""

    provider_account_id: str = attrs.field(repr=False)
    account_type: AccountType
    currency: Currency
    number: str | None = attrs.field(default=None, repr=False)
    bank_id: str | None = None
    """Routing number, BIC or sort code: OFX BANKID."""
    institution: str | None = None
    """The bank's name as printed: OFX FI/ORG."""
    institution_id: str | None = None
    """The bank's id in its own scheme: OFX FI/FID."""
    name: str | None = None
    official_name: str | None = None


@attrs.frozen(kw_only=True, slots=True)
class BalanceData:
    """A balance that a provider reported: `as_of` is the calendar day as printed, `reported_at` the instant."""

    kind: BalanceKind
    as_of: date
    amount: Money
    reported_at: datetime | None = None


@attrs.frozen(kw_only=True, slots=True)
class TransactionData:
    """One movement as its provider reports it.

    `amount` is the effect on the account's balance: negative is money leaving. `posted_date` is the bank's
    calendar day as printed, never shifted by a time zone; `posted_at` is the instant in UTC where it is known.
    Unknown is None, never zero or an empty text.
    """

    posted_date: date
    amount: Money
    type: TransactionType
    status: TransactionStatus = TransactionStatus.POSTED
    description: str | None = None
    """What the statement prints, verbatim."""
    payee: str | None = None
    memo: str | None = None
    provider_transaction_id: str | None = None
    """The provider's id: OFX FITID. Banks re-use these for other content."""
    value_date: date | None = None
    transaction_date: date | None = None
    """The day the person acted: OFX DTUSER."""
    posted_at: datetime | None = None
    original_amount: Money | None = None
    """The amount before conversion, in the currency it was made in."""
    exchange_rate: Decimal | None = None
    """Units of the account's currency for one of the original currency: OFX CURRATE."""
    mcc: str | None = None
    """Merchant category, ISO 18245: OFX SIC."""
    check_number: str | None = None
    reference: str | None = None
    end_to_end_id: str | None = None


@attrs.frozen(kw_only=True)
class AccountBatch:
    """One account with what is new about it. `covered_window` is the span the provider claims to be complete."""

    account: AccountData
    transactions: tuple[TransactionData, ...] = ()
    balances: tuple[BalanceData, ...] = ()
    covered_window: DateRange | None = None


@attrs.frozen(kw_only=True)
class SyncBatch:
    """Everything one reading of a provider brought, by account, in the provider's order.

    `next_cursor` is where the next reading goes on, in the provider's own words; `more` says that there is more to
    read right now. A file has neither.
    """

    accounts: tuple[AccountBatch, ...] = ()
    warnings: tuple[ReadingWarning, ...] = ()
    next_cursor: str | None = None
    more: bool = False
