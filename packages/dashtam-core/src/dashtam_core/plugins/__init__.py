"""How packages add to Dashtam: the hooks, and the loader that finds who implements them."""

from dashtam_core.plugins._claims import PluginError
from dashtam_core.plugins._hooks import (
    CommandAdder,
    RouterMaker,
    SharedOpener,
    StoreOpener,
    StreamOpener,
    hookimpl,
)
from dashtam_core.plugins._loader import PluginReport, Plugins

# fmt: off
__all__ = [
    "CommandAdder", "PluginError", "PluginReport", "Plugins", "RouterMaker", "SharedOpener", "StoreOpener",
    "StreamOpener", "hookimpl",
]
# fmt: on
