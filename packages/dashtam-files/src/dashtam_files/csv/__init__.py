"""CSV as banks and services export it: by a profile, or by what the content shows."""

from dashtam_files.csv._profile import CsvProfile
from dashtam_files.csv._propose import Proposal, propose
from dashtam_files.csv._reader import BankCsvReader, CsvReader

__all__ = ["BankCsvReader", "CsvProfile", "CsvReader", "Proposal", "propose"]
