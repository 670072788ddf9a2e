"""Where lines go, what they look like, and that nothing about them disturbs the program."""

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from io import BytesIO, StringIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core import logs
from dashtam_core.kernel import KernelCode
from unit.logs.recording import FORMATS, Terminal, lines, recorded, restored

log = logging.getLogger("some.module")


class Colour(Enum):
    RED = 1
    BLUE = "blue"


class Number(IntEnum):
    ONE = 1


def test_a_line_is_one_json_object() -> None:
    """First when, how grave, who and what, then the fields; values of Python are text."""
    made = UUID(int=7)
    with recorded() as stream, logs.bound(request_id="r1"):
        log.info(
            "paid %s of %d",
            "rent",
            5,
            extra={
                "id": made,
                "at": datetime(2026, 1, 5, tzinfo=UTC),
                "on": date(2026, 1, 5),
                "amount": Decimal("-12.50"),
                "code": KernelCode.MONEY_INVALID,
                "colours": [Colour.RED, Colour.BLUE, Number.ONE],
                "file": Path("/a/b"),
                "share": 0.5,
                "flags": {"on": True, "off": None},
                "tags": {"a"},
                "deep": [[[[[1]]]]],
            },
        )
    (line,) = lines(stream)
    when = line.pop("timestamp")
    assert when.endswith("Z")
    assert abs((datetime.fromisoformat(when) - datetime.now(UTC)).total_seconds()) < 60
    assert len(when) == len("2026-01-05T00:00:00.000000Z")
    assert list(line) == [
        *("level", "logger", "event", "request_id"),
        *("id", "at", "on", "amount", "code", "colours", "file", "share", "flags", "tags", "deep"),
    ]
    assert list(line.values()) == [
        *("info", "some.module", "paid rent of 5", "r1"),
        *(str(made), "2026-01-05T00:00:00+00:00", "2026-01-05", "-12.50", "money_invalid"),
        *(["RED", "blue", 1], "/a/b", 0.5, {"on": True, "off": None}, ["a"], [[[[[1]]]]]),
    ]


def test_a_line_to_read_has_the_same_in_the_same_order() -> None:
    """The console shows time, level, event, logger and the fields as they were given."""
    with recorded("console") as stream, logs.bound(request_id="r1"):
        log.warning("odd", extra={"z": Number.ONE, "a": "two words", "rows": [1]})
    assert stream.getvalue()[27:] == (
        " [warning  ] odd                            [some.module] request_id=r1 z=1 a='two words' rows=[1]\n"
    )


def test_a_field_never_takes_the_place_of_the_line_s_own() -> None:
    """A field that is called like one of the line's is there beside it."""
    with recorded() as stream, logs.bound(timestamp="t", level="low"):
        log.info("said", extra={"event": "e", "logger": "l"})
    (line,) = lines(stream)
    assert (line["level"], line["logger"], line["event"]) == ("info", "some.module", "said")
    assert (line["timestamp_"], line["level_"], line["logger_"], line["event_"]) == ("t", "low", "l", "e")


@pytest.mark.parametrize("form", FORMATS)
def test_every_source_comes_out_alike(form: logs.Format) -> None:
    """Our modules, other libraries, asyncio, warnings and structlog's own loggers share one stream and shape."""
    with recorded(form, level="info") as stream, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.getLogger("foreign.server").info("up on %s", "port 1", extra={"color_message": "\x1b[1mup"})
        logging.getLogger("asyncio").warning("slow callback")
        structlog.get_logger("native").info("native %s", "too", n=1)
        structlog.get_logger("native").debug("left out")
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        log.debug("left out")
    text = stream.getvalue()
    for said in ("up on port 1", "slow callback", "native too", "DeprecationWarning: old way", "py.warnings"):
        assert text.count(said) == 1
    assert text.count("\n") == 4
    assert "color_message" not in text
    assert "left out" not in text
    if form == "json":
        assert [line["logger"] for line in lines(stream)] == ["foreign.server", "asyncio", "native", "py.warnings"]
        assert (lines(stream)[2]["level"], lines(stream)[2]["n"]) == ("info", 1)


