"""Statement readers of Dashtam: OFX 1, OFX 2 and QFX."""

from dashtam_files._ofx import OfxReader

__all__ = ["OfxReader"]
