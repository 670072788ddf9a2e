"""Which transfers are suggested."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from dashtam_core.accounts import AccountType, Counterparty, TransactionStatus
from dashtam_core.kernel import Currency, Money
from dashtam_core.portfolio import Match, MatchKind, MatchState
from dashtam_core.testing.samples import NOON, account, eur
from unit.portfolio.rows import BROKER, CHECKING, EVERY, SAVINGS, day, moved, suggested

transfers = partial(suggested, MatchKind.TRANSFER)
DOLLARS = account("dollars", currency=Currency("USD"))


def usd(amount: str) -> Money:
    return Money(Decimal(amount), Currency("USD"))


@pytest.mark.parametrize(("days", "found"), [(0, True), (4, True), (-4, True), (5, False), (-5, False)])
def test_opposite_amounts_within_four_days_are_suggested(days: int, found: bool) -> None:
    """What left one account and came to another, at most four days before or after."""
    rows = moved(CHECKING, "out", 10, "-50"), moved(SAVINGS, "in", 10 + days, "50.00")
    assert transfers(*rows) == (["out > in"] if found else [])


@pytest.mark.parametrize(
    "other",
    [
        moved(SAVINGS, "in", 10, "50.01"),
        moved(SAVINGS, "in", 10, "-50"),
        moved(CHECKING, "in", 10, "50"),
        moved(SAVINGS, "in", 10, "50", status=TransactionStatus.PENDING),
        moved(SAVINGS, "in", 10, "50", status=TransactionStatus.VOID),
        moved(SAVINGS, "in", 10, "50", removed_at=NOON),
        moved(SAVINGS, "in", 10, "50 USD"),
    ],
)
def test_what_is_no_transfer(other: Any) -> None:
    """Another amount, sign or currency, one account, and rows that are not booked or count no more."""
    assert transfers(moved(CHECKING, "out", 10, "-50"), other) == []


def test_one_bank_account_from_two_sources_makes_no_transfer() -> None:
    """A payment and its refund stay what they are where a file and an API tell of the same account."""
    again = account("again", number_hash=CHECKING.number_hash)
    rows = moved(CHECKING, "paid", 10, "-50"), moved(again, "refund", 11, "50")
    assert transfers(*rows, accounts=(CHECKING, again)) == []


def test_two_accounts_may_have_one_number() -> None:
    """Money moves between the checking and the savings account that a bank has under one number."""
    both = account("both", number_hash=CHECKING.number_hash, account_type=AccountType.SAVINGS)
    own = Counterparty(number_hash=CHECKING.number_hash)
    out, come = moved(CHECKING, "out", 10, "-50", counterparty=own), moved(both, "in", 10, "50", counterparty=own)
    assert transfers(out, come, accounts=(CHECKING, both)) == ["out > in"]
    assert transfers(out, moved(BROKER, "come", 10, "50")) == ["out > come"]


def test_a_number_decides_before_days_and_words() -> None:
    """The account that a row names by its number gets it, and no other account of the person's may."""
    other = Counterparty(number_hash=SAVINGS.number_hash)
    out = moved(CHECKING, "same words", 10, "-50", counterparty=other)
    near, named = moved(BROKER, "same words too", 10, "50"), moved(SAVINGS, "named", 14, "50")
    assert transfers(out, near, named) == ["same words > named"]
    assert transfers(out, near) == []
    unknown = moved(CHECKING, "out", 10, "-50", counterparty=Counterparty(number_hash=b"nobody's"))
    assert transfers(unknown, near) == ["out > same words too"]
    told = moved(SAVINGS, "told", 14, "50", counterparty=Counterparty(number_hash=CHECKING.number_hash))
    assert transfers(moved(CHECKING, "out", 10, "-50"), near, told) == ["out > told"]


def test_the_nearest_day_and_then_the_words_decide() -> None:
    """Days go before words; words decide between rows of one day."""
    out = moved(CHECKING, "saving plan march", 10, "-50")
    far, near = moved(SAVINGS, "saving plan march in", 12, "50"), moved(SAVINGS, "other", 11, "50")
    assert transfers(out, far, near) == ["saving plan march > other"]
    alike = moved(SAVINGS, "plan march", 11, "50")
    assert transfers(out, far, near, alike) == ["saving plan march > plan march"]


def test_each_row_is_in_one_pair() -> None:
    """Two transfers of one amount make two pairs, and the third row is in none."""
    outs = [moved(CHECKING, f"out {number}", number, "-50") for number in (1, 5)]
    ins = [moved(SAVINGS, f"in {number}", number, "50") for number in (2, 6, 7)]
    assert transfers(*outs, *ins) == ["out 1 > in 2", "out 5 > in 6"]


