"""How a command ends: one line on stderr, and an exit code that a script can act on."""

from typing import Any, Final, NoReturn

from dashtam_core.audit import AuditCode
from dashtam_core.cli._show import note
from dashtam_core.kernel import DomainError, ErrorKind, Failure, Result, Success

UNAVAILABLE: Final = 3
"""Something Dashtam needs is not there or not set up."""

EXIT_CODES: Final = dict.fromkeys(ErrorKind, 2) | {
    ErrorKind.UNAVAILABLE: UNAVAILABLE,
    ErrorKind.TOO_MANY: UNAVAILABLE,
    ErrorKind.UNAUTHENTICATED: 4,
    ErrorKind.FORBIDDEN: 4,
}
"""2 is for what the caller can put right."""

UNTRUSTED: Final = 5
"""The audit log, or an export or checkpoint of it, is not what was signed."""

_UNTRUSTED: Final = {AuditCode.AUDIT_TAMPERED, AuditCode.CHECKPOINT_INVALID, AuditCode.EXPORT_INVALID}


def stop(message: str, code: int) -> NoReturn:
    """End the command with one line, `dashtam: <message>`, on stderr and this exit code."""
    note(message)
    raise SystemExit(code)


def value_of[T, E: DomainError[Any]](result: Result[T, E], /) -> T:
    """The value of a success; a failure ends the command with its code and message."""
    match result:
        case Success(value):
            return value
        case Failure(error):
            code = UNTRUSTED if error.code in _UNTRUSTED else EXIT_CODES[error.code.kind]
            stop(f"[{error.code}] {error.message}", code)
