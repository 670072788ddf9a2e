"""Accounts, balances and what stands around the messages."""

from datetime import date
from decimal import Decimal

import pytest

from dashtam_core.accounts import AccountType, BalanceData, BalanceKind
from dashtam_core.kernel import Currency, Money
from unit.files.mt940.documents import HEAD, LINE, TAIL, batch, document, read, rules, warnings

GOOD = document(LINE, tail=(":62F:C240229EUR87,50", "-"))


def balance(kind: BalanceKind, day: date, amount: str) -> BalanceData:
    return BalanceData(kind=kind, as_of=day, amount=Money(Decimal(amount), Currency("EUR")))


def test_every_balance_is_read() -> None:
    """Opening, closing, available and the expected ones, those in debit negative."""
    tail = (":62F:D240229EUR10,00", ":64:C240229EUR5,", ":65:C240301EUR6,00", ":65:C240302EUR7,00", ":86:SUM", "-")
    end = date(2024, 2, 29)
    assert batch(document(tail=tail)).balances == (
        balance(BalanceKind.OPENING_BOOKED, date(2024, 1, 31), "100.00"),
        balance(BalanceKind.CLOSING_BOOKED, end, "-10.00"),
        balance(BalanceKind.CLOSING_AVAILABLE, end, "5"),
        balance(BalanceKind.EXPECTED, date(2024, 3, 1), "6.00"),
        balance(BalanceKind.EXPECTED, date(2024, 3, 2), "7.00"),
    )


def test_a_statement_that_does_not_add_up_says_by_how_much() -> None:
    """The difference is what the closing balance has beyond opening balance and rows; else nothing is said."""
    assert warnings(GOOD) == ()
    (warning,) = warnings(document(LINE))
    assert (warning.rule, warning.where, warning.raw) == ("balance_mismatch", "statement 1", "12.50")


@pytest.mark.parametrize("line", [":62F:C240229EUR87", ":62F:C241329EUR87,50", ":62F:what"])
def test_a_balance_that_cannot_be_read_is_reported(line: str) -> None:
    """One without its comma was cut, and is not taken for an amount."""
    assert rules(document(LINE, tail=(line,))) == ["balance_unreadable", "closing_balance_missing"]


@pytest.mark.parametrize(
    ("printed", "bank", "number"),
    [
        ("12030000/1020304050", "12030000", "1020304050"),
        ("70011110/4005287001EUR", "70011110", "4005287001"),
        ("UBRTHUHB/123456789150ABCDEF002/EUR", "UBRTHUHB", "123456789150ABCDEF002"),
        ("NL92 KNAB 0123 4567 89", None, "NL92KNAB0123456789"),
        ("1291.99.348EUR          ", None, "1291.99.348"),
    ],
)
def test_an_account_has_bank_and_number(printed: str, bank: str | None, number: str) -> None:
    """The currency that some banks add to the number is no part of it."""
    account = batch(document(head=(HEAD[0], f":25:{printed}", *HEAD[2:]))).account
    assert (account.bank_id, account.number) == (bank, number)
    assert (account.provider_account_id, account.account_type) == (printed.strip(), AccountType.CHECKING)


@pytest.mark.parametrize(
    ("text", "unit"), [(":25:1/2USD\n", "USD"), (":25:1\n:34F:PLND5,\n", "PLN"), (":25:1\n:90D:1CHF5,\n", "CHF")]
)
def test_the_currency_is_taken_from_wherever_it_is_named(text: str, unit: str) -> None:
    """The sums, the floor limit or the account, where no balance does."""
    assert batch(text).account.currency.code == unit


def test_unknown_account_and_currency_are_reported() -> None:
    """A fragment is read all the same."""
    text = ":61:240205D5,00NMSCNONREF\n:86:x\n"
    assert rules(text) == ["currency_missing", "account_id_missing", "closing_balance_missing"]
    assert batch(text).account.currency == Currency("XXX")


def test_pages_of_one_statement_follow_each_other() -> None:
    """An intermediate opening balance is the closing one of the page before; else a page is missing."""
    first, last = document(tail=(":62M:C240201EUR100,00",)), document(head=(*HEAD[:3], ":60M:C240201EUR100,00"))
    assert rules(first + last) == []
    assert rules(first + last.replace("100,", "90,")) == ["page_missing"]


def test_an_interim_report_needs_no_balances() -> None:
    """MT942 has a floor limit instead."""
    text = document(LINE, head=(":20:X", ":25:4711", ":34F:EUR0,"), tail=(":90D:1EUR12,50", "-"))
    assert (read(text).format, rules(text)) == ("MT942", [])


ENVELOPE = "{1:F01KNABNL2HAXXX0000000000}{2:I940KNABNL2HXXXXN3020}{4:\r\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\r\n", "\r") * 2,
        (ENVELOPE + GOOD.replace("-\r\n", "-}{5:}\r\n")) * 2,
        (ENVELOPE.replace("}{", "}\r\n{") + GOOD.replace("-\r\n", "-}\r\n")) * 2,
        ("0000 01INGBNL2AXXXX00001\r\n940 00\r\n" + GOOD.replace("-\r\n", "-XXX\r\n")) * 2,
        GOOD.replace("-\r\n", "") * 2,
        GOOD.replace(":20:STARTUMS\r\n", "") * 2,
        "\x01\r\n" + GOOD + "\x1a" + GOOD + "\x03\r\n\r\n",
        GOOD.replace("\r\n", "\r\n\r\n") * 2,
    ],
)
def test_messages_are_told_apart_whatever_stands_around_them(text: str) -> None:
    """Line ends, envelopes, headers of banks, missing dashes, missing :20:, control characters, blank lines."""
    found = read(text).batch
    assert [len(each.transactions) for each in found.accounts] == [1, 1]
    assert found.warnings == ()


@pytest.mark.parametrize("text", [ENVELOPE + document(LINE, tail=()), document(LINE, head=HEAD[1:], tail=("-",))])
def test_a_statement_without_a_closing_balance_does_not_run_into_the_next(text: str) -> None:
    """An envelope, a :20: or a header after a dash begins another, and the missing balance is reported."""
    found = read(text * 2 + "-\r\n").batch
    assert [len(each.transactions) for each in found.accounts] == [1, 1]
    assert [each.rule for each in found.warnings] == ["closing_balance_missing"] * 2


def test_what_follows_the_closing_balance_belongs_to_no_row() -> None:
    """A :86: there is the statement's."""
    text = document(LINE, ":86:Corner Bakery", tail=(*TAIL[:1], ":86:D000001C0D12,50", "-"))
    assert batch(text).transactions[0].description == "Corner Bakery"
