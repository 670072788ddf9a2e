"""The readers of CSV statements: by a profile that knows the header, or by the one reading that fits."""

import logging
import os
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.kernel import Failure, Result, Success, and_then
from dashtam_files._answers import Answer, Refusal, Warnings, refused, statement
from dashtam_files._text import decoded, head
from dashtam_files.csv._profile import CsvProfile
from dashtam_files.csv._propose import propose, settled
from dashtam_files.csv._rows import Rows
from dashtam_files.csv._table import Sheet, Table, UnreadableError, by_profile, is_booking

_log = logging.getLogger(__name__)
_OTHERS: Final = ("<", "{", "%PDF", "PK\x03", "!", ":", "\x89PNG", "OFXHEADER")


@attrs.frozen
class BankCsvReader:
    """Reads the CSV files of one bank: those whose header one of its profiles has, and no others."""

    name: str
    profiles: Sequence[CsvProfile] = attrs.field(converter=tuple[CsvProfile, ...])

    def recognizes(self, data: bytes, /) -> bool:
        return _known([each for each in self.profiles if each.header], _beginning(data)) is not None

    def read(self, data: bytes, /) -> Answer:
        if known := _known(self.profiles, Sheet(decoded(data))):
            return _by_profile(*known)
        names = ", ".join(each.name for each in self.profiles)
        why = f"no row of the file has the columns of the profile {names!r}: see it with dashtam csv propose FILE"
        return refused(ImportCode.FORMAT_UNKNOWN, why)


@attrs.frozen
class CsvReader:
    """Reads any CSV: by a profile, its own before the built-in ones, or by the one way its content allows."""

    profiles: Sequence[CsvProfile] = attrs.field(default=(), converter=tuple[CsvProfile, ...])
    name: str = attrs.field(default="csv", init=False)

    @classmethod
    def installed(cls) -> "CsvReader":
        """The reader with the profiles of the folder that DASHTAM_CSV_PROFILES names; a broken one is logged."""
        folder = os.environ.get("DASHTAM_CSV_PROFILES")
        return cls(_profiles_in(Path(folder)) if folder else ())

    def recognizes(self, data: bytes, /) -> bool:
        """Whether the beginning has a known header, or rows of columns of which one is a day and one an amount."""
        sheet = _beginning(data)
        booked = any(is_booking(row) for rows in sheet.beginnings.values() for row in rows)
        return booked or _known((*self.profiles, *built_in()), sheet) is not None

    def directed(self, profile: str, /) -> Result[BankCsvReader, ImportFailed]:
        return and_then(CsvProfile.parse(profile), lambda read: Success(BankCsvReader(self.name, [read])))

    def read(self, data: bytes, /) -> Answer:
        """The statement; READING_AMBIGUOUS where the content allows more than one reading."""
        sheet = Sheet(decoded(data))
        known = _known([each for each in (*self.profiles, *built_in()) if each.header], sheet)
        return _by_profile(*known) if known else _by_content(data, sheet)


@cache
def built_in() -> Sequence[CsvProfile]:
    return _profiles_in(files("dashtam_files.csv") / "profiles")


def _profiles_in(folder: Path | Traversable) -> Sequence[CsvProfile]:
    found: list[CsvProfile] = []
    try:
        named = (each for each in folder.iterdir() if each.name.endswith(".toml"))
        for file in sorted(named, key=lambda each: each.name):
            match CsvProfile.parse(file.read_text("utf-8")):
                case Success(profile):
                    found.append(profile)
                case Failure(error):
                    _log.warning("the CSV profile %s is left out: %s", file.name, error.message)
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("CSV profiles in %s cannot be read: %s", folder, error)
    return tuple(found)


def _beginning(data: bytes) -> Sheet:
    is_other = head(data).lstrip("\ufeff\xef\xbb\xbf \r\n").startswith(_OTHERS)
    return Sheet(decoded(b"" if is_other else data[: 64 * 1024]))


def _known(profiles: Iterable[CsvProfile], sheet: Sheet) -> tuple[CsvProfile, Table] | None:
    tables = ((each, by_profile(each, sheet)) for each in profiles)
    found = [(profile, table) for profile, table in tables if table]
    return max(found, key=lambda each: len(each[0].header), default=None)


def _by_profile(profile: CsvProfile, table: Table, *, inferred: bool = False) -> Answer:
    source = table.sheet.source
    warnings = Warnings(source)
    if inferred:
        warnings.add("mapping_inferred", "document", profile.summary)
    try:
        first, *others = settled(profile, table)
        if others:
            return _ambiguous([first, *others])
        return statement(f"CSV {profile.name}", source, Rows(table, first, warnings).read(), warnings)
    except UnreadableError as error:
        return Failure(error.failed)


def _by_content(data: bytes, sheet: Sheet) -> Answer:
    match propose(data):
        case Success([only]) if table := by_profile(only.profile, sheet):
            return _by_profile(only.profile, table, inferred=True)
        case Success(several):
            return _ambiguous([each.profile for each in several])
        case Failure() as failure:
            return failure


def _ambiguous(profiles: Sequence[CsvProfile]) -> Refusal:
    ways = "; or ".join(each.summary for each in profiles[:3])
    how = "save the right one with --choose N --save PATH, and give it with --profile PATH"
    why = f"this CSV can be read in {len(profiles)} ways ({ways}): see them with dashtam csv propose FILE, {how}"
    return refused(ImportCode.READING_AMBIGUOUS, why)
