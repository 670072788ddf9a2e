"""Errors as values: what a caller did or met, with a code for machines and a sentence for people."""

from enum import StrEnum, auto
from typing import Self

import attrs


class ErrorKind(StrEnum):
    """What sort of refusal a code is; each edge (HTTP, command line) maps the kind once, never each code."""

    INVALID = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    CONFLICT = auto()
    TOO_LARGE = auto()
    UNSUPPORTED = auto()
    TOO_MANY = auto()
    UNAVAILABLE = auto()


class ErrorCode(StrEnum):
    """A room's machine-readable codes: subclass with `NAME = "code", ErrorKind.X`."""

    kind: ErrorKind

    def __new__(cls, value: str, kind: ErrorKind) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind = kind
        return member


@attrs.frozen
class DomainError[C: ErrorCode]:
    """A refusal: `code` is stable and for programs, `message` says what, why and what to do next."""

    code: C
    message: str
    retry_after: float | None = attrs.field(default=None, kw_only=True)
    """In how many seconds the same may be answered otherwise, where that is a matter of time."""

    def __str__(self) -> str:
        return self.message


class KernelCode(ErrorCode):
    MONEY_INVALID = "money_invalid", ErrorKind.INVALID
    CURRENCY_INVALID = "currency_invalid", ErrorKind.INVALID
    DATE_RANGE_INVALID = "date_range_invalid", ErrorKind.INVALID
    CURSOR_INVALID = "cursor_invalid", ErrorKind.INVALID
    SETTING_INVALID = "setting_invalid", ErrorKind.INVALID


@attrs.frozen
class ValueRefused(DomainError[KernelCode]):
    """Text that is not the value it should be."""


class UnavailableCode(ErrorCode):
    STORE_UNREACHABLE = "store_unreachable", ErrorKind.UNAVAILABLE
    STORE_NOT_MIGRATED = "store_not_migrated", ErrorKind.UNAVAILABLE
    STORE_ROLE_TOO_POWERFUL = "store_role_too_powerful", ErrorKind.UNAVAILABLE
    STORE_BUSY = "store_busy", ErrorKind.UNAVAILABLE
    MASTER_KEY_WRONG = "master_key_wrong", ErrorKind.UNAVAILABLE
    TOO_SLOW = "too_slow", ErrorKind.UNAVAILABLE
    STORE_NOT_CONFIGURED = "store_not_configured", ErrorKind.UNAVAILABLE
    CACHE_UNREACHABLE = "cache_unreachable", ErrorKind.UNAVAILABLE
    CACHE_NOT_CONFIGURED = "cache_not_configured", ErrorKind.UNAVAILABLE
    BUS_UNREACHABLE = "bus_unreachable", ErrorKind.UNAVAILABLE
    BUS_FULL = "bus_full", ErrorKind.UNAVAILABLE
    BUS_NOT_CONFIGURED = "bus_not_configured", ErrorKind.UNAVAILABLE


class UnavailableError(Exception):
    """A machine Dashtam needs does not answer or is not ready. Raised, since no caller's input caused it."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> "tuple[type[UnavailableError], tuple[ErrorCode, str]]":
        return type(self), (self.code, self.message)
