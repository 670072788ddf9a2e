"""The closed vocabularies of the model, in the words of OFX 2.3 and ISO 20022."""

from enum import StrEnum
from typing import NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
TransactionId = NewType("TransactionId", UUID)
DocumentId = NewType("DocumentId", UUID)


class AccountType(StrEnum):
    """OFX ACCTTYPE, and what else a person can hold."""

    CHECKING = "CHECKING"
    SAVINGS = "SAVINGS"
    MONEYMRKT = "MONEYMRKT"
    CREDITLINE = "CREDITLINE"
    CD = "CD"
    CREDITCARD = "CREDITCARD"
    LOAN = "LOAN"
    MORTGAGE = "MORTGAGE"
    INVESTMENT = "INVESTMENT"
    RETIREMENT = "RETIREMENT"
    WALLET = "WALLET"
    OTHER = "OTHER"

    @property
    def balance_type(self) -> "BalanceType":
        """Whether money in it is owned or owed."""
        return BalanceType.LIABILITY if self in _OWED else BalanceType.ASSET


class BalanceType(StrEnum):
    ASSET = "ASSET"
    LIABILITY = "LIABILITY"


_OWED = {AccountType.CREDITLINE, AccountType.CREDITCARD, AccountType.LOAN, AccountType.MORTGAGE}


class AccountStatus(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class BalanceKind(StrEnum):
    """Which of an account's balances: OFX LEDGERBAL and AVAILBAL, the ISO 20022 types, limits and margins."""

    LEDGER = "LEDGER"
    AVAILABLE = "AVAILABLE"
    OPENING_BOOKED = "OPENING_BOOKED"
    CLOSING_BOOKED = "CLOSING_BOOKED"
    INTERIM_BOOKED = "INTERIM_BOOKED"
    CLOSING_AVAILABLE = "CLOSING_AVAILABLE"
    INTERIM_AVAILABLE = "INTERIM_AVAILABLE"
    EXPECTED = "EXPECTED"
    LIMIT = "LIMIT"
    CASH = "CASH"
    MARGIN = "MARGIN"


class BalanceOrigin(StrEnum):
    """Who says so: the provider, our own arithmetic, or the person."""

    REPORTED = "reported"
    COMPUTED = "computed"
    MANUAL = "manual"


class TransactionStatus(StrEnum):
    PENDING = "PENDING"
    POSTED = "POSTED"
    VOID = "VOID"


class TransactionType(StrEnum):
    """OFX TRNTYPE (OFX 2.3, section 11.4.4.3)."""

    CREDIT = "CREDIT"
    DEBIT = "DEBIT"
    INT = "INT"
    DIV = "DIV"
    FEE = "FEE"
    SRVCHG = "SRVCHG"
    DEP = "DEP"
    ATM = "ATM"
    POS = "POS"
    XFER = "XFER"
    CHECK = "CHECK"
    PAYMENT = "PAYMENT"
    CASH = "CASH"
    DIRECTDEP = "DIRECTDEP"
    DIRECTDEBIT = "DIRECTDEBIT"
    REPEATPMT = "REPEATPMT"
    HOLD = "HOLD"
    OTHER = "OTHER"


class SecurityScheme(StrEnum):
    """Who gives a security its id (OFX UNIQUEIDTYPE)."""

    ISIN = "ISIN"
    CUSIP = "CUSIP"
    SEDOL = "SEDOL"
    FIGI = "FIGI"
    TICKER = "TICKER"
    OTHER = "OTHER"
    """The provider's own."""


class SecurityType(StrEnum):
    """OFX 2.3, section 13.8.5."""

    STOCK = "STOCK"
    MUTUALFUND = "MUTUALFUND"
    DEBT = "DEBT"
    OPTION = "OPTION"
    CRYPTO = "CRYPTO"
    OTHER = "OTHER"


class InvestmentAction(StrEnum):
    """What a movement of an investment account did."""

    BUY = "BUY"
    SELL = "SELL"
    DIVIDEND = "DIVIDEND"
    INTEREST = "INTEREST"
    CAPITAL_GAIN = "CAPITAL_GAIN"
    REINVEST = "REINVEST"
    RETURN_OF_CAPITAL = "RETURN_OF_CAPITAL"
    FEE = "FEE"
    TAX = "TAX"
    SPLIT = "SPLIT"
    TRANSFER_IN = "TRANSFER_IN"
    TRANSFER_OUT = "TRANSFER_OUT"
    MARGIN_INTEREST = "MARGIN_INTEREST"
    OPTION_EXERCISE = "OPTION_EXERCISE"
    OPTION_EXPIRE = "OPTION_EXPIRE"
    OTHER = "OTHER"


class Arithmetic(StrEnum):
    """Whether a statement adds up: opening balance and booked rows against the closing balance."""

    RECONCILED = "reconciled"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    """It does not give both balances."""
