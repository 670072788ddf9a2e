"""Small MT940 documents of our own, and how the tests read them."""

from dashtam_core.accounts import AccountBatch, ImportFailed, ReadingWarning, Statement, TransactionData
from dashtam_files.mt940 import Mt940Reader

HEAD = (":20:STARTUMS", ":25:12030000/1020304050", ":28C:7/1", ":60F:C240131EUR100,00")
TAIL = (":62F:C240229EUR100,00", "-")
LINE = ":61:2402050206D12,50NTRFNONREF//B7"


def document(*lines: str, head: tuple[str, ...] = HEAD, tail: tuple[str, ...] = TAIL) -> str:
    return "".join(f"{line}\r\n" for line in (*head, *lines, *tail))


def read(data: str | bytes) -> Statement:
    return Mt940Reader().read(data if isinstance(data, bytes) else data.encode()).unwrap()


def refusal(text: str) -> ImportFailed:
    return Mt940Reader().read(text.encode()).failure()


def batch(data: str | bytes) -> AccountBatch:
    (only,) = read(data).batch.accounts
    return only


def row(*lines: str) -> TransactionData:
    """The only row of a statement with these lines."""
    (only,) = batch(document(*lines)).transactions
    return only


def rules(data: str | bytes) -> list[str]:
    return [warning.rule for warning in warnings(data)]


def warnings(data: str | bytes) -> tuple[ReadingWarning, ...]:
    return read(data).batch.warnings
