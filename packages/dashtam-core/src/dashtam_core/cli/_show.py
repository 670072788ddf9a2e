"""What commands print: JSON documents and tables on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from datetime import date
from typing import Final, TextIO
from uuid import UUID

_NUMBER: Final = ">"


def aside() -> redirect_stdout[TextIO]:
    """Sends what a plugin or a log prints meanwhile to stderr, so that stdout is the command's alone."""
    return redirect_stdout(sys.stderr)


def note(message: str, /) -> None:
    """One line for the person, on stderr."""
    sys.stderr.write(f"dashtam: {_printable(message)}\n")


def document(value: object, /) -> None:
    """One JSON document, in ASCII and on one line, so that no terminal or encoding can spoil it."""
    _write(json.dumps(value, default=_plain))


def line(text: str = "", /) -> None:
    """One line of the command's answer."""
    _write(_printable(text))


def exactly(text: str, /) -> None:
    """Text as it is, in UTF-8 with no line's end added: what is signed must reach a file unchanged."""
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], /) -> None:
    """Rows beneath their titles: folded to a terminal's width, or whole and one a line where there is none.

    A column whose title ends in `>` holds numbers: they stand to the right, and are red where negative.
    """
    cells = [["" if cell is None else _printable(str(cell)) for cell in row] for row in rows]
    columns = [(title.removesuffix(_NUMBER), title.endswith(_NUMBER)) for title in titles]
    if sys.stdout.isatty():
        _fold(columns, cells)
    else:
        _write("\n".join(_lines(columns, cells)))


def _lines(columns: Sequence[tuple[str, bool]], cells: Sequence[Sequence[str]]) -> Iterable[str]:
    rows = [[title for title, _ in columns], *cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    put = [str.rjust if number else str.ljust for _, number in columns]
    for row in rows:
        yield "  ".join(map(lambda put, cell, width: put(cell, width), put, row, widths)).rstrip()


def _fold(columns: Sequence[tuple[str, bool]], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title, number in columns:
        grid.add_column(title, justify="right" if number else "left", overflow="fold")
    for row in cells:
        red = [number and cell.startswith("-") for cell, (_, number) in zip(row, columns, strict=True)]
        grid.add_row(*(Text(cell, "red" if negative else "") for cell, negative in zip(row, red, strict=True)))
    Console(file=sys.stdout).print(grid)


def _plain(value: object) -> str:
    """Ids as texts, days and instants in ISO 8601."""
    if isinstance(value, date):
        return value.isoformat()
    assert isinstance(value, UUID), f"a {type(value).__name__} has no form in JSON"
    return str(value)


def _printable(text: str) -> str:
    """`text` on one line and without the control characters by which a file could steer a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def _write(text: str) -> None:
    """Writes at once, so that a pipe closed by its reader is noticed here and not when Python ends."""
    encoding = sys.stdout.encoding
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()
