"""SWIFT MT940 customer statements, MT942 interim reports, and their kin MT941 and MT950."""

from dashtam_files.mt940._reader import Mt940Reader

__all__ = ["Mt940Reader"]
