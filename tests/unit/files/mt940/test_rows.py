"""Field :61: as banks print it."""

from datetime import date
from decimal import Decimal

import pytest

from dashtam_core.accounts import TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from unit.files.mt940.documents import LINE, document, read, row, warnings


def test_a_row_has_its_days_amount_code_and_references() -> None:
    """The first date is posted and value date whatever entry date follows; the bank's reference is its id."""
    found = row(":61:2402050206D12,50NTRFORDER 7//B0042", ":86:Corner Bakery")
    assert (found.posted_date, found.value_date) == (date(2024, 2, 5), date(2024, 2, 5))
    assert found.amount == Money(Decimal("-12.50"), Currency("EUR"))
    assert (found.bank_transaction_code, found.reference) == ("NTRF", "ORDER 7")
    assert (found.provider_transaction_id, found.description) == ("B0042", "Corner Bakery")
    assert (found.status, found.reversal) == (TransactionStatus.POSTED, False)


@pytest.mark.parametrize(
    ("mark", "amount"),
    [
        ("C", "5.00"),
        ("D", "-5.00"),
        ("RC", "-5.00"),
        ("RD", "5.00"),
        ("RCR", "-5.00"),
        ("EC", "5.00"),
        ("ED", "-5.00"),
    ],
)
def test_the_mark_gives_sign_reversal_and_status(mark: str, amount: str) -> None:
    """A reversed credit leaves the account, the currency's third letter says nothing, E is expected."""
    found = row(f":61:240205{mark}5,00NMSCNONREF")
    assert (str(found.amount.amount), found.reversal) == (amount, mark[0] == "R")
    assert (found.status is TransactionStatus.PENDING) is (mark[0] == "E")


@pytest.mark.parametrize(
    ("printed", "amount"),
    [("12,", "-12"), ("12", "-12"), ("000000000012,00", "-12.00"), ("1.234,56", "-1234.56"), ("0,00", "0.00")],
)
def test_an_amount_keeps_its_digits(printed: str, amount: str) -> None:
    """Without the comma, padded, or with marks between thousands: the digits are as printed."""
    assert str(row(f":61:240205D{printed}NMSCNONREF").amount.amount) == amount


@pytest.mark.parametrize("entry", ["", "0206", "0000", "1345"])
@pytest.mark.parametrize(
    ("value", "day"),
    [("231231", "2023-12-31"), ("240230", "2024-02-29"), ("230230", "2023-02-28"), ("800101", "1980-01-01")],
)
def test_the_first_date_alone_counts(value: str, entry: str, day: str) -> None:
    """The entry date may be another, absent or impossible; a 30th of February is its last day."""
    found = row(f":61:{value}{entry}D5,00NMSCNONREF")
    assert (str(found.posted_date), str(found.value_date)) == (day, day)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (":61:241305D5,00NMSC", "transaction_date_unreadable"),
        (":61:24", "transaction_date_unreadable"),
        (":61:240205C", "transaction_amount_unreadable"),
        (":61:240205C1,2,3NMSC", "transaction_amount_unreadable"),
    ],
)
def test_a_row_that_cannot_be_read_is_reported_and_left_out(line: str, rule: str) -> None:
    """The rows after it are read, and the warning says where and what."""
    text = document(line, LINE)
    (found,) = read(text).batch.accounts[0].transactions
    assert found.provider_transaction_id == "B7"
    (warning,) = (each for each in warnings(text) if each.rule == rule)
    assert (warning.where, warning.raw) == ("statement 1, transaction 1", line.removeprefix(":61:"))


@pytest.mark.parametrize(
    ("rest", "code", "reference", "bank"),
    [
        ("NTRFNONREF//NONREF", "NTRF", None, None),
        ("N20020-11-2023 21:31//B6K2", "N200", "20-11-2023 21:31", "B6K2"),
        ("FMSC01916//A/1", "FMSC", "01916", "A/1"),
        ("S   X", None, "X", None),
    ],
)
def test_references_that_say_nothing_are_none(
    rest: str, code: str | None, reference: str | None, bank: str | None
) -> None:
    """NONREF is no reference, blanks pad a short code, and a single letter is no code."""
    found = row(f":61:240205D5,00{rest}")
    assert (found.bank_transaction_code, found.reference, found.provider_transaction_id) == (code, reference, bank)


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        *(("DNCHG", "", "FEE"), ("DFINT", "", "INT"), ("CNDIV", "", "DIV"), ("CNDDT", "", "CREDIT")),
        *(("DNTRF", "", "DEBIT"), ("DNGM ", "", "ATM"), ("DNTRF", "117?00DAUERAUFTRAG", "REPEATPMT")),
    ],
)
def test_the_kind_follows_codes_that_are_certain(code: str, details: str, kind: str) -> None:
    """The German business code, SWIFT's and the Dutch ones; where the direction does not fit, the sign alone."""
    assert row(f":61:240205{code[0]}5,00{code[1:]}NONREF", f":86:{details}").type is TransactionType(kind)


def test_a_check_has_its_number() -> None:
    """The reference of a cheque is its number."""
    assert row(":61:240205D5,00NCHK16703074").check_number == "16703074"


@pytest.mark.parametrize(
    ("lines", "name", "account", "memo"),
    [
        ((":61:240205D5,00N102EREF", "NL70ABNA0987654321  "), None, "NL70ABNA0987654321", None),
        ((":61:240205D5,00N0600733959555      T-SHOP BV     ",), "T-SHOP BV", "0733959555", None),
        ((":61:240205D5,00N060NONREF          Kosten        ",), None, None, "Kosten"),
        ((":61:240205D5,00NOVBNL47INGB9999999999", "J Smit"), "J Smit", "NL47INGB9999999999", None),
        ((":61:240205D5,00NIOB12345", "J Smit", ":86:12345 J Smit"), "J Smit", "12345", None),
        ((":61:240205D5,00NTRFNONREF", "Card transaction"), None, None, "Card transaction"),
        ((":61:240205D5,00NTRFNONREF", ":NS:01Miete", "15Jane"), None, None, None),
    ],
)
def test_supplementary_details_tell_the_other_side(
    lines: tuple[str, ...], name: str | None, account: str | None, memo: str | None
) -> None:
    """Dutch banks print account and holder in :61: itself; any other text is the memo, a code is none."""
    found = row(*lines)
    other = found.counterparty
    assert (found.payee, other and other.account, found.memo) == (name, account, memo)
