"""Real servers out of wheels, each started by the first process that needs it and stopped after the last."""

import sys

if sys.platform == "win32":
    raise ImportError(
        "dashtam-embedded does not support Windows: its servers are shared and stopped through POSIX file locks. "
        "Use WSL, or a server of your own and its URL."
    )

from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._postgres import PostgresServer, postgres
from dashtam_embedded._valkey import ValkeyServer, valkey

__all__ = ["EmbeddedServerError", "PostgresServer", "ValkeyServer", "postgres", "valkey"]
