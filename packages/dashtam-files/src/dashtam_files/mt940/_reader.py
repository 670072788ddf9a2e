"""The reader of SWIFT MT940 and MT942, and of their kin MT941 and MT950."""

import codecs
import re
from itertools import islice
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode
from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, Answer, Warnings, refused, statement, too_many
from dashtam_files._text import Decoded, decoded, head
from dashtam_files.mt940._messages import Message, messages
from dashtam_files.mt940._statements import Statements

_SIGNATURE: Final = re.compile(r"(?:^|[\r\n])[\x00-\x1f ]{0,3}:(?:20|25P?|28C?|60[FM]|61|62[FM]|86|34F):")
_OTHER: Final = re.compile(r"\{2:[IO](?!94[0-2]|950)\d{3}")
_CONTROLS: Final = bytes({*range(32)} - set(b"\t\n"))
_DOS: Final = re.compile(rb"[A-Za-z][\x81-\x84\x94\xa1-\xa3][a-z]")
_UNKNOWN: Final = "the file has no MT940 fields such as :20: or :61: - export it as MT940 from your bank"
_CUT: Final = "the file ends inside a transaction: it was cut short, download it from your bank again"
MAX_STATEMENTS: Final = 100_000


@attrs.frozen
class Mt940Reader:
    """Reads SWIFT statements as banks send them: with or without an envelope, in all dialects of :86:.

    The posted date is the first of :61:, the value date: the entry date after it is optional, banks print it in
    one export and not in the next, and rows are known again by what is always there. A reversal keeps its sign: RC
    leaves the account, RD comes back. Every message is a statement, added up against its balances.
    """

    name: str = attrs.field(default="mt940", init=False)

    def recognizes(self, data: bytes, /) -> bool:
        """Whether a line near the beginning starts with a field of these messages, and no envelope says others."""
        start = head(data)
        return _SIGNATURE.search(start) is not None and not _OTHER.search(start)

    def read(self, data: bytes, /) -> Answer:
        """The statements; refused are files that end inside a row or are too large."""
        if not self.recognizes(data):
            return refused(ImportCode.FORMAT_UNKNOWN, _UNKNOWN)
        source = _text(data)
        if failure := too_many(source.text.count(":61:"), MAX_ROWS, "transactions"):
            return failure
        found = list(islice(messages(source.text), MAX_STATEMENTS + 1))
        if failure := too_many(len(found), MAX_STATEMENTS, "statements"):
            return failure
        if found and _is_cut(found[-1]):
            return refused(ImportCode.FILE_TRUNCATED, _CUT)
        warnings = Warnings(source)
        statements = Statements(warnings)
        accounts = [statements.read(message, number) for number, message in enumerate(found, 1)]
        if failure := too_many(len({each.account for each in accounts}), MAX_ACCOUNTS, "accounts"):
            return failure
        return statement(f"MT{found[0].type if found else '940'}", source, accounts, warnings)


def _is_cut(last: Message) -> bool:
    """Whether the text ends inside a row: a cut amount, reference or text would make it another row next time."""
    return bool(last.entries) and not (last.closed or last.dash or last.entries[-1][-1].endswith("\n"))


def _text(data: bytes) -> Decoded:
    """The text without control characters, its lines ending in a line feed. DOS has other letters than Windows."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        source = decoded(data)
        return attrs.evolve(source, text=source.text.replace("\r", ""))
    lines = (data if b"\n" in data else data.replace(b"\r", b"\n")).translate(None, _CONTROLS)
    source = decoded(lines)
    if source.encoding == "windows-1252" and _DOS.search(lines[:65_536]):
        return Decoded(lines.decode("cp852"), "ibm852")
    return source
