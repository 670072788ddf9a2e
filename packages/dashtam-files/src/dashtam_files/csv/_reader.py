"""The reader of CSV statements: by a profile that knows the header, or by the one reading that fits."""

import logging
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, Statement, SyncBatch
from dashtam_core.kernel import Failure, Result, Success, and_then
from dashtam_files._answers import parser, refused
from dashtam_files._text import head
from dashtam_files._warnings import Warnings
from dashtam_files.csv._layout import Layout, layout
from dashtam_files.csv._profile import CsvProfile
from dashtam_files.csv._propose import Proposal, proposals, settled
from dashtam_files.csv._rows import Rows
from dashtam_files.csv._sheet import DELIMITERS, Sheet, UnreadableError
from dashtam_files.csv._table import is_booking

PROFILES_FOLDER: Final = "DASHTAM_CSV_PROFILES"
"""The environment variable that names a folder of profiles."""

_log = logging.getLogger(__name__)
_OTHERS: Final = ("<", "{", "%PDF", "PK\x03", "!", ":", "\x89PNG", "OFXHEADER")


@attrs.frozen
class CsvReader:
    """Reads CSV: by the profile whose header the file has, else by the one reading that its content allows.

    `profiles` are asked before the built-in ones. A reader with a name of its own knows nothing but its profiles.
    """

    profiles: Sequence[CsvProfile] = attrs.field(default=(), converter=tuple[CsvProfile, ...])
    name: str = "csv"
    follows: CsvProfile | None = None
    """The one profile that every file is read by, whatever its header."""

    @classmethod
    def installed(cls) -> "CsvReader":
        """The reader with the profiles of the folder that DASHTAM_CSV_PROFILES names; a broken one is logged."""
        folder = os.environ.get(PROFILES_FOLDER)
        return cls(_profiles_in(Path(folder)) if folder else ())

    def recognizes(self, data: bytes, /) -> bool:
        """Whether the beginning has a known header, or rows of columns of which one is a day and one an amount."""
        text = head(data).lstrip("\ufeff\xef\xbb\xbf \r\n")
        if text.startswith(_OTHERS):
            return False
        sheet = Sheet.of(data[: 64 * 1024])
        if self.name == "csv" and any(any(map(is_booking, sheet.beginning(each))) for each in DELIMITERS):
            return True
        return self._known(sheet) is not None

    def directed(self, profile: str, /) -> Result["CsvReader", ImportFailed]:
        """The reader that follows this profile, a TOML document with format = "csv"."""
        return and_then(CsvProfile.parse(profile), lambda read: Success(attrs.evolve(self, follows=read)))

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        """The statement; READING_AMBIGUOUS where the content allows more than one reading."""
        sheet = Sheet.of(data, self.follows.encoding if self.follows else None)
        try:
            return self._by_profile(sheet, data) or _by_content(sheet)
        except UnreadableError as error:
            return Failure(error.failed)

    def _by_profile(self, sheet: Sheet, data: bytes) -> Result[Statement, ImportFailed] | None:
        laid = self._known(sheet)
        if laid is None:
            return self._not_followed() if self.follows else None
        sheet = Sheet.of(data, laid.profile.encoding) if laid.profile.encoding else sheet
        return and_then(settled(laid, sheet), lambda found: Success(_statement(laid, sheet, *found, Warnings())))

    def _not_followed(self) -> Failure[ImportFailed]:
        name = self.follows.name if self.follows else ""
        return refused(
            ImportCode.FORMAT_UNKNOWN,
            f"no row of the file has the columns of the profile {name!r}: see it with dashtam csv propose FILE",
        )

    def _known(self, sheet: Sheet) -> Layout | None:
        """The profile that the file's header is of, laid over it: the one that names most of its columns."""
        if self.follows:
            return layout(self.follows, sheet)
        known = (*self.profiles, *(built_in() if self.name == "csv" else ()))
        found = [laid for profile in known if profile.header and (laid := layout(profile, sheet))]
        return max(found, key=lambda laid: len(laid.profile.header), default=None)


@cache
def built_in() -> Sequence[CsvProfile]:
    """The profiles that come with this package."""
    return _profiles_in(files("dashtam_files.csv") / "profiles")


def _profiles_in(folder: Path | Traversable) -> Sequence[CsvProfile]:
    found: list[CsvProfile] = []
    try:
        named = sorted(
            (each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name
        )
        for file in named:
            match CsvProfile.parse(file.read_text("utf-8")):
                case Success(profile):
                    found.append(profile)
                case Failure(error):
                    _log.warning("the CSV profile %s is left out: %s", file.name, error.message)
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("CSV profiles in %s cannot be read: %s", folder, error)
    return tuple(found)


def _by_content(sheet: Sheet) -> Result[Statement, ImportFailed]:
    match proposals(sheet):
        case Failure() as failure:
            return failure
        case Success([only]):
            return _inferred(only, sheet)
        case Success(several):
            ways = "; or ".join(each.summary for each in several[:3])
            return refused(
                ImportCode.READING_AMBIGUOUS,
                f"this CSV can be read in {len(several)} ways ({ways}): see them with dashtam csv propose FILE, "
                "save the right one with --choose N --save PATH, and give it with --profile PATH",
            )


def _inferred(proposal: Proposal, sheet: Sheet) -> Result[Statement, ImportFailed]:
    profile, warnings = proposal.profile, Warnings()
    warnings.add("mapping_inferred", "document", f"{proposal.summary}, decimal mark {profile.decimal or 'none'}")
    laid = layout(profile, sheet)
    assert laid is not None, "the proposal was made from it"
    return Success(_statement(laid, sheet, profile.dates or "YMD", profile.decimal, warnings))


def _statement(laid: Layout, sheet: Sheet, dates: str, decimal: str | None, warnings: Warnings) -> Statement:
    if sheet.source.damaged:
        warnings.add("bytes_undecodable", "document", sheet.source.encoding)
    accounts = Rows(laid, warnings, decimal, dates).read(sheet.rows(laid.delimiter, warnings))
    return Statement(
        format=f"CSV {laid.profile.name}",
        encoding=sheet.source.encoding,
        parser=parser(),
        batch=SyncBatch(accounts=accounts, warnings=warnings.all()),
    )
