import logging
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("simulation.model")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What goes wrong here goes wrong by the thousand."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
