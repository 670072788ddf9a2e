"""Whole documents: what is QIF, which accounts it holds, profiles, limits and damage."""

import pytest

from dashtam_core.accounts import AccountType, BalanceKind, ImportCode, ProfiledReader, StatementReaders
from dashtam_core.kernel import Failure, Success
from dashtam_files.qif import QifReader
from unit.files.qif.qif_documents import account, dated, days, directed, refusal, rows, statement, warnings

ROW = "D2024-01-31\nT-5.00\nPCorner Bakery\n^\n"


@pytest.mark.parametrize(
    "beginning", ["!Type:Bank", "\ufeff\n \n!TYPE:BANK ", "! type : bank", "# a\n^\n!Option:X\n!Type:Bank"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_qif_is_recognized_by_its_first_header(beginning: str, end: str) -> None:
    """Marks, blanks, comments, case and kinds of line ends do not hide it."""
    data = f"{beginning}\n{ROW}".replace("\n", end)
    assert QifReader().recognizes(data.encode())
    assert days(data) == ["2024-01-31"]
    assert account(data).account.account_type is AccountType.CHECKING


@pytest.mark.parametrize("data", [b"", b"D1/1/24\nT5\n^\n", b"!Typ", b"a,b\n!Type:Bank\n", b"<!Type:Bank>"])
def test_other_content_is_not_recognized(data: bytes) -> None:
    """It is left to the other readers, and refused when read all the same."""
    assert not QifReader().recognizes(data)
    assert refusal(data).code is ImportCode.FORMAT_UNKNOWN


def test_accounts_are_those_that_the_document_names() -> None:
    """Lists are passed over, a name said again is the same account, and its type is the section's or its own."""
    text = (
        "!Option:AutoSwitch\n!Account\nNChecking\nTBank\n^\nNPlan\nT401(k)/403(b)\n^\n!Clear:AutoSwitch\n"
        f"!Type:Cat\nNFood\nE\n^\n!Account\nNChecking\n^\n!Type:Bank\n{ROW}"
        f"!Account\nNVisa\nTCCard\n^\n!Type:CCard\n{ROW}{ROW}!Type:Memorized\nKC\nT5\n^\n"
        f"!Account\nNChecking\n^\n!Type:Bank\n{ROW}!Account\nNPlan\n^\n!Type:Invst\n"
    )
    read = statement(text).batch
    found = [(each.account.name, str(each.account.account_type), len(each.transactions)) for each in read.accounts]
    assert found == [("Checking", "CHECKING", 2), ("Plan", "RETIREMENT", 0), ("Visa", "CREDITCARD", 2)]
    assert [each.rule for each in read.warnings] == ["currency_missing"] * 3


KINDS = [("Bank", "CHECKING"), ("Cash", "WALLET"), ("Invst", "INVESTMENT"), ("Oth L", "LOAN"), ("Banque", "OTHER")]


@pytest.mark.parametrize(("kind", "expected"), KINDS)
def test_an_account_without_a_name_is_told_from_others_by_its_kind(kind: str, expected: str) -> None:
    """Its id is empty and that is said; a kind nobody knows still holds rows if they have day and amount."""
    text = f"!Type:{kind}\nD2024-01-31\nT5\n^\n"
    read = statement(text + text).batch
    (only,) = read.accounts
    assert (only.account.provider_account_id, only.account.name, only.account.number) == ("", None, None)
    assert (only.account.account_type, str(only.account.currency), len(only.transactions)) == (expected, "XXX", 2)
    assert [each.rule for each in read.warnings] == ["account_id_missing", "currency_missing"]
    assert len(statement(text + f"!Type:CCard\n{ROW}").batch.accounts) == 2


def test_of_a_list_of_accounts_none_is_guessed() -> None:
    """Rows after a list of several belong to none that is known."""
    assert account(f"!Account\nNOne\n^\nNTwo\n^\n!Type:Bank\n{ROW}").account.provider_account_id == ""
    assert account(f"!Account\nNOne\n^\n!Clear:AutoSwitch\n!Type:Bank\n{ROW}").account.name == "One"


@pytest.mark.parametrize("name", ["12-3456 7890", "DE02 1203 0000 0000 2020 51"])
def test_a_name_that_is_a_number_is_kept_as_one(name: str) -> None:
    """So it is never stored in clear; a name with words stays a name."""
    read = account(f"!Account\nN{name}\n^\n!Type:Bank\n").account
    assert (read.number, read.name, read.provider_account_id) == (name, None, name)


def test_the_balance_of_the_last_statement_is_given() -> None:
    """It stands in the account's block; without its day it is reported."""
    text = f"!Account\nNMain\n$1,250.75\n/1/31'24\n^\n!Type:Bank\n{ROW}"
    (balance,) = account(text).balances
    assert (balance.kind, f"{balance.as_of} {balance.amount}") == (BalanceKind.LEDGER, "2024-01-31 1250.75 XXX")
    assert warnings(text.replace("/1/31'24", "/")) == [("balance_date_unreadable", "account 1", None)]


def test_a_document_without_rows_says_so() -> None:
    """Lists alone are no statement, and no error."""
    assert warnings("!Type:Cat\nNFood\n") == [("no_statement", "document", None)]
    assert statement("!Type:Cat\nNFood\n").batch.accounts == ()


def test_a_profile_says_what_the_file_does_not() -> None:
    """Currency and account of rows without; a name in the file stays."""
    reader = directed('format = "qif"\ncurrency = "eur"\naccount = " Main "')
    batch = statement(f"!Type:Bank\n{ROW}!Type:Invst\n!Account\nNSide\n^\n!Type:Bank\n{ROW}", reader).batch
    assert [each.account.name for each in batch.accounts] == ["Main", "Side"]
    assert [str(each.transactions[0].amount) for each in batch.accounts] == ["-5.00 EUR"] * 2
    assert not batch.warnings


QIF = 'format = "qif"\n'
WRONG = ("", "format = ", 'format = "csv"', "format = 1", "x = " + "[" * 50_000, f"{QIF}x = {'1' * 5_000}")
WRONG_MORE = ('date_order = "YDM"', 'currency = "euro"', "colour = 1", 'account = "\\u0000"')


@pytest.mark.parametrize("profile", [*WRONG, *map(QIF.__add__, WRONG_MORE)], ids=range(10))
def test_a_wrong_profile_is_refused_with_what_is_allowed(profile: str) -> None:
    """Unknown keys and values are errors, and so is what is no TOML."""
    answer = QifReader().directed(profile)
    assert isinstance(answer, Failure)
    error = answer.failure()
    assert (error.code, error.message.isprintable()) == (ImportCode.PROFILE_INVALID, True)
    for allowed in ('format = "qif"', '"DMY", "MDY" or "YMD"', "currency = ", "account = "):
        assert allowed in error.message


def test_the_core_asks_the_reader_with_a_profile() -> None:
    """The reader fits the port, plain and directed."""
    assert isinstance(QifReader(), ProfiledReader)
    readers = StatementReaders([QifReader()])
    assert isinstance(readers.read(dated("1/2/24").encode()), Failure)
    assert isinstance(readers.read(dated("1/2/24").encode(), 'format = "qif"\ndate_order = "DMY"'), Success)


@pytest.mark.parametrize("last", ["D2024-01-31\nPShop", "T5", "PShop\nMMore", "$5", "D2024-01-31\nSFood"])
def test_a_file_cut_inside_a_row_is_refused(last: str) -> None:
    """The last row lacks its day or its amount."""
    error = refusal(f"!Type:Bank\n{ROW}{last}")
    assert error.code is ImportCode.FILE_TRUNCATED
    assert "download it again" in error.message


@pytest.mark.parametrize("last", ["D2024-01-31\nT5", "T5\nD2024-01-31\n", "\n\x1a"])
def test_the_last_mark_may_be_missing(last: str) -> None:
    """A last row with day and amount is whole, in its file or its section."""
    assert len(account(f"!Type:Bank\n{ROW}{last}").transactions) == 1 + ("T5" in last)
    assert len(account(f"!Type:Bank\n{ROW}{last}\n!Type:Cat\nNFood\n").transactions) == 1 + ("T5" in last)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("!Type:Bank\n" + "S\n" * 1_000_001, "transactions"),
        ("".join(f"!Account\nN{number}\n^\n!Type:Bank\n" for number in range(1_001)), "1,001 accounts"),
    ],
    ids=["parts", "accounts"],
)
def test_a_file_beyond_the_limits_is_refused(text: str, count: str) -> None:
    """Reading stops there."""
    error = refusal(text)
    assert error.code is ImportCode.FILE_TOO_LARGE
    assert count in error.message


def test_odd_characters_cost_no_row() -> None:
    """Endless fields are cut, null characters go, and bytes that mean nothing are replaced."""
    text = rows("D2024-01-31|T5|P" + "x" * 10_001 + "\0", "D2024-01-31|T5|" + "Mmemo\n" * 5_000 + "PCaf\0e")
    first, second = account(text).transactions
    assert (first.payee, second.payee, len(second.memo or "") <= 10_000) == ("x" * 10_000, "Cafe", True)
    assert warnings(text) == [("text_cut", "document", "P")]
    data = rows("D2024-01-31|T5|PCaf#").encode().replace(b"#", b"\x81")
    assert statement(data).batch.accounts[0].transactions[0].payee == "Caf\ufffd"
    assert ("bytes_undecodable", "document", "windows-1252") in warnings(data)
    assert statement(rows("D2024-01-31|T5|PCafé").encode("cp1252")).encoding == "windows-1252"
