"""Small QIF documents of our own, and how the tests read them."""

from dashtam_core.accounts import AccountBatch, ImportFailed, Statement, StatementReader, TransactionData
from dashtam_core.kernel import Failure, Success
from dashtam_files.qif import QifReader


def rows(*records: str, header: str = "!Type:Bank") -> str:
    """A document of one section; the fields of a record are apart by `|`."""
    return f"{header}\n" + "".join(f"{record.replace('|', '\n')}\n^\n" for record in records)


def dated(*days: str, header: str = "!Type:Bank") -> str:
    return rows(*(f"D{day}|T-1.00|PCorner Bakery" for day in days), header=header)


def statement(data: str | bytes, reader: StatementReader | None = None) -> Statement:
    match (reader or QifReader()).read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            return read
        case Failure(error):
            raise AssertionError(error)


def refusal(data: str | bytes, reader: StatementReader | None = None) -> ImportFailed:
    match (reader or QifReader()).read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            raise AssertionError(read)
        case Failure(error):
            assert "  " not in error.message
            assert error.message.isprintable()
            return error


def directed(profile: str) -> StatementReader:
    match QifReader().directed(profile):
        case Success(reader):
            return reader
        case Failure(error):
            raise AssertionError(error)


def account(data: str | bytes) -> AccountBatch:
    (only,) = statement(data).batch.accounts
    return only


def days(data: str | bytes, reader: StatementReader | None = None) -> list[str]:
    return [f"{row.posted_date}" for each in statement(data, reader).batch.accounts for row in each.transactions]


def row(record: str, header: str = "!Type:Bank") -> TransactionData:
    (only,) = account(rows(f"D2024-01-31|{record}", header=header)).transactions
    return only


def warnings(data: str | bytes) -> list[tuple[str, str, str | None]]:
    """All but those that a file without a name and a currency has."""
    usual = {"account_id_missing", "currency_missing"}
    said = statement(data).batch.warnings
    return [(each.rule, each.where, each.raw) for each in said if each.rule not in usual]
