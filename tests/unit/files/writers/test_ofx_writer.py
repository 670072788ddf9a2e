"""What `OfxWriter` writes, as `OfxReader` and an XML parser read it."""

import xml.etree.ElementTree as ET
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import (
    AccountBatch,
    AccountType,
    BalanceKind,
    ExportedAccount,
    Transaction,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Currency, Money
from dashtam_core.testing import samples
from dashtam_files import OfxReader
from dashtam_files.writers import OfxWriter
from dashtam_files.writers._shared import one_line
from unit.files.writers.exports import accounts, exported, row, written

LIMITS = {"NAME": 32, "MEMO": 255, "FITID": 255, "CHECKNUM": 12, "REFNUM": 32, "BANKID": 9, "ACCTID": 22, "SIC": 6}


def tree(*some: ExportedAccount) -> ET.Element:
    return ET.fromstring(written(OfxWriter(), *some))


def texts(found: ET.Element, tag: str) -> list[str | None]:
    return [each.text for each in found.iter(tag)]


def read(*some: ExportedAccount) -> tuple[AccountBatch, ...]:
    statement = OfxReader().read(written(OfxWriter(), *some).encode()).unwrap()
    assert statement.format == "OFX 2.20"
    return statement.batch.accounts


def of_status(each: ExportedAccount, status: str) -> list[Transaction]:
    return [row for row in each.transactions if row.status == status]


@given(st.lists(accounts(iso=True), max_size=3))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back(some: list[ExportedAccount]) -> None:
    """Days, amounts, kinds, ids and words come back, for every account and every row that is not void."""
    batches = read(*some)
    cards = [each for each in some if each.account.account_type is AccountType.CREDITCARD]
    others = [each for each in some if each not in cards]
    assert len(batches) == len(some)
    for each, batch in zip(others + cards, batches, strict=True):
        assert batch.account.currency == each.account.currency
        posted, pending = (of_status(each, status) for status in ("POSTED", "PENDING"))
        assert len(batch.transactions) == len(posted) + len(pending)
        for ours, theirs in zip(posted + pending, batch.transactions, strict=True):
            assert (theirs.posted_date, theirs.amount, theirs.status) == (
                ours.posted_date,
                ours.amount,
                ours.status,
            )
            if ours.type is not TransactionType.HOLD:
                assert theirs.type is ours.type
            if ours.status is TransactionStatus.POSTED:
                assert (theirs.value_date, theirs.transaction_date) == (ours.value_date, ours.transaction_date)
            if ours.payee and ours.payee == one_line(ours.payee):
                assert theirs.payee == ours.payee[:32].strip()
        ids = [each.provider_transaction_id for each in batch.transactions[: len(posted)]]
        assert len(set(ids)) == len(posted)


@given(st.lists(accounts(), max_size=3))
@settings(max_examples=40, deadline=None)
def test_every_file_is_well_formed_and_within_the_limits(some: list[ExportedAccount]) -> None:
    """Whatever an account holds, the XML parses, required elements are there and none is too long."""
    found = tree(*some)
    for tag, limit in LIMITS.items():
        assert all(text and len(text) <= limit for text in texts(found, tag))
    assert len(texts(found, "LEDGERBAL")) == len(some)
    assert all(text is None or text == one_line(text) for text in texts(found, "NAME") + texts(found, "MEMO"))


def test_a_long_name_is_cut_and_whole_in_the_memo() -> None:
    """NAME has 32 characters; MEMO then has all of it, and the memo after it."""
    long = "Kartenzahlung Café & Bäckerei <Mitte> 0815"
    (batch,) = read(exported(row(long, payee=long, memo="zwei Tassen")))
    (only,) = batch.transactions
    assert only.payee == long[:32]
    assert only.memo == f"{long} / zwei Tassen"


def test_what_no_file_can_hold_is_left_out() -> None:
    """Controls, halves of surrogate pairs and what is no character part words, and are not written."""
    assert one_line(" a\ud800\0b\ufffe\tc\x9b ") == "a b c"


def test_a_memo_alone_stays_a_memo() -> None:
    """A row that had no name before gets none."""
    found = tree(exported(row("two cups", memo="two cups")))
    assert (texts(found, "NAME"), texts(found, "MEMO")) == ([], ["two cups"])


def test_a_description_beside_a_payee_is_kept() -> None:
    """What the statement prints is not lost where the payee is known."""
    found = tree(exported(row("POS 4711 BAKERY", payee="Corner Bakery", memo="two cups")))
    assert texts(found, "NAME") == ["Corner Bakery"]
    assert texts(found, "MEMO") == ["two cups / POS 4711 BAKERY"]


def test_ids_of_the_bank_are_used_where_they_tell_rows_apart() -> None:
    """A filler, an id used twice and one that OFX has no room for give way to the transaction's own id."""
    ids = ["T1", "T2", "T2", "NONREF", "0000", None, "x" * 256, "two\nlines"]
    some = exported(*(row(str(place), provider_transaction_id=each) for place, each in enumerate(ids)))
    own = [str(each.transaction_id) for each in some.transactions]
    assert texts(tree(some), "FITID") == ["T1", *own[1:]]


def test_an_account_is_known_by_its_id_and_its_last_four() -> None:
    """Two accounts that end alike stay two, in every export the same, and no number is made up."""
    one, two = samples.account("one", mask="6789"), samples.account("two", mask="6789")
    both = texts(tree(exported(account=one), exported(account=two)), "ACCTID")
    assert both == [f"{each.account_id.hex[-16:]}-6789" for each in (one, two)]
    assert texts(tree(exported(account=two)), "ACCTID") == both[1:]
    assert texts(tree(exported(account=samples.account("three"))), "BANKID") == ["UNKNOWN"]


def test_a_bank_and_its_branch() -> None:
    """What the reader joined is parted again."""
    found = tree(exported(account=samples.account("one", bank_id="021000021/12")))
    assert (texts(found, "BANKID"), texts(found, "BRANCHID")) == (["021000021"], ["12"])


@pytest.mark.parametrize(
    ("kind", "section", "written_as"),
    [
        (AccountType.SAVINGS, "BANKMSGSRSV1", ["SAVINGS"]),
        (AccountType.MORTGAGE, "BANKMSGSRSV1", ["CREDITLINE"]),
        (AccountType.INVESTMENT, "BANKMSGSRSV1", ["CHECKING"]),
        (AccountType.CREDITCARD, "CREDITCARDMSGSRSV1", []),
    ],
)
def test_kinds_of_accounts(kind: AccountType, section: str, written_as: list[str]) -> None:
    """Cards have a section of their own; kinds that OFX does not have are the nearest that it has."""
    found = tree(exported(account=samples.account("one", account_type=kind)))
    assert [each.tag for each in found] == ["SIGNONMSGSRSV1", section]
    assert texts(found, "ACCTTYPE") == written_as


def test_balances() -> None:
    """The latest booked and the latest available one, with the bank's day."""
    of = samples.account("one")
    said = [
        samples.balance(of, "10", day=30, kind=BalanceKind.CLOSING_BOOKED),
        samples.balance(of, "11", day=31, kind=BalanceKind.CLOSING_BOOKED),
        samples.balance(of, "12", day=31),
        samples.balance(of, "13", day=31, kind=BalanceKind.INTERIM_BOOKED),
        samples.balance(of, "9", day=31, kind=BalanceKind.AVAILABLE),
        samples.balance(of, "1", day=31, kind=BalanceKind.LIMIT),
    ]
    (batch,) = read(exported(account=of, balances=said))
    assert {(each.kind, each.amount.text, each.as_of) for each in batch.balances} == {
        (BalanceKind.LEDGER, "12.00", date(2026, 3, 31)),
        (BalanceKind.AVAILABLE, "9.00", date(2026, 3, 31)),
    }


def test_an_unknown_balance_says_nothing_of_today() -> None:
    """Where OFX demands a balance and none is known, it is nothing, in 1900."""
    (batch,) = read(exported(row()))
    assert [(each.amount.text, each.as_of) for each in batch.balances] == [("0.00", date(1900, 1, 1))]


def test_days_are_noon() -> None:
    """No time zone makes another day of them, and the rows claim just the days they span."""
    found = tree(exported(row(day=3), row(day=5, transaction_date=date(2026, 3, 4))))
    assert texts(found, "DTPOSTED") == ["20260303120000", "20260305120000"]
    assert texts(found, "DTUSER") == ["20260304120000"]
    assert texts(found, "DTSTART") + texts(found, "DTEND") == ["20260303120000", "20260305120000"]


def test_pending_and_void_rows() -> None:
    """A pending row stands in its own list, a void one nowhere; a hold that was posted is of another kind."""
    hold = TransactionType.HOLD
    void, pending = TransactionStatus.VOID, TransactionStatus.PENDING
    some = exported(row("v", status=void), row("p", status=pending, type=hold), row("h", type=hold))
    found = tree(some)
    lists = [(each.tag, texts(each, "NAME")) for each in found.iter() if each.tag.startswith("BANKTRANLIST")]
    assert lists == [("BANKTRANLIST", ["h"]), ("BANKTRANLISTP", ["p"])]
    assert texts(found, "TRNTYPE") == ["OTHER", "HOLD"]


def test_other_currencies() -> None:
    """A row in another currency says so, a converted one says from what; units that OFX lacks are XXX."""
    usd = Currency("USD")
    some = exported(
        row(original_amount=Money(Decimal("-5.00"), usd), exchange_rate=Decimal("0.900")),
        row(original_amount=Money(Decimal("-6.00"), usd)),
        row(unit=usd),
        row(unit=Currency("BTC")),
    )
    (batch,) = read(some)
    assert [each.amount.currency.code for each in batch.transactions] == ["EUR", "EUR", "USD", "XXX"]
    assert [each.original_amount and each.original_amount.text for each in batch.transactions] == [
        *("-5.00", "-6.00", None, None),
    ]
    assert texts(tree(some), "CURRATE") == ["0.900", "0.75", "1", "1"]


def test_nothing_is_a_file_too() -> None:
    """Without accounts there is a document without statements."""
    assert [each.tag for each in tree()] == ["SIGNONMSGSRSV1"]
