"""What every provider promises."""

import pytest
from fake_bank import TOKEN, FakeBank, row

from dashtam_core.connections import SyncRequest
from dashtam_core.testing import ProviderConformance


class TestToybank(ProviderConformance):
    """Its `provider` is the fixture of all tests."""

    @pytest.fixture
    def request_ok(self, bank: FakeBank) -> SyncRequest:
        bank.feed = [row("r1", 4.2), row("r2", 4.2), row("r3", 49.9, state="pending"), row("r4", -1000)]
        return SyncRequest(credential=TOKEN)

    @pytest.fixture
    def request_refused(self) -> SyncRequest:
        return SyncRequest(credential="revoked-token")
