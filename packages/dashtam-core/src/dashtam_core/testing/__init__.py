"""The conformance kit: what every adapter of a port must do, as tests to subclass.

Install it with `pip install 'dashtam-core[testing]'`, set `asyncio_mode = "auto"` in the section
`[tool.pytest.ini_options]` of your `pyproject.toml`, and give the suite of your port the fixture it asks for:

    import pytest
    from dashtam_core.testing import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def store(self, tmp_path):
            async with open_my_store(tmp_path) as store:
                yield store

The docstring of each test is a promise of the port, and a failure cites it. Expectations are written by hand, so
that no adapter is measured by what it computes itself. `samples` has rows, people and events for your own tests;
`strategies`, `faults` and `simulation` have what goes beyond examples.
"""

from importlib.util import find_spec as _find_spec

for _needed in ("pytest", "pytest_asyncio", "hypothesis"):
    if _find_spec(_needed) is None:
        raise ImportError(f"dashtam_core.testing needs {_needed}: pip install 'dashtam-core[testing]'")

import pytest  # noqa: E402 - known to be there

_SUITES = (
    "_batches _bus _data _identity _lasting _machine _outbox _people _ports _shared _sharing _trail _units samples"
)
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES.split()))

# ruff: isort: off - asserts are rewritten in what is imported from here on
from dashtam_core.testing._batches import Counts, ProviderConformance, StatementReaderConformance  # noqa: E402
from dashtam_core.testing._bus import EventBusConformance  # noqa: E402
from dashtam_core.testing._conformance import Conformance, needs  # noqa: E402
from dashtam_core.testing._identity import RateLimiterConformance  # noqa: E402
from dashtam_core.testing._machine import store_machine  # noqa: E402
from dashtam_core.testing._ports import (  # noqa: E402
    ClockConformance,
    KeyringConformance,
    PersonalVaultConformance,
    SignerConformance,
)
from dashtam_core.testing._sharing import (  # noqa: E402
    CacheConformance,
    EventStreamConformance,
    LocksConformance,
)
from dashtam_core.testing._store import StoreConformance  # noqa: E402

# fmt: off
__all__ = [
    "CacheConformance", "ClockConformance", "Conformance", "Counts", "EventBusConformance",
    "EventStreamConformance", "KeyringConformance", "LocksConformance", "PersonalVaultConformance",
    "ProviderConformance", "RateLimiterConformance", "SignerConformance", "StatementReaderConformance",
    "StoreConformance", "needs", "store_machine",
]
# fmt: on
