"""From a file's text to its rows, a line at a time: whatever stands in it, in bounded memory and time."""

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, checkpoint
from dashtam_files._text import MAX_FIELD, Decoded, decoded
from dashtam_files._warnings import Warnings

MAX_COLUMNS: Final = 200
MAX_LINE: Final = 1_000_000
MAX_PREAMBLE: Final = 100
"""Most rows before the header."""
DELIMITERS: Final = (",", ";", "\t", "|")
_MAX_QUOTED_LINES: Final = 20
"""Most lines of one quoted field; beyond, the quote was never meant as one."""
_MAX_UNCLOSED: Final = 100

type Row = Sequence[str]


class UnreadableError(Exception):
    """The file cannot be read as a table: `failed` is what the reader answers."""

    def __init__(self, code: ImportCode, message: str) -> None:
        super().__init__(message)
        self.failed = ImportFailed(code, message)


@attrs.frozen
class Sheet:
    """A file's text, which is read again as often as needed."""

    source: Decoded
    _beginnings: dict[str, list[Row]] = attrs.field(factory=dict[str, list[Row]], init=False, repr=False)

    @classmethod
    def of(cls, data: bytes, encoding: str | None = None) -> "Sheet":
        """The sheet in `data`; `encoding` counts only for bytes that are no Unicode."""
        source = decoded(data)
        if encoding and source.encoding == "windows-1252":
            text = data.decode(encoding, "replace")
            source = Decoded(text, encoding.lower(), "\ufffd" in text)
        return cls(source)

    def rows(self, delimiter: str, warnings: Warnings | None = None) -> Iterator[tuple[int, Row]]:
        """Each record's first line from 1, and its cells without the spaces around them; a blank line has none.

        Raises:
            UnreadableError: the file is cut short inside a quoted field, too wide, or its quotes make no sense.
        """
        return _rows(_lines(self.source.text), delimiter, warnings or Warnings())

    def beginning(self, delimiter: str) -> Sequence[Row]:
        """The first rows, as many as can be read."""
        if (found := self._beginnings.get(delimiter)) is None:
            found = self._beginnings[delimiter] = []
            with suppress(UnreadableError):
                found.extend(row for _, row in islice(self.rows(delimiter), MAX_PREAMBLE))
        return found


def width(rows: Iterable[Row]) -> int:
    """The number of columns that most rows have, blank ones aside; the larger of two that are as common."""
    widths = Counter(len(row) for row in rows if len(row) > 1)
    return max(widths, key=lambda each: (widths[each], each), default=0)


def _lines(text: str) -> Iterator[str]:
    mark = "\n" if "\n" in text[:MAX_LINE] else "\r"
    at = 0
    while at < len(text):
        end = text.find(mark, at, at + MAX_LINE)
        if end < 0 and len(text) - at > MAX_LINE:
            raise UnreadableError(
                ImportCode.FILE_UNREADABLE, f"a line has more than {MAX_LINE:,} characters: this is no table"
            )
        end = len(text) if end < 0 else end
        yield text[at:end].replace("\r", " ") + "\n"
        at = end + 1


def _rows(lines: Iterator[str], delimiter: str, warnings: Warnings) -> Iterator[tuple[int, Row]]:
    ahead, start, unclosed, usual = deque(islice(lines, 1)), 1, 0, 0
    for number in count(1):
        if not ahead:
            return
        cells, used = _record(ahead, lines, delimiter)
        if cells is None:
            unclosed += 1
            warnings.add("quote_unclosed", f"line {start}")
            cells = ahead[0].replace('"', "").split(delimiter, MAX_COLUMNS)
            if (len(ahead) == 1 and len(cells) < usual) or unclosed > _MAX_UNCLOSED:
                raise _damaged(start, cut_short=len(ahead) == 1)
        usual = max(usual, len(cells))
        if not number % 256:
            checkpoint()
        if len(cells) > MAX_COLUMNS:
            raise UnreadableError(ImportCode.FILE_TOO_LARGE, f"line {start} has more than {MAX_COLUMNS} columns")
        yield start, [_clean(cell, start, warnings) for cell in cells]
        start += used
        for _ in range(used):
            ahead.popleft()
        ahead.extend(islice(lines, 0 if ahead else 1))


def _record(ahead: deque[str], lines: Iterator[str], delimiter: str) -> tuple[Row | None, int]:
    """The record that begins with the first line ahead, and how many lines it takes; None: a quote stays open."""
    for used in range(1, _MAX_QUOTED_LINES + 1):
        ahead.extend(islice(lines, max(used - len(ahead), 0)))
        if len(ahead) < used:
            break
        # One line with pairs of quotes is complete, however odd they stand.
        strict = used > 1 or bool(ahead[0].count('"') % 2)
        with suppress(csv.Error):
            return next(csv.reader(islice(ahead, used), delimiter=delimiter, strict=strict)), used
    return None, 1


def _damaged(line: int, *, cut_short: bool) -> UnreadableError:
    why = "ends inside a quoted field" if cut_short else "has too many quotes that are opened and never closed"
    code = ImportCode.FILE_TRUNCATED if cut_short else ImportCode.FILE_UNREADABLE
    return UnreadableError(code, f"the file {why} in line {line}: it is cut short or damaged, download it again")


def _clean(cell: str, line: int, warnings: Warnings) -> str:
    if "\0" in cell:
        warnings.add("null_characters_removed", f"line {line}")
        cell = cell.replace("\0", "")
    if len(cell) > MAX_FIELD:
        warnings.add("text_cut", f"line {line}", cell)
    return cell[:MAX_FIELD].strip()
