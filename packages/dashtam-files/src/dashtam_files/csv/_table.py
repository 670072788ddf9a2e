"""From a file's text to its table: rows a line at a time, whatever stands in it, and where its header is."""

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, checkpoint
from dashtam_files._answers import Warnings
from dashtam_files._text import MAX_FIELD, Decoded
from dashtam_files.csv._cells import amount, fitting_orders
from dashtam_files.csv._profile import Column, CsvProfile, plain

MAX_COLUMNS: Final = 200
MAX_LINE: Final = 1_000_000
_DELIMITERS: Final = (",", ";", "\t", "|")
# Rows in which the header is looked for, how far above the first booking, and how much of a cell.
_BEGINNING, _ABOVE, _MAX_LOOKED_AT = 100, 6, 200
_MAX_QUOTED_LINES: Final = 20
_MAX_DIGITS: Final = 9  # a whole number of more digits is an id, no amount

type Row = Sequence[str]


@attrs.frozen
class UnreadableError(Exception):
    """The file cannot be read as a table: `failed` is what the reader answers."""

    failed: ImportFailed


@attrs.frozen
class Sheet:
    """A file's text, which is read again as often as needed."""

    source: Decoded

    @cached_property
    def beginnings(self) -> Mapping[str, Sequence[Row]]:
        """The first rows by each delimiter, as many as can be read, to be looked at."""
        found: dict[str, list[Row]] = {delimiter: [] for delimiter in _DELIMITERS}
        for delimiter, rows in found.items():
            with suppress(UnreadableError):
                rows.extend(looked_at(islice(_rows(self, delimiter, Warnings()), _BEGINNING)))
        return found


@attrs.frozen
class Table:
    """A file's table: `names` is its header, empty where it has none, and `above` the rows before it."""

    sheet: Sheet
    delimiter: str
    names: Row = ()
    above: Sequence[Row] = ()

    def rows(self, warnings: Warnings | None = None) -> Iterator[tuple[int, Row]]:
        rows = _rows(self.sheet, self.delimiter, warnings or Warnings())
        return islice(rows, len(self.above) + bool(self.names), None)

    def places(self, named: Iterable[Column]) -> Sequence[int]:
        found = (each - 1 if isinstance(each, int) else _find(each, self.names) for each in named)
        return [at for at in found if at is not None]


def by_profile(profile: CsvProfile, sheet: Sheet) -> Table | None:
    """The table that the profile is of, None where the file has no such header."""
    for delimiter in [profile.delimiter] if profile.delimiter else _DELIMITERS:
        rows = sheet.beginnings[delimiter]
        if not profile.header and width(rows) > 1:
            return Table(sheet, delimiter)
        for at, row in enumerate(rows) if profile.header else ():
            table = Table(sheet, delimiter, row, rows[:at])
            if len(row) >= len(profile.header) and all(table.places([name]) for name in profile.header):
                money = (profile.columns.get(key, ()) for key in ("amount", "debit", "credit"))
                return table if table.places(profile.columns["date"]) and any(map(table.places, money)) else None
    return None


def by_bookings(sheet: Sheet) -> Table | None:
    """The table by the delimiter that gives most rows with a day and an amount; None if none does."""
    bookings = {each: sum(map(is_booking, rows)) for each, rows in sheet.beginnings.items()}
    delimiter = max(_DELIMITERS, key=lambda each: (bookings[each], width(sheet.beginnings[each])))
    rows = sheet.beginnings[delimiter]
    first = next((at for at, row in enumerate(rows) if is_booking(row)), None)
    if first is None:
        return None
    for at in range(first - 1, max(first - _ABOVE, -1), -1):
        texts = [cell for cell in rows[at] if cell]
        values = any(fitting_orders(cell) or is_number(cell) for cell in texts)
        if len(texts) > 1 and len(texts) * 2 >= len(rows[first]) and not values:
            return Table(sheet, delimiter, rows[at], rows[:at])
    return Table(sheet, delimiter, (), rows[:first])