@pytest.mark.parametrize("form", FORMATS)
def test_an_exception_is_a_plain_traceback(form: logs.Format) -> None:
    """Causes and notes are in it and no local variables, whoever logs it and however it is given."""
    hidden = f"local variable {len(form)}"
    error = KeyError("outer")
    error.add_note("a note")
    with recorded(form) as stream:
        try:
            raise error from ValueError("inner")
        except KeyError:
            log.exception("first", extra={"n": len(hidden)})
            structlog.get_logger().exception("second")
        log.error("third", exc_info=error)
        structlog.get_logger().error("fourth", exc_info=error)
        log.error("none", exc_info=True)  # noqa: LOG014 - it must not fail
    text = stream.getvalue()
    assert [text.count(said) for said in ("ValueError: inner", "KeyError: 'outer'", "a note")] == [4, 4, 4]
    assert text.count("Traceback (most recent call last)") == 4, "the inner one was never raised"
    assert hidden not in text
    assert text.count("none") == 1


def test_a_stack_is_shown_where_it_is_asked_for() -> None:
    """`stack_info` says how a line came about."""
    with recorded() as stream:
        log.info("here", stack_info=True)
        structlog.get_logger().info("there", stack_info=True)
    for line in lines(stream):
        assert "test_a_stack_is_shown_where_it_is_asked_for" in line["stack"]


@given(st.text(), st.text(min_size=1), st.text())
def test_nothing_forges_a_line_or_steers_a_terminal(event: str, name: str, value: str) -> None:
    """Whatever is logged, a line is one line of printable text; only tracebacks have more, all of them set in."""
    for form in FORMATS:
        with recorded(form) as stream:
            log.error("%s", event, extra={"x" + name: value, "list": [value]}, exc_info=ValueError(event))
        first, *others = stream.getvalue().removesuffix("\n").split("\n")
        assert first.isprintable()
        assert all(line.startswith("    ") and line.isprintable() for line in others)
        assert len(others) == 0 or form == "console"


class Odd:
    """Raises whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise KeyError("no text")


def nested(depth: int) -> list[object]:
    inside: list[object] = []
    for _ in range(depth):
        inside = [inside]
    return inside


def cyclic() -> list[object]:
    endless: list[object] = []
    endless.extend([endless] * 50)
    return endless


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "value",
    [Odd(), 10**5_000, float("nan"), cyclic(), "\ud800", {Odd(): 1}, {(1, 2): object()}, range(3), (1,), {2}],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_cannot_be_shown_breaks_nothing(
    value: object, form: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is written with everything else in it, as an argument, a field and a message too."""
    with recorded(form) as stream:
        log.info("before %s after", value, extra={"value": value, "other": "kept"})
        log.info(value)
        structlog.get_logger().info(value, value=value)
    text = stream.getvalue()
    assert (text.count("kept"), text.count("before"), text.count("\n")) == (1, 1, 3)
    assert capsys.readouterr().err == ""
    if form == "json":
        for line in text.splitlines():
            json.loads(line, parse_constant=pytest.fail)


def test_what_cannot_be_shown_is_named_by_its_type() -> None:
    """A reader knows what was there, and why it is not shown."""
    with recorded() as stream:
        log.info("x", extra={"value": Odd()})
        log.info(Odd())
        log.info("%d", "x")
        log.info("x", extra={"value": nested(5_000)})
    values, message, arguments, deep = lines(stream)
    assert values["value"] == "<Odd not shown: RuntimeError>"
    assert message["event"] == "a line could not be rendered: Odd raised KeyError"
    assert (message["logger"], arguments["event"]) == (
        "some.module",
        "%d (its arguments do not fit: TypeError)",
    )
    assert str(deep["value"]).strip("[]'") == "<list>"


def test_a_stream_that_is_gone_breaks_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed stream, or none at all, loses lines and says nothing."""
    with recorded() as stream:
        stream.close()
        log.error("lost")
    with restored():
        monkeypatch.setattr(sys, "stderr", None)
        logs.configure()
        log.error("lost")
        monkeypatch.undo()
    assert capsys.readouterr() == ("", "")


def test_without_a_stream_lines_go_to_stderr_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Who redirects stderr later has the lines, and stdout is left to the program."""
    with restored():
        logs.configure()
        log.info("first")
        with contextlib.redirect_stderr(StringIO()) as elsewhere:
            log.info("second")
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["event"] == "first"
    assert json.loads(elsewhere.getvalue())["event"] == "second"


