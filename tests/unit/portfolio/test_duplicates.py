"""Which duplicates are suggested."""

from functools import partial
from typing import Any

import pytest

from dashtam_core.accounts import Account, Annotation, TransactionStatus
from dashtam_core.kernel import Currency
from dashtam_core.portfolio import Match, MatchKind, MatchState
from dashtam_core.testing.samples import NOON, account
from unit.portfolio.rows import BROKER, CHECKING, moved, suggested

duplicates = partial(suggested, MatchKind.DUPLICATE)
AGAIN = account("again", provider="api", number_hash=CHECKING.number_hash, mask="9999")
BOTH = (CHECKING, AGAIN)
PENDING = TransactionStatus.PENDING


@pytest.mark.parametrize(("days", "found"), [(0, True), (3, True), (-3, True), (4, False), (-4, False)])
def test_one_movement_told_in_two_accounts_is_suggested(days: int, found: bool) -> None:
    """Equal amounts at most three days apart; first is the row of the account that was there first."""
    rows = moved(AGAIN, "api", 10 + days, "-50"), moved(CHECKING, "file", 10, "-50.00")
    assert duplicates(*rows, accounts=BOTH) == (["file > api"] if found else [])


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (account("x", number_hash=CHECKING.number_hash), True),
        (account("x", mask=CHECKING.mask), True),
        (account("x", mask="9999"), False),
        (account("x"), False),
        (account("x", mask=CHECKING.mask, currency=Currency("USD")), False),
    ],
)
def test_accounts_are_known_by_number_or_last_four(other: Account, found: bool) -> None:
    """Two accounts may be one that share their currency, and the hash of their number or its mask."""
    rows = moved(CHECKING, "file", 10, "-50"), moved(other, "api", 10, "-50")
    assert bool(duplicates(*rows, accounts=(CHECKING, other))) is found


def test_accounts_of_which_no_number_is_known_are_apart() -> None:
    """That nothing is known of either is nothing they have in common."""
    one, two = account("one"), account("two")
    assert duplicates(moved(one, "a", 10, "-50"), moved(two, "b", 10, "-50"), accounts=(one, two)) == []


@pytest.mark.parametrize(
    "changes", [{"status": PENDING}, {"removed_at": NOON}, {"status": TransactionStatus.VOID}]
)
def test_rows_that_do_not_count_are_no_second_telling(changes: dict[str, Any]) -> None:
    """Pending rows of another account may still change, and others count no more."""
    rows = moved(CHECKING, "file", 10, "-50"), moved(AGAIN, "api", 10, "-50", **changes)
    assert duplicates(*rows, accounts=BOTH) == []


def test_what_the_person_annotated_is_kept() -> None:
    """The row with a person's work on it is the first."""
    one, two = moved(CHECKING, "file", 10, "-50"), moved(AGAIN, "api", 10, "-50")
    two = moved(AGAIN, "api", 10, "-50", annotation=Annotation(transaction_id=two.transaction_id, note="mine"))
    assert duplicates(one, two, accounts=BOTH) == ["api > file"]


def test_each_row_has_one_other_telling_in_an_account() -> None:
    """Rows of one amount are paired one to one: by day, then by words. A row without a fellow is left alone."""
    files = [moved(CHECKING, f"coffee {number}", number, "-4") for number in (1, 2, 5)]
    others = [moved(AGAIN, "tea", 2, "-4"), moved(AGAIN, "coffee 2", 2, "-4")]
    assert duplicates(*files, *others, accounts=BOTH) == ["coffee 1 > tea", "coffee 2 > coffee 2"]


def test_three_tellings_are_paired_two_by_two() -> None:
    """A third account does not make a tie of what the other two tell."""
    third = account("third", mask=CHECKING.mask, number_hash=CHECKING.number_hash)
    rows = [moved(of, text, 10, "-50") for of, text in ((CHECKING, "a"), (AGAIN, "b"), (third, "c"))]
    assert duplicates(*rows, accounts=(*BOTH, third)) == ["a > b", "a > c", "b > c"]


@pytest.mark.parametrize(("days", "found"), [(0, True), (8, True), (9, False), (-1, False)])
def test_a_pending_row_may_be_the_posted_one_after_it(days: int, found: bool) -> None:
    """Within an account, at most eight days later: first is the posted one."""
    rows = moved(BROKER, "hotel", 10, "-50", status=PENDING), moved(BROKER, "HOTEL", 10 + days, "-50")
    assert duplicates(*rows) == (["HOTEL > hotel"] if found else [])
    assert duplicates(moved(BROKER, "x", 10, "-50", status=PENDING, removed_at=NOON), rows[1]) == []


def test_rows_that_move_nothing_are_left_alone() -> None:
    """Banks print lines of zero by the dozen."""
    assert duplicates(moved(CHECKING, "a", 10, "0"), moved(AGAIN, "b", 10, "0.00"), accounts=BOTH) == []


def test_posted_rows_of_one_account_are_no_duplicates() -> None:
    """Twins are real."""
    assert duplicates(moved(CHECKING, "coffee", 10, "-4"), moved(CHECKING, "coffee", 10, "-4", occurrence=2)) == []


@pytest.mark.parametrize("state", [MatchState.CONFIRMED, MatchState.REJECTED])
def test_what_was_decided_is_not_suggested_again(state: MatchState) -> None:
    """Neither a confirmed pair nor a rejected one, in whichever order."""
    one, two = moved(CHECKING, "file", 10, "-50"), moved(AGAIN, "api", 10, "-50")
    for ids in ((one.transaction_id, two.transaction_id), (two.transaction_id, one.transaction_id)):
        decided = [Match(MatchKind.DUPLICATE, *ids, state)]
        assert duplicates(one, two, accounts=BOTH, decided=decided) == []


def test_many_accounts_of_one_mask_are_not_compared_with_each_other() -> None:
    """A mask that many accounts share says nothing."""
    many = [account(str(number), mask="0000") for number in range(17)]
    rows = [moved(each, each.name, 10, "-50") for each in many]
    assert duplicates(*rows, accounts=tuple(many)) == []
    assert duplicates(*rows[:2], accounts=tuple(many[:2])) == ["account 0 > account 1"]
