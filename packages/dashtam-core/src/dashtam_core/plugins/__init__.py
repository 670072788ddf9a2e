"""How packages add to Dashtam: the hooks, and the loader that finds who implements them."""

from dashtam_core.plugins._claims import PluginError
from dashtam_core.plugins._hooks import CommandAdder, RouterMaker, StoreOpener, hookimpl
from dashtam_core.plugins._loader import PluginReport, Plugins

__all__ = ["CommandAdder", "PluginError", "PluginReport", "Plugins", "RouterMaker", "StoreOpener", "hookimpl"]
