"""Where a profile's columns stand in a file: the header row, and whatever precedes it."""

from collections.abc import Mapping, Sequence

import attrs

from dashtam_files.csv._profile import Column, CsvProfile, plain
from dashtam_files.csv._sheet import DELIMITERS, Row, Sheet, width


@attrs.frozen
class Layout:
    """A profile laid over a file. `header` is its row from 0, None where the file has none."""

    profile: CsvProfile
    delimiter: str
    header: int | None
    names: Row
    preamble: Sequence[Row]
    places: Mapping[str, tuple[int, ...]]
    """The columns from 0 by what they mean, for those that the file has."""

    def text(self, row: Row, meaning: str) -> str | None:
        """What the row's columns of that meaning say, joined; None if nothing."""
        places = self.places.get(meaning, ())
        if len(places) < 2:  # noqa: PLR2004 - nothing to join
            return (row[places[0]] or None) if places and places[0] < len(row) else None
        return " ".join(row[at] for at in places if at < len(row) and row[at]) or None


def layout(profile: CsvProfile, sheet: Sheet) -> Layout | None:
    """Where the profile's columns stand, or None where the file is not of its kind."""
    for delimiter in (profile.delimiter,) if profile.delimiter else DELIMITERS:
        rows = sheet.beginning(delimiter)
        if not profile.header:
            return _placed(profile, delimiter, rows, None) if width(rows) > 1 else None
        for at, row in enumerate(rows):
            if _has_all(profile.header, row) and (found := _placed(profile, delimiter, rows, at)):
                return found
    return None


def _placed(profile: CsvProfile, delimiter: str, rows: Sequence[Row], at: int | None) -> Layout | None:
    names = () if at is None else rows[at]
    places = {key: found for key, named in profile.columns.items() if (found := _places(named, names))}
    if "date" not in places or not places.keys() & {"amount", "debit", "credit"}:
        return None
    return Layout(profile, delimiter, at, names, rows[: at or 0], places)


def _places(named: Sequence[Column], names: Row) -> tuple[int, ...]:
    found = (each - 1 if isinstance(each, int) else _find(each, names) for each in named)
    return tuple(at for at in found if at is not None)


def _find(name: str, names: Row) -> int | None:
    return next((at for at, each in enumerate(names) if _matches(name, each)), None)


def _has_all(header: Sequence[str], row: Row) -> bool:
    return len(row) >= len(header) and all(_find(name, row) is not None for name in header)


def _matches(name: str, text: str) -> bool:
    """Whether the header's text is that name, in which `*` stands for any text."""
    first, *others = plain(name).split("*")
    found = plain(text)
    if not others:
        return found == first
    at, end = len(first), len(found) - len(others[-1])
    if at > end or not found.startswith(first) or not found.endswith(others[-1]):
        return False
    for part in others[:-1]:
        if (start := found.find(part, at, end)) < 0:
            return False
        at = start + len(part)
    return True