def test_what_a_stream_cannot_write_is_escaped() -> None:
    """A terminal of another alphabet loses no line."""
    written = BytesIO()
    with restored(), contextlib.closing(TextIOWrapper(written, encoding="ascii")) as out:
        logs.configure(format="console", stream=out)
        log.info("Café")
        assert b"Caf\\xe9" in written.getvalue()


def test_configuring_again_replaces() -> None:
    """One handler, whatever was before; a level that does not exist changes nothing."""
    with recorded("console") as first, contextlib.closing(StringIO()) as second:
        logs.configure(format="json", level="warning", stream=second)
        with pytest.raises(ValueError, match="LOUD"):
            logs.configure(format="console", level="loud", stream=first)
        log.info("left out")
        log.warning("once")
        assert first.getvalue() == ""
        assert [line["event"] for line in lines(second)] == ["once"]
        assert len(logging.getLogger().handlers) == 1


@pytest.mark.parametrize(
    ("form", "stream", "json_"),
    [("auto", StringIO, True), ("auto", Terminal, False), ("json", Terminal, True), ("console", StringIO, False)],
)
def test_people_and_programs_get_their_format(form: logs.Format, stream: type[StringIO], json_: bool) -> None:
    """Unless it is said, a terminal gets lines to read and everything else gets JSON."""
    with restored(), contextlib.closing(stream()) as out:
        logs.configure(format=form, stream=out)
        log.info("hello", extra={"name_": "x"})
        assert out.getvalue().startswith("{") == json_


@pytest.mark.parametrize(("stream", "no_color", "colours"), [(Terminal, "", True), (Terminal, "1", False)])
def test_colours_are_for_terminals(
    stream: type[StringIO], no_color: str, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a terminal is sent escape codes, and none if NO_COLOR says so."""
    monkeypatch.setenv("NO_COLOR", no_color)
    with restored(), contextlib.closing(stream()) as out:
        logs.configure(stream=out)
        log.info("hello")
        assert ("\x1b" in out.getvalue()) == colours


STEPS = """
import logging, sys
import dashtam_core.logs as logs
def known(): return "structlog" in sys.modules, len(logging.getLogger().handlers)
seen = [known()]
logs.configure(format="json", level="warning", at_once=False); seen.append(known())
logging.getLogger("x").info("left out"); seen.append(known())
logging.getLogger("x").warning("first"); seen.append(known())
print(seen)
"""


def test_structlog_is_imported_when_it_is_needed() -> None:
    """Importing configures nothing, and a program that waits for its first line pays when it comes."""
    run = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([(False, 0), (False, 1), (False, 1), (True, 1)])
    assert json.loads(run.stderr)["event"] == "first"


def test_unconfigured_it_is_plain_logging() -> None:
    """Who configures nothing gets what the standard library does: warnings on stderr, by their message."""
    told = (
        "import logging; from dashtam_core import logs\nwith logs.bound(a=1): logging.getLogger('x').warning('hi')"
    )
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "hi\n")


async def test_a_thousand_tasks_keep_their_fields_apart() -> None:
    """Each line has the fields of its own task and block, however the tasks are interleaved."""

    async def work(number: int) -> None:
        with logs.bound(request_id=number, step="outer"):
            await asyncio.sleep(0)
            log.info("outer", extra={"number": number})
            with logs.bound(step="inner", command=f"c{number}"):
                await asyncio.sleep(0)
                await asyncio.create_task(inherits(number))
            log.info("outer", extra={"number": number})

    async def inherits(number: int) -> None:
        await asyncio.sleep(0)
        log.info("inner", extra={"number": number})

    with recorded() as stream:
        await asyncio.gather(*(work(number) for number in range(1_000)))
    written = lines(stream)
    assert len(written) == 3_000
    mixed = [
        line
        for line in written
        if line["request_id"] != line["number"]
        or line["step"] != line["event"]
        or line.get("command") != (f"c{line['number']}" if line["event"] == "inner" else None)
    ]
    assert mixed == []
    assert any(a["number"] != b["number"] for a, b in pairwise(written)), "they did run together"


def test_a_block_ends_as_it_began() -> None:
    """After a block, an exception included, the fields of the one around it are back."""
    with logs.bound(a=1):
        with contextlib.suppress(KeyError), logs.bound(a=2, b=3):
            assert logs.merge_bound(None, "", {"b": 4}) == {"a": 2, "b": 4}
            raise KeyError
        assert logs.merge_bound(None, "", {}) == {"a": 1}
    assert logs.merge_bound(None, "", {}) == {}
