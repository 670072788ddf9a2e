"""What every room stands on: results, errors, money, days, ids, time, subjects and pages."""

from returns.result import Failure, Success

from dashtam_core.kernel._clock import Clock, SystemClock
from dashtam_core.kernel._currency import ISO_4217, Currency
from dashtam_core.kernel._dates import DateRange
from dashtam_core.kernel._errors import (
    DomainError,
    ErrorCode,
    ErrorKind,
    KernelCode,
    UnavailableCode,
    UnavailableError,
    ValueRefused,
)
from dashtam_core.kernel._ids import new_id, new_ids
from dashtam_core.kernel._money import MAX_DIGITS, CurrencyMismatchError, Money, amount_text
from dashtam_core.kernel._paging import Cursors, Page
from dashtam_core.kernel._result import Result, and_then, map_failure, map_success
from dashtam_core.kernel._subject import ANONYMOUS, PUBLIC, Origin, Permission, Subject, UserId

# fmt: off
__all__ = [
    "ANONYMOUS", "ISO_4217", "MAX_DIGITS", "PUBLIC", "Clock", "Currency", "CurrencyMismatchError", "Cursors",
    "DateRange", "DomainError", "ErrorCode", "ErrorKind", "Failure", "KernelCode", "Money", "Origin", "Page",
    "Permission", "Result", "Subject", "Success", "SystemClock", "UnavailableCode", "UnavailableError", "UserId",
    "ValueRefused", "amount_text", "and_then", "map_failure", "map_success", "new_id", "new_ids",
]
# fmt: on
