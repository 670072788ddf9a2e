"""What one record becomes: bank rows, splits and movements of investments."""

from decimal import Decimal
from itertools import product

import pytest

from dashtam_core.accounts import InvestmentAction, SecurityData, SecurityId, SecurityType, TransactionType
from dashtam_core.accounts import SecurityScheme as Scheme
from unit.files.qif.qif_documents import account, row, rows, warnings

INVESTMENTS = "!Type:Invst"


def test_the_fields_of_a_bank_row() -> None:
    """Texts are verbatim, and what the record leaves empty is None."""
    read = row("T-1,234.50|CX|N1042|PCorner Bakery|MBirthday|Mcake|A12 Quay|LFood:Cake/Party")
    assert str(read.amount.amount) == "-1234.50"
    assert (read.payee, read.memo, read.description) == ("Corner Bakery", "Birthday cake", "Corner Bakery")
    assert (read.check_number, read.reference, read.category) == ("1042", None, "Food:Cake/Party")
    assert (read.type, read.details, read.investment) == (TransactionType.DEBIT, (), None)
    other = row("T5|MOnly a memo|NR-7")
    assert (other.description, other.check_number, other.reference) == ("Only a memo", None, "R-7")
    assert str(row("U12,000,000.00|T999.99").amount.amount) == "12000000.00"
    empty = row("T7.50|U|P|M|N|L")
    assert str(empty.amount.amount) == "7.50"
    assert (empty.payee, empty.memo, empty.description, empty.check_number, empty.category) == (None,) * 5


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        *(("T5", "CREDIT"), ("T-5", "DEBIT"), ("T0.00", "OTHER"), ("T-5|NATM", "ATM"), ("T5|NDEP", "DEP")),
        *(("T-5|L[Savings]", "XFER"), ("T-5|L[Savings]/Trip", "XFER")),
    ],
)
def test_the_type_comes_from_the_row_alone(record: str, expected: str) -> None:
    """Number, transfer and sign say what kind of booking it is."""
    assert row(record).type == expected


def test_the_decimal_mark_is_that_of_the_document() -> None:
    """Other amounts say what a lone mark means."""
    text = rows("D2024-01-31|T1.234", "D2024-01-31|T-5,50")
    assert [each.amount.amount for each in account(text).transactions] == [Decimal(1234), Decimal("-5.50")]
    assert row("T1.234|SRent|$12,50").amount.amount == Decimal(1234)
    bought = row("T-1.234|NBuy|YAcme|I5,55", INVESTMENTS)
    assert bought.amount.amount == Decimal(-1234)


def test_the_lines_of_a_split_are_its_details() -> None:
    """Each has its category, text and signed amount; letters after a split began are the row's own."""
    read = row("T-10.00|L--Split--|S[Savings]|Eput aside|$-9.00|SFood|D2/2/24|%10|$oops|S|E|$-1.00|PShop")
    parts = [(part.category, part.description, part.amount and str(part.amount.amount)) for part in read.details]
    assert parts == [("[Savings]", "put aside", "-9.00"), ("Food", None, None), (None, None, "-1.00")]
    assert (read.category, read.payee, str(read.posted_date)) == ("--Split--", "Shop", "2024-01-31")


def test_a_row_without_a_readable_amount_is_reported_and_left_out() -> None:
    """The others are read."""
    text = rows("D2024-01-31|T5", "D2024-01-31|Tfive", "D2024-01-31|PNothing", "D2024-01-31|T6")
    assert len(account(text).transactions) == 2
    assert warnings(text) == [
        ("transaction_amount_unreadable", "account 1, transaction 2", "five"),
        ("transaction_amount_missing", "account 1, transaction 3", None),
    ]


