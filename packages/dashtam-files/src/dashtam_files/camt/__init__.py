"""ISO 20022 bank to customer cash management: CAMT.052, CAMT.053 and CAMT.054."""

from dashtam_files.camt._reader import CamtReader

__all__ = ["CamtReader"]
