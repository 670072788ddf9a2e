"""What goes wrong with an embedded server, said so that one can act on it."""

from pathlib import Path

_TAIL = 2000


class EmbeddedServerError(RuntimeError):
    """A server could not be prepared, started or stopped; the message says what, why and what to do next."""

    @classmethod
    def with_log(cls, what: str, log_file: Path) -> "EmbeddedServerError":
        """Adds the last 2,000 bytes of the server's log: the reason is nearly always there."""
        try:
            tail = log_file.read_bytes()[-_TAIL:].decode(errors="replace").strip()
        except OSError:
            tail = ""
        return cls(f"{what} The end of {log_file}:\n{tail or '(nothing was written)'}")
