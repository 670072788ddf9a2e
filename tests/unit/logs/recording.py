"""Logs of a test, written to memory; what the process had configured before comes back afterwards."""

import json
import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from io import StringIO
from typing import Any

import structlog

from dashtam_core import logs
from dashtam_core.logs._patterns import _secrets

FORMATS: tuple[logs.Format, ...] = ("json", "console")


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@contextmanager
def restored() -> Generator[None]:
    """Begins with no handler, not even pytest's, and undoes whatever is configured inside."""
    root = logging.getLogger()
    handlers, level, known = root.handlers[:], root.level, _secrets[:]
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
        _secrets[:] = known


@contextmanager
def recorded(
    form: logs.Format = "json", *, level: str = "debug", secrets: Iterable[str] = ()
) -> Generator[StringIO]:
    """The stream that everything logged inside is written to."""
    with restored():
        stream = StringIO()
        logs.configure(format=form, level=level, secrets=secrets, stream=stream)
        yield stream


def lines(stream: StringIO) -> list[dict[str, Any]]:
    """The JSON lines written so far."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]
