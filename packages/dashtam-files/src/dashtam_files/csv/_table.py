"""A file's bookings by column, without a profile: where they begin, what heads them, what each column holds."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import Final

import attrs

from dashtam_files.csv._content import amount
from dashtam_files.csv._days import fitting_orders
from dashtam_files.csv._profile import Column, plain
from dashtam_files.csv._sheet import DELIMITERS, Row, Sheet, width
from dashtam_files.csv._vocabulary import meaning

MOST: Final = 0.95
MAX_ROWS: Final = 5_000
"""Rows that are looked at to find out how a file is meant."""
_MAX_CELLS: Final = 200_000
_MAX_HEADER: Final = 200
_MAX_DIGITS: Final = 9
"""A whole number of more digits is an id, no amount."""
_ABOVE: Final = 6
"""How far above the first booking a header is looked for."""


@attrs.frozen
class Table:
    """The bookings of a file by column. `names` is its header, empty where it has none."""

    delimiter: str
    names: Row
    preamble: Sequence[Row]
    columns: Sequence[Sequence[str]]
    continued: bool
    """Most bookings go on in a row of text alone."""

    def means(self, at: int) -> str | None:
        """What the header says the column holds."""
        found = meaning(self.names[at]) if at < len(self.names) else None
        return found.name if found else None

    def column(self, at: int) -> Column:
        """What a profile calls the column: its name, unless another has the same."""
        name = " ".join(self.names[at].split()) if at < len(self.names) else ""
        alone = [plain(each) for each in self.names].count(plain(name)) == 1
        return name if 0 < len(name) <= _MAX_HEADER and name.isprintable() and alone else at + 1

    def share(self, at: int, fits: Callable[[str], bool]) -> float:
        """How much of the column's cells fit, blank ones aside."""
        filled = [cell for cell in self.columns[at] if cell]
        return sum(map(fits, filled)) / len(filled) if filled else 0

    def filled(self, at: int) -> float:
        return sum(map(bool, self.columns[at])) / len(self.columns[at])


def table(sheet: Sheet) -> Table | None:
    """The file by the delimiter that gives most rows with a day and an amount; None if none does."""
    delimiter = max(DELIMITERS, key=lambda each: _score(sheet.beginning(each)))
    if not any(map(is_booking, sheet.beginning(delimiter))):
        return None
    rows = [row for _, row in islice(sheet.rows(delimiter), MAX_ROWS)]
    first = next(at for at, row in enumerate(rows) if is_booking(row))
    header = _header(rows, first)
    names = rows[header] if header is not None else ()
    columns = max(width(rows[first:]), len(names))
    below = rows[first : first + max(_MAX_CELLS // columns, 1)]
    bookings = [row for row in below if is_booking(row)]
    cells = [[row[at] if at < len(row) else "" for row in bookings] for at in range(columns)]
    return Table(delimiter, names, rows[: first if header is None else header], cells, _is_continued(below))


def is_booking(row: Row) -> bool:
    """Whether the row holds a day and an amount."""
    days = [bool(cell and fitting_orders(cell)) for cell in row]
    return any(days) and any(is_number(cell) for cell, day in zip(row, days, strict=True) if cell and not day)


def is_number(cell: str) -> bool:
    """Whether the cell may be an amount, and is no long or padded id."""
    digits = cell.lstrip("+-")
    is_id = digits.isdigit() and (len(digits) > _MAX_DIGITS or (digits[0] == "0" and len(digits) > 1))
    return not is_id and amount(cell, None) is not None


def _score(rows: Sequence[Row]) -> tuple[int, int]:
    usual = width(rows)
    return sum(map(is_booking, rows)), sum(len(row) == usual for row in rows) if usual else 0


def _header(rows: Sequence[Row], first: int) -> int | None:
    """The nearest row above the bookings that is all words, about as wide as they are."""
    for at in range(first - 1, max(first - _ABOVE, -1), -1):
        texts = [cell for cell in rows[at] if cell]
        if len(texts) > 1 and len(texts) * 2 >= len(rows[first]) and not _has_value(texts):
            return at
    return None


def _has_value(cells: Iterable[str]) -> bool:
    return any(fitting_orders(cell) or is_number(cell) for cell in cells)


def _is_continued(rows: Sequence[Row]) -> bool:
    follows = sum(is_booking(one) and any(two) and not _has_value(two) for one, two in pairwise(rows))
    return follows > 1 and follows * 3 >= sum(map(is_booking, rows))
