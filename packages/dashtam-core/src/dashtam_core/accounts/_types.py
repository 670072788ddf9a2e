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
