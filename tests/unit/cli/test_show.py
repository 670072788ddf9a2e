"""Tables on a terminal: folded to its width, with nothing lost."""

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import pytest

from dashtam_core.cli._show import line, table


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def on_terminal(titles: Sequence[str], *rows: Sequence[object]) -> str:
    """The table as a terminal gets it."""
    with redirect_stdout(Terminal()) as terminal:
        table(titles, rows)
    return terminal.getvalue()


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal has 40 columns and colours."""
    for name, value in {"COLUMNS": "40", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


def test_negative_amounts_are_red() -> None:
    """A minus colours a number, and no text."""
    rows = (("2026-01-05", "-12.50", "-x"), ("2026-01-06", "1.00", None))
    shown = on_terminal(("date", "amount>", "text"), *rows)
    assert "\x1b[31m-12.50\x1b[0m" in shown
    assert shown.count("\x1b[31m") == 1


def test_long_texts_are_folded() -> None:
    """No line is wider than the terminal, and every character is there."""
    text = "".join(chr(ord("a") + n % 26) for n in range(90))
    _, _, _, *lines = on_terminal(("date", "text"), ("2026-01-05", text)).splitlines()
    assert max(map(len, lines)) <= 40
    assert text in "".join(each.replace("2026-01-05", "").strip() for each in lines)


def test_markup_is_text() -> None:
    """Brackets in a description are no instructions."""
    assert "[red]a[/red] :smile:  [2J" in on_terminal(("text",), ("[red]a[/red] :smile: \x1b[2J",))


def test_an_encoding_that_lacks_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an old terminal cannot show becomes a question mark, not a traceback."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    line("••1234")
    assert raw.getvalue() == b"??1234\n"
