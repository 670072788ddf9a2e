"""OFX 1 (SGML), OFX 2 (XML), QFX and QBO."""

from dashtam_files.ofx._reader import OfxReader

__all__ = ["OfxReader"]