@pytest.mark.parametrize(
    ("names", "action", "amount", "units"),
    [
        ("Buy BuyX CvrShrt", "BUY", "-100.00", "4"),
        ("Sell SELLX ShtSell Verkauf", "SELL", "100.00", "-4"),
        ("Div", "DIVIDEND", "100.00", None),
        ("IntInc", "INTEREST", "100.00", None),
        ("CGLong CGShortX", "CAPITAL_GAIN", "100.00", None),
        ("ReinvDiv ReinvLg", "REINVEST", "0", "4"),
        ("RtrnCap", "RETURN_OF_CAPITAL", "100.00", None),
        ("MiscInc", "OTHER", "100.00", None),
        ("MiscExp", "FEE", "-100.00", None),
        ("MargInt", "MARGIN_INTEREST", "-100.00", None),
        ("XIn ContribX", "TRANSFER_IN", "100.00", None),
        ("XOut WithdrwX", "TRANSFER_OUT", "-100.00", None),
        ("ShrsIn", "TRANSFER_IN", "0", "4"),
        ("ShrsOut", "TRANSFER_OUT", "0", "-4"),
        ("StkSplit", "SPLIT", "0", None),
    ],
)
def test_the_action_gives_cash_and_units_their_signs(
    names: str, action: str, amount: str, units: str | None
) -> None:
    """Quicken prints both without a sign; a sign that money leaves with is not turned round."""
    for name, sign in product(names.split(), ["", "-"] if amount.startswith("-") else [""]):
        read = row(f"N{name}|T{sign}100.00|YAcme|Q4", INVESTMENTS)
        assert read.investment is not None
        assert (read.investment.action, str(read.amount.amount)) == (action, amount)
        assert (read.investment.units and str(read.investment.units)) == units
        assert (read.bank_transaction_code, read.check_number, read.reference) == (name, None, None)


def test_an_investment_has_its_security_price_and_commission() -> None:
    """The list of securities, wherever it stands, gives their symbols; others have their name alone."""
    listed = "!Type:Security\nNAcme\nSACM\nTStock\n^\nNBond\nSUS0378331005\nTBond\n^\n"
    text = rows(
        "D2024-01-31|NBuyX|YAcme|I25.125|Q4|O9.95|T110.45|L[Checking]|$110.45",
        "D2024-01-31|NSell|YBond|Q1|T9",
        "D2024-01-31|NDiv|YOther|T-3.00",
        header=INVESTMENTS,
    )
    acme = SecurityData(ids=(SecurityId(Scheme.TICKER, "ACM"),), name="Acme", type=SecurityType.STOCK)
    bond = SecurityData(ids=(SecurityId(Scheme.ISIN, "US0378331005"),), name="Bond", type=SecurityType.DEBT)
    for document in (listed + text, text + listed):
        first, second, last = account(document).transactions
        bought, *others = (each.investment for each in (first, second, last) if each.investment)
        assert [bought.security, *(each.security for each in others)] == [acme, bond, SecurityData(name="Other")]
        assert [str(each and each.amount) for each in (bought.unit_price, bought.commission)] == ["25.125", "9.95"]
        assert (first.description, first.category, first.details) == ("BuyX Acme", "[Checking]", ())
        assert str(last.amount.amount) == "-3.00"


def test_what_cannot_be_kept_of_an_investment_is_reported() -> None:
    """An action nobody knows has no sign, so its row is left out; the ratio of a split has no place."""
    text = rows(
        "D2024-01-31|NStkSplit|YAcme|Q20",
        "D2024-01-31|NFrobnicate|YAcme|T5",
        "D2024-01-31|NShrsIn|YAcme|Qx|I32 1/2|Oy",
        "D2024-01-31|T-5.00|LFees",
        header=INVESTMENTS,
    )
    split, shares, cash = account(text).transactions
    assert warnings(text) == [
        ("quantity_not_kept", "account 1, transaction 1", "20"),
        ("transaction_action_unknown", "account 1, transaction 2", "Frobnicate"),
        ("units_unreadable", "account 1, transaction 3", "x"),
        ("unit_price_unreadable", "account 1, transaction 3", "32 1/2"),
        ("commission_unreadable", "account 1, transaction 3", "y"),
    ]
    assert split.investment is not None
    assert split.investment.action is InvestmentAction.SPLIT
    assert shares.investment is not None
    assert (str(shares.amount.amount), shares.investment.units) == ("0", None)
    assert (str(cash.amount.amount), cash.investment, cash.description) == ("-5.00", None, "Fees")
