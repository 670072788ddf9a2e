"""The wheels and their environments, made once whatever the number of workers."""

import os

import pytest

from wheels.environments import Workshop, find_uv


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where wheels and environments are made, the same place for every worker of this run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "wheels"
    folder.mkdir(exist_ok=True)
    return Workshop(find_uv(), folder)
