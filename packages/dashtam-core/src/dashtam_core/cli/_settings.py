"""Settings as the command line has them: from the environment and a `.env` file, with a store that lasts."""

from typing import Final

import attrs

from dashtam_core.cli._exits import UNAVAILABLE, stop, value_of
from dashtam_core.plugins import Plugins
from dashtam_core.settings import Settings

_NO_STORE: Final = "set DASHTAM_STORE_URL, or pip install dashtam-embedded dashtam-postgres"


def load_settings() -> Settings:
    """The settings, from `.env` in the current folder beneath the environment; a wrong one exits with 2."""
    return value_of(Settings.load())


def durable(settings: Settings, plugins: Plugins | None = None) -> Settings:
    """Settings whose store outlives the command: the configured one, or else an embedded one.

    Exits with 3 where there is neither. `plugins` are the installed ones unless given.
    """
    if settings.store_scheme == "memory":
        stop(
            "data in the store that DASHTAM_STORE_URL names, memory:, would be gone when the command ends: "
            "set it to embedded: or postgresql://user@host/database",
            UNAVAILABLE,
        )
    if settings.store_url is not None:
        return settings
    if "embedded" not in (plugins or Plugins.installed(settings.plugins)).stores:
        stop(f"there is no store to keep data in: {_NO_STORE}", UNAVAILABLE)
    return attrs.evolve(settings, store_url="embedded:")
