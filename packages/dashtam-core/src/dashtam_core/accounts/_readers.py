"""The port through which statement files come in, and the choice of the reader that knows a file."""

import logging
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs

from dashtam_core.accounts._batch import SyncBatch
from dashtam_core.accounts._errors import ImportCode, ImportFailed, failed
from dashtam_core.kernel import Result, and_then
from dashtam_core.settings import IMPORT_MAX_BYTES

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Statement:
    """A statement file, read: what it holds, and how it was understood."""

    format: str
    """The standard and version, for people and records: `OFX 1.02`, `OFX 2.11`, `QFX 1.02`."""
    encoding: str
    """The character set the bytes turned out to be in, by its IANA name in lower case."""
    parser: str
    """The reader's package and version, so that a better one can be told from it."""
    batch: SyncBatch


class StatementReader(Protocol):
    """Reads one family of statement formats from bytes. Pure and synchronous: it runs in a worker thread."""

    @property
    def name(self) -> str:
        """The family's name in lower case, such as `ofx`."""
        ...

    def recognizes(self, data: bytes, /) -> bool:
        """Whether the content, never the file's name, is of this family. Cheap: looks at the beginning only."""
        ...

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        """The whole statement; odd fields become warnings, a file that is cut short or broken is refused."""
        ...


@runtime_checkable
class ProfiledReader(StatementReader, Protocol):
    """A reader of a family so wide that a profile may have to say how a file is meant: asked after all others."""

    def directed(self, profile: str, /) -> Result[StatementReader, ImportFailed]:
        """The reader that follows this profile, a TOML document."""
        ...


def _widest_last(readers: Sequence[StatementReader]) -> Sequence[StatementReader]:
    return sorted(readers, key=lambda each: isinstance(each, ProfiledReader))


@attrs.frozen
class StatementReaders:
    """Every reader at hand, asked in order, the widest last."""

    readers: Sequence[StatementReader] = attrs.field(default=(), converter=_widest_last)
    max_bytes: int = IMPORT_MAX_BYTES

    def read(self, data: bytes, /, profile: str | None = None) -> Result[Statement, ImportFailed]:
        """The statement in `data`, by the first reader that recognizes it, or as `profile` directs."""
        if not data or data.isspace():
            return failed(ImportCode.FILE_EMPTY, "the file is empty: download it from your bank again")
        if len(data) > self.max_bytes:
            return failed(
                ImportCode.FILE_TOO_LARGE,
                f"the file has {len(data):,} bytes and the limit is {self.max_bytes:,}: "
                "download a shorter period, or raise DASHTAM_IMPORT_MAX_BYTES",
            )
        if profile is not None:
            return self._directed(data, profile)
        for reader in self.readers:
            if _recognizes(reader, data):
                return reader.read(data)
        return failed(ImportCode.FORMAT_UNKNOWN, self._unknown())

    def _directed(self, data: bytes, profile: str) -> Result[Statement, ImportFailed]:
        """By the reader that the profile's `format` names, `csv` unless it says so."""
        import tomllib

        try:
            format_ = tomllib.loads(profile).get("format", "csv")
        except (ValueError, RecursionError) as error:  # nested too deep, or a number of too many digits
            return failed(ImportCode.PROFILE_INVALID, f"the profile is no TOML document: mend it ({error})")
        directed = {reader.name: reader for reader in self.readers if isinstance(reader, ProfiledReader)}
        if format_ in directed:
            return and_then(directed[format_].directed(profile), lambda reader: reader.read(data))
        known = ", ".join(sorted(directed)) or "none: pip install dashtam-files"
        message = f"no installed reader takes profiles of this format; use {known}"
        return failed(ImportCode.PROFILE_INVALID, message)

    def _unknown(self) -> str:
        if not self.readers:
            return "no statement reader is installed: pip install dashtam-files"
        known = ", ".join(sorted(reader.name for reader in self.readers))
        return f"this is no statement file of a known format ({known}): export one of these from your bank"


def _recognizes(reader: StatementReader, data: bytes) -> bool:
    """What the reader says; one that fails while it looks is logged, and leaves the file to the others."""
    try:
        return reader.recognizes(data)
    except Exception:  # noqa: BLE001 - a foreign reader's defect is not the others'
        _log.exception("the statement reader %s failed while it looked at a file", reader.name)
        return False
