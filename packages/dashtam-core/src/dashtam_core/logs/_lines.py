"""Where lines go and what they look like: one handler, which structlog renders for."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, Literal, TextIO

from dashtam_core.logs._bound import merge_bound
from dashtam_core.logs._patterns import HIDDEN, is_secret, remember
from dashtam_core.logs._redact import BINARY, CONTAINERS, MAPPING, TRACEBACKS, redact, shown

type Format = Literal["auto", "console", "json"]

_STANDARD: Final = frozenset({*logging.makeLogRecord({}).__dict__, "asctime", "color_message", "message"})
"""What a record has without anybody's `extra`, and the text with escape codes that uvicorn adds to its own."""


def configure(
    *,
    format: Format = "auto",  # noqa: A002 - what it is called everywhere
    level: str = "info",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    at_once: bool = True,
) -> None:
    """Sends every line of this process, ours and others', to `stream` or else stderr, rendered and redacted.

    For whoever owns the process; a second call replaces the first. `auto` is JSON unless the stream is a terminal.
    `secrets` are kept out wherever they appear, see `remember`. Without `at_once`, structlog is imported with the
    first line, for programs that mostly write none: until then structlog's own loggers do as they like.

    Raises:
        ValueError: there is no such level.
    """
    for secret in secrets:
        remember(secret)
    out = stream or sys.stderr
    terminal = out is not None and out.isatty()  # there is none where a process was started without
    as_json = format == "json" or (format == "auto" and not terminal)
    colors = terminal and not os.environ.get("NO_COLOR")
    handler = _Handler(lambda: _formatter(as_json=as_json, colors=colors), stream)
    root = logging.getLogger()
    root.setLevel(level.upper())
    if at_once or "structlog" in sys.modules:
        _ = handler.rendering
    for before in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(before)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)


class _Handler(logging.Handler):
    """Writes each record as one line in one piece. Whatever goes wrong with it is no matter of the program's."""

    def __init__(self, rendering: Callable[[], logging.Formatter], stream: TextIO | None) -> None:
        super().__init__()
        self._make = rendering
        self._stream = stream

    @cached_property
    def rendering(self) -> logging.Formatter:
        """Imported and set up with the first line, or by whoever asks for it before."""
        return self._make()

    def emit(self, record: logging.LogRecord) -> None:
        stream = self._stream or sys.stderr  # as it is now: whoever redirects it gets the lines
        if stream is None:
            return
        with suppress(OSError, ValueError):  # it is gone, closed or full
            encoding = stream.encoding or "utf-8"
            stream.write(self._line(record).encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.rendering.format(record)
        except Exception as error:  # noqa: BLE001 - a foreign message may raise anything, and a log must not
            instead = f"a line could not be rendered: {type(record.msg).__name__} raised {type(error).__name__}"
            place = record.name, record.levelno, record.pathname, record.lineno
            return self.rendering.format(logging.LogRecord(*place, instead, None, None))


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    """The rendering of every record; structlog's own loggers are told to make records too."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    plain = structlog.dev.plain_traceback  # any other would rather show local variables, or warn
    console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, sort_keys=False)
    rendering = (structlog.processors.JSONRenderer(),) if as_json else (_printable, console)
    return structlog.stdlib.ProcessorFormatter(
        processors=(merge_bound, _shaped, redact, *rendering), use_get_message=False, pass_foreign_args=True
    )


def _shaped(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """The line in its order: when, how grave, who, what, then fields; of one with such a name, `_` is appended."""
    record: logging.LogRecord = line.pop("_record")
    event, args = line.pop("event", ""), line.pop("positional_args", ())
    error, stack = _error(line.pop("exc_info", None)), line.pop("stack_info", None)
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
    shaped: dict[str, Any] = {
        "timestamp": when.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": _message(event, args),
    }
    if not line.pop("_from_structlog"):  # the standard library keeps `extra` among a record's own attributes
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
    shaped |= {f"{name}_" if name in shaped else name: value for name, value in line.items()}
    if stack:
        shaped["stack"] = stack
    if error is not None:
        shaped["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
    return shaped


def _error(found: Any) -> BaseException | None:
    """The exception that is meant by whatever may be given as `exc_info`."""
    if isinstance(found, BaseException):
        return found
    return None if not found else (sys.exc_info() if found is True else found)[1]


def _message(event: object, args: Any) -> str:
    """The message with its arguments put in by `%`."""
    if not args:
        return str(event)
    try:
        return str(event) % _arguments(args)
    except Exception as error:  # noqa: BLE001 - a foreign argument may raise anything, and a log must not
        return f"{event} (its arguments do not fit: {type(error).__name__})"


def _arguments(args: Any) -> object:
    """Those of a message, without what is secret by name or type. One that is a mapping is meant by name."""
    named = args[0] if len(args) == 1 and not isinstance(args, MAPPING) else args
    if isinstance(named, MAPPING) and named:
        return {name: HIDDEN if is_secret(str(name)) else _argument(each) for name, each in named.items()}
    return tuple(_argument(each) for each in args)


def _argument(value: object) -> object:
    """Numbers and texts as they are, for the message's own format; what may hold a secret as it is shown."""
    return shown(value) if isinstance(value, (*BINARY, *CONTAINERS)) else value


def _printable(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
    """Leaves nothing by which a value could begin a line of its own or steer a terminal; tracebacks are set in."""
    return {_escaped(name): _readable(name, value) for name, value in line.items()}


def _readable(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value  # the console shows its repr
    lines = [f"    {each}" for each in value.split("\n")] if name in TRACEBACKS else [value]
    return "\n".join(map(_escaped, lines))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
