"""What goes wrong with an embedded server, said so that one can act on it."""

import os
from pathlib import Path


class EmbeddedServerError(RuntimeError):
    """A server could not be prepared, started or stopped; the message says what, why and what to do next."""

    @classmethod
    def with_log(cls, what: str, log: Path) -> "EmbeddedServerError":
        """Adds the last 2,000 bytes of the server's log: the reason is nearly always there."""
        tail = log.read_bytes()[-2000:] if os.access(log, os.R_OK) else b""
        return cls(f"{what} The end of {log}:\n{tail.decode(errors='replace').strip() or '(nothing was written)'}")