def test_a_tie_is_left_out_unless_its_rows_are_twins() -> None:
    """Where nobody can say which of two it is, neither is suggested; of twins each is used once."""
    out = moved(CHECKING, "out", 10, "-50")
    assert transfers(out, moved(SAVINGS, "in", 10, "50"), moved(BROKER, "come", 10, "50")) == []
    twins = [moved(SAVINGS, "in", 10, "50", occurrence=number) for number in (2, 1)]
    assert transfers(out, *twins) == ["out > in"]
    assert transfers(out, moved(CHECKING, "out", 10, "-50", occurrence=2), *twins) == ["out > in"] * 2


def test_an_amount_before_conversion_is_the_others() -> None:
    """Either row may say what the amount was in the other's currency."""
    accounts = (*EVERY, DOLLARS)
    out = moved(CHECKING, "out", 10, "-46", original_amount=usd("-50"))
    come = moved(DOLLARS, "in", 11, "50 USD")
    assert transfers(out, come, accounts=accounts) == ["out > in"]
    come = moved(DOLLARS, "in", 11, "54 USD", original_amount=eur("50"))
    assert transfers(moved(CHECKING, "out", 10, "-50"), come, accounts=accounts) == ["out > in"]


@pytest.mark.parametrize(
    ("dollars", "found"), [("50.00", True), ("49.51", True), ("50.49", True), ("49.49", False), ("50.51", False)]
)
@pytest.mark.parametrize("original", [None, usd("-53")])
def test_a_rate_explains_an_amount_within_one_percent(dollars: str, found: bool, original: Money | None) -> None:
    """46 euros at 0.92 euros for a dollar are 50 dollars, give or take one in a hundred."""
    rate = Decimal("0.92")
    out = moved(CHECKING, "out", 10, "-46", exchange_rate=rate, original_amount=original)
    come = moved(DOLLARS, "in", 14, f"{dollars} USD")
    assert transfers(out, come, accounts=(*EVERY, DOLLARS)) == (["out > in"] if found else [])


def test_a_rate_is_between_the_currencies_that_the_row_names() -> None:
    """The rate of a conversion from francs explains no dollars."""
    francs = Money(Decimal(-50), Currency("CHF"))
    out = moved(CHECKING, "out", 10, "-46", exchange_rate=Decimal("0.92"), original_amount=francs)
    assert transfers(out, moved(DOLLARS, "in", 10, "50 USD"), accounts=(*EVERY, DOLLARS)) == []


def test_an_exact_amount_goes_before_a_rate() -> None:
    """What a rate makes nearly right is no rival of what is exactly right, a day later though it is."""
    out = moved(CHECKING, "out", 10, "-46", exchange_rate=Decimal("0.92"))
    nearly, exactly = moved(DOLLARS, "nearly", 10, "50 USD"), moved(SAVINGS, "exactly", 11, "46")
    assert transfers(out, nearly, exactly, accounts=(*EVERY, DOLLARS)) == ["out > exactly"]


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "1E-30"])
def test_an_odd_rate_explains_nothing(rate: str) -> None:
    """A rate that is no rate is passed over."""
    out = moved(CHECKING, "out", 10, "-46", exchange_rate=Decimal(rate))
    come = moved(DOLLARS, "in", 10, "50 USD")
    assert transfers(out, come, accounts=(*EVERY, DOLLARS)) == []


def test_what_was_decided_is_not_suggested() -> None:
    """A rejected pair makes room for the next best; the legs of a confirmed one are in no other."""
    out, one, two = (
        moved(CHECKING, "out", 10, "-50"),
        moved(SAVINGS, "one", 10, "50"),
        moved(BROKER, "two", 12, "50"),
    )
    decided = Match(MatchKind.TRANSFER, out.transaction_id, one.transaction_id, MatchState.REJECTED)
    turned = Match(MatchKind.TRANSFER, one.transaction_id, out.transaction_id, MatchState.REJECTED)
    confirmed = Match(MatchKind.TRANSFER, out.transaction_id, one.transaction_id, MatchState.CONFIRMED)
    assert transfers(out, one, two) == ["out > one"]
    assert (
        transfers(out, one, two, decided=[decided]) == transfers(out, one, two, decided=[turned]) == ["out > two"]
    )
    assert transfers(out, one, two, decided=[confirmed]) == []


def test_many_rows_of_one_amount_are_not_compared_with_each_other() -> None:
    """Beyond a few rows of one amount nothing is suggested; beside them everything is."""
    many = [
        moved(of, f"{text} {number}", 10, amount)
        for number in range(1_000)
        for of, text, amount in ((CHECKING, "out", "-1"), (SAVINGS, "in", "1"))
    ]
    others = moved(CHECKING, "out", 10, "-2", posted_date=day(31)), moved(SAVINGS, "in", 31, "2")
    assert transfers(*many, *others) == ["out > in"]
