"""Settings on the command line: `.env` beneath the environment, and a store that lasts."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from dashtam_core import Settings, hookimpl
from dashtam_core.cli import durable, load_settings
from dashtam_core.memory import open_memory_store
from dashtam_core.plugins import Plugins, StoreOpener


class Embedded:
    """A plugin that opens the scheme `embedded`."""

    @hookimpl
    def dashtam_stores(self) -> Mapping[str, StoreOpener]:
        return {"embedded": open_memory_store}


def test_a_file_beneath_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says counts, and .env says the rest."""
    (folder / ".env").write_text(
        "DASHTAM_SUBJECT=file\nDASHTAM_STORE_URL='postgresql://file/db'\nDASHTAM_PLUGINS\n"
    )
    monkeypatch.setenv("DASHTAM_SUBJECT", "environment")
    settings = load_settings()
    assert (settings.subject, settings.store_url) == ("environment", "postgresql://file/db")


def test_nothing_is_interpolated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password with a dollar sign is taken as it is written."""
    monkeypatch.setenv("HOME", "/home/somebody")
    (folder / ".env").write_text("DASHTAM_STORE_URL=postgresql://a:${HOME}@b/c\n")
    assert load_settings().store_url == "postgresql://a:${HOME}@b/c"


def test_no_file() -> None:
    """Without .env and variables there are the defaults."""
    assert load_settings() == Settings()


def test_a_wrong_value_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the variable, and the exit code is 2."""
    monkeypatch.setenv("DASHTAM_IMPORT_MAX_BYTES", "many")
    with pytest.raises(SystemExit, match="2"):
        load_settings()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dashtam: [setting_invalid] DASHTAM_IMPORT_MAX_BYTES is 'many'")
    assert err.count("\n") == 1


def test_a_file_that_is_no_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An .env that cannot be read is named, and the exit code is 2."""
    (folder / ".env").write_bytes(b"DASHTAM_SUBJECT=\xff\n")
    with pytest.raises(SystemExit, match="2"):
        load_settings()
    assert capsys.readouterr().err.startswith("dashtam: [setting_invalid] .env cannot be read (")


def test_a_configured_store_is_kept() -> None:
    """A store that lasts is taken as configured, whatever is installed."""
    settings = Settings(store_url="postgresql://host/db")
    assert durable(settings, Plugins.of([Embedded()])) is settings


def test_an_embedded_store_where_none_is_configured() -> None:
    """What can be had without a server of one's own is used, and no other setting changes."""
    settings = Settings(subject="me")
    assert durable(settings, Plugins.of([Embedded()])) == attrs.evolve(settings, store_url="embedded:")


def test_no_store_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Without either, one line says what to set or install, and the exit code is 3."""
    with pytest.raises(SystemExit, match="3"):
        durable(Settings(), Plugins.of())
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "set DASHTAM_STORE_URL, or pip install dashtam-embedded dashtam-postgres" in err


@pytest.mark.parametrize("url", ["memory:", "MEMORY:"])
def test_memory_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that ends with the command is no place to import into."""
    with pytest.raises(SystemExit, match="3"):
        durable(Settings(store_url=url), Plugins.of([Embedded()]))
    assert "memory:" in capsys.readouterr().err


def test_installed_plugins_are_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless told otherwise, it is the installed plugins that the settings name which count."""
    assert durable(Settings(plugins=("embedded",))).store_url == "embedded:"
    with pytest.raises(SystemExit, match="3"):
        durable(Settings(plugins=()))
    assert "there is no store" in capsys.readouterr().err
