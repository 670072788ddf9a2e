"""The conformance kit: what every adapter of a port must do, as tests to subclass. Takes the extra `testing`.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def store(self):
            async with open_my_store() as store:
                yield store

Expectations are written by hand, so that no adapter is measured by what it computes itself.
"""

import pytest

_SUITES = ("_data", "_outbox", "_people", "_records", "_rows", "_trail", "_units")
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))

from dashtam_core.testing._conformance import Conformance, needs  # noqa: E402 - asserts are rewritten first
from dashtam_core.testing._store import StoreConformance  # noqa: E402 - as above

__all__ = ["Conformance", "StoreConformance", "needs"]
