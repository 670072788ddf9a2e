"""QIF, the Quicken Interchange Format."""

from dashtam_files.qif._reader import QifReader

__all__ = ["QifReader"]
