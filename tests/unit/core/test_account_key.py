"""What an account of a statement file is known by."""

from typing import Any

import attrs
import pytest

from dashtam_core.accounts import AccountData, AccountType
from dashtam_core.accounts._ingestion import account_key
from dashtam_core.kernel import Currency

SECRET = b"s" * 32
ACCOUNT = AccountData(
    provider_account_id="DE02 1203 0000 0000 2020 51",
    number="DE02 1203 0000 0000 2020 51",
    account_type=AccountType.CHECKING,
    currency=Currency("EUR"),
    bank_id="BYLADEM1001",
    institution_id="24909",
)


@pytest.mark.parametrize(
    "other",
    [
        {"number": "DE02 1203 0000 0000 2020 52"},
        {"account_type": AccountType.SAVINGS},
        {"currency": Currency("USD")},
        {"bank_id": "DEUTDEFF"},
        {"bank_id": None},
    ],
    ids=str,
)
def test_each_part_tells_accounts_apart(other: dict[str, Any]) -> None:
    """Banks use one number at several banks, for two kinds of account, or in several currencies."""
    assert account_key(SECRET, attrs.evolve(ACCOUNT, **other)) != account_key(SECRET, ACCOUNT)


@pytest.mark.parametrize(
    "same",
    [
        {"number": "de02120300000000202051"},
        {"number": None},
        {"institution_id": None},
        {"institution": "Bayern Bank"},
        {"name": "Main account", "official_name": "Giro"},
    ],
    ids=str,
)
def test_what_a_bank_may_change_does_not_count(same: dict[str, Any]) -> None:
    """Spaces and case of the number, names, and the bank's second id where it has a first."""
    assert account_key(SECRET, attrs.evolve(ACCOUNT, **same)) == account_key(SECRET, ACCOUNT)


def test_without_the_secret_a_number_cannot_be_tried_out() -> None:
    """Another secret gives another key, which holds nothing of the number."""
    key = account_key(SECRET, ACCOUNT)
    assert len(key) == 16
    assert account_key(b"t" * 32, ACCOUNT) != key
