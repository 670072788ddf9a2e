"""What a deployment may set, and what it is told when it sets it wrongly."""

import subprocess
import sys
from pathlib import Path

import pytest

from dashtam_core import Failure, Settings, UnavailableError
from dashtam_fastapi import ServiceSettings, create_app


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a working directory without a `.env` of somebody's."""
    monkeypatch.chdir(tmp_path)


def test_without_anything_set_the_service_listens_to_this_machine_alone() -> None:
    """The defaults need no setting and show nothing to the network."""
    settings = ServiceSettings.read().unwrap()
    assert (settings.host, settings.port, settings.import_max_bytes) == ("127.0.0.1", 8000, 64 * 1024 * 1024)


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` is read for both the service and the core; what the process was given wins."""
    Path(".env").write_text("DASHTAM_PORT=9001\nDASHTAM_HOST=::1\nDASHTAM_SUBJECT=me\nDASHTAM_STORE_URL=memory:\n")
    monkeypatch.setenv("DASHTAM_HOST", "0.0.0.0")
    settings, core = ServiceSettings.read().unwrap(), Settings.load().unwrap()
    assert (settings.host, settings.port) == ("0.0.0.0", 9001)
    assert (core.subject, core.store_url) == ("me", "memory:")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DASHTAM_PORT", "0"),
        ("DASHTAM_PORT", "65536"),
        ("DASHTAM_PORT", "http"),
        ("DASHTAM_IMPORT_MAX_BYTES", "64MB"),
        ("DASHTAM_RATE_LIMIT", "-1"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The error says which variable, what it is and what it should be, and nothing else."""
    monkeypatch.setenv(name, value)
    read = ServiceSettings.read()
    assert isinstance(read, Failure)
    message = read.failure().message
    assert message.startswith(f"{name} is '{value}': ")
    assert "\n" not in message
    with pytest.raises(UnavailableError, match=name):
        create_app()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """`DASHTAM_PORT=` is the default, as it is for the core."""
    monkeypatch.setenv("DASHTAM_PORT", "")
    assert ServiceSettings.read().unwrap().port == 8000


def test_finding_the_command_does_not_import_the_framework() -> None:
    """`dashtam` asks every plugin for its commands: that must not cost FastAPI's import."""
    code = (
        "import sys, dashtam_fastapi.plugin as plugin; plugin.dashtam_commands();"
        "print([name for name in ('fastapi', 'uvicorn', 'pydantic', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be imported, and nothing else is found."""
    import dashtam_fastapi

    for name in dashtam_fastapi.__all__:
        assert getattr(dashtam_fastapi, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dashtam_fastapi.nonsense