def is_booking(row: Row) -> bool:
    others = [cell for cell in row if cell and not fitting_orders(cell)]
    return len(others) < sum(map(bool, row)) and any(map(is_number, others))


def is_number(cell: str) -> bool:
    digits = cell.lstrip("+-")
    # A long or padded number is an id.
    is_id = digits.isdigit() and (len(digits) > _MAX_DIGITS or (digits[0] == "0" and len(digits) > 1))
    return not is_id and amount(cell, None) is not None


def width(rows: Iterable[Row]) -> int:
    """The number of columns that most rows have, blank ones aside; the larger of two that are as common."""
    widths = Counter(len(row) for row in rows if len(row) > 1)
    return max(widths, key=lambda each: (widths[each], each), default=0)


def looked_at(rows: Iterable[tuple[int, Row]]) -> Iterator[Row]:
    return ([cell[:_MAX_LOOKED_AT] for cell in row] for _, row in rows)


def _find(name: str, names: Row) -> int | None:
    first, star, last = plain(name).partition("*")
    for at, found in enumerate(map(plain, names)):
        around = len(found) >= len(first) + len(last) and found.startswith(first) and found.endswith(last)
        if around if star else found == first:
            return at
    return None


def _lines(text: str) -> Iterator[str]:
    mark = "\n" if "\n" in text[:MAX_LINE] else "\r"
    at = 0
    while at < len(text):
        end = text.find(mark, at, at + MAX_LINE)
        if end < 0 and len(text) - at > MAX_LINE:
            why = f"a line has over {MAX_LINE:,} characters: export it again"
            raise UnreadableError(ImportFailed(ImportCode.FILE_UNREADABLE, why))
        end = len(text) if end < 0 else end
        yield text[at:end].replace("\r", " ").replace("\0", "") + "\n"
        at = end + 1


def _rows(sheet: Sheet, delimiter: str, warnings: Warnings) -> Iterator[tuple[int, Row]]:
    """Each record's first line from 1, and its cells; UnreadableError where it is damaged or too wide."""
    lines = _lines(sheet.source.text)
    ahead, start, usual = deque(islice(lines, 1)), 1, 0
    while ahead:
        cells, used = _record(ahead, lines, delimiter)
        if cells is None:
            warnings.add("quote_unclosed", f"line {start}")
            cells = ahead[0].replace('"', "").split(delimiter, MAX_COLUMNS)
            if len(ahead) == 1 and len(cells) < usual:
                why = f"the file ends in a quote of line {start}: export it again"
                raise UnreadableError(ImportFailed(ImportCode.FILE_TRUNCATED, why))
        if len(cells) > MAX_COLUMNS:
            why = f"line {start} has over {MAX_COLUMNS} columns: export fewer"
            raise UnreadableError(ImportFailed(ImportCode.FILE_TOO_LARGE, why))
        if any(len(cell) > MAX_FIELD for cell in cells):
            warnings.add("text_cut", f"line {start}")
        yield start, [cell[:MAX_FIELD].strip() for cell in cells]
        usual = max(usual, len(cells))
        if start % 256 + used > 255:  # noqa: PLR2004 - at least one in 256 lines
            checkpoint()
        start += used
        for _ in range(used):
            ahead.popleft()
        ahead.extend(islice(lines, 0 if ahead else 1))


def _record(ahead: deque[str], lines: Iterator[str], delimiter: str) -> tuple[Row | None, int]:
    """The record that begins with the first line ahead, and how many lines it takes; None: a quote stays open."""
    quotes = 0
    for used in range(1, _MAX_QUOTED_LINES + 1):
        ahead.extend(islice(lines, max(used - len(ahead), 0)))
        if len(ahead) < used:
            break
        quotes += ahead[used - 1].count('"')
        # One line with pairs of quotes is complete, however odd they stand; a single one may be no quote at all.
        if used == 1 or quotes % 2 == 0:
            with suppress(csv.Error):
                strict = used > 1 or quotes % 2 == 1
                return next(csv.reader(islice(ahead, used), delimiter=delimiter, strict=strict)), used
    return None, 1
