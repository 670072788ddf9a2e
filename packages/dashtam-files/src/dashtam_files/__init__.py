"""Statement readers and writers of Dashtam: OFX, QFX, QBO, QIF, CAMT, MT940, MT942 and CSV."""

from dashtam_files.camt import CamtReader
from dashtam_files.csv import BankCsvReader, CsvProfile, CsvReader, Proposal, propose
from dashtam_files.mt940 import Mt940Reader
from dashtam_files.ofx import OfxReader
from dashtam_files.qif import QifReader
from dashtam_files.writers import BeancountWriter, CsvWriter, OfxWriter

# fmt: off
__all__ = [
    "BankCsvReader", "BeancountWriter", "CamtReader", "CsvProfile", "CsvReader", "CsvWriter", "Mt940Reader",
    "OfxReader", "OfxWriter", "Proposal", "QifReader", "propose",
]
# fmt: on
