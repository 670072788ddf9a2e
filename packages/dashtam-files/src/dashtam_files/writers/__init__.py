"""What a person takes along: their accounts as OFX, CSV or Beancount."""

from dashtam_files.writers._beancount import BeancountWriter
from dashtam_files.writers._csv import CsvWriter
from dashtam_files.writers._ofx import OfxWriter

__all__ = ["BeancountWriter", "CsvWriter", "OfxWriter"]
