"""What any provider delivers, a file or an API alike: the one shape that ingestion takes."""

from datetime import date, datetime
from decimal import Decimal

import attrs

from dashtam_core.accounts._types import (
    AccountType,
    BalanceKind,
    InvestmentAction,
    SecurityScheme,
    SecurityType,
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


@attrs.frozen(slots=True)
class SecurityId:
    """A security's id in one scheme."""

    scheme: SecurityScheme
    value: str


@attrs.frozen(kw_only=True, slots=True)
class SecurityData:
    """A security as its provider names it: `ids` with the most telling first."""

    ids: tuple[SecurityId, ...] = ()
    name: str | None = None
    type: SecurityType = SecurityType.OTHER
    currency: Currency | None = None


@attrs.frozen(kw_only=True, slots=True)
class HoldingData:
    """What an investment account holds of a security on a day. `units` is negative for a short position."""

    security: SecurityData
    as_of: date
    units: Decimal
    unit_price: Money | None = None
    price_as_of: date | None = None
    market_value: Money | None = None
    cost_basis: Money | None = None


@attrs.frozen(kw_only=True, slots=True)
class InvestmentDetail:
    """What a movement of an investment account did to a security (OFX 2.3, section 13.9.2).

    `units` is the effect on the position: negative is units leaving. `commission`, `fees` and `taxes` are what was
    paid, so positive, and are part of the transaction's amount already.
    """

    action: InvestmentAction
    security: SecurityData | None = None
    units: Decimal | None = None
    unit_price: Money | None = None
    commission: Money | None = None
    fees: Money | None = None
    taxes: Money | None = None
    settle_date: date | None = None


@attrs.frozen(kw_only=True, slots=True)
class Counterparty:
    """Who is on the other side. A provider says the full number or IBAN; kept are `mask` and `number_hash`."""

    name: str | None = None
    account: str | None = attrs.field(default=None, repr=False)
    bic: str | None = None
    mask: str | None = None
    """The last four characters of the number."""
    number_hash: bytes | None = attrs.field(default=None, repr=False)
    """As that of an account, by which a transfer between two of one person is known."""


@attrs.frozen(kw_only=True, slots=True)
class TransactionPart:
    """A part of a transaction: one payment of a batch (ISO 20022 TxDtls), or one line of a split (QIF).

    `amount` is the part's effect on the account's balance, None where the bank gives only the sum.
    """

    amount: Money | None = None
    description: str | None = None
    category: str | None = None
    counterparty: Counterparty | None = None
    reference: str | None = None
    end_to_end_id: str | None = None
    mandate_id: str | None = None


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
    mandate_id: str | None = None
    bank_transaction_code: str | None = None
    """What kind of booking it is in the bank's words: ISO 20022 BkTxCd (`PMNT-RCDT-ESCT`), MT940 (`NTRF`)."""
    category: str | None = None
    """The category that the source gives, in its own words. A person's own is an annotation."""
    counterparty: Counterparty | None = None
    running_balance: Money | None = None
    """The account's balance after this row, where the statement prints one."""
    reversal: bool = False
    """The bank takes an earlier booking back (ISO 20022 RvslInd, MT940 RC and RD). Never flips the sign."""
    details: tuple[TransactionPart, ...] = ()
    investment: InvestmentDetail | None = None
    replaces: str | None = None
    """The `provider_transaction_id` of an earlier row that this one takes the place of, such as a pending one or
    one it corrects (OFX CORRECTFITID). With the status VOID, this row takes that one back."""


@attrs.frozen(kw_only=True)
class AccountBatch:
    """One account with what is new about it. `covered_window` is the span the provider claims to be complete."""

    account: AccountData
    transactions: tuple[TransactionData, ...] = ()
    balances: tuple[BalanceData, ...] = ()
    holdings: tuple[HoldingData, ...] = ()
    covered_window: DateRange | None = None
    removed: tuple[str, ...] = ()
    """Ids of transactions that the provider says it takes back."""


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
