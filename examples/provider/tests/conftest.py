"""A fake bank for each test, and the provider that asks it."""

from collections.abc import Generator

import pytest
from dashtam_toybank import Toybank
from fake_bank import FakeBank, account


@pytest.fixture
def bank() -> Generator[FakeBank]:
    """Serves on this machine, and has one account with nothing in it."""
    with FakeBank([account("a1", balance=10, as_of="2026-06-05")]).open() as bank:
        yield bank


@pytest.fixture
def provider(bank: FakeBank) -> Toybank:
    return Toybank(bank.address)
