"""What is logged while a command runs."""

import json
import logging

import pytest

from dashtam_core.accounts import ImportFailed, Statement
from dashtam_core.kernel import Result
from dashtam_core.testing.samples import LinesPlugin
from unit.cli.toy import CommandLine, NoisyReader


class Telling(NoisyReader):
    """A reader that logs a line of each level."""

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        log = logging.getLogger("lines")
        log.info("a file is read")
        log.warning("a file is odd", extra={"password": "hunter2", "key": "k" * 32})
        return super().read(data)


@pytest.fixture
def telling() -> CommandLine:
    return CommandLine(LinesPlugin(Telling()))


@pytest.mark.usefixtures("dashtam")
def test_a_command_tells_of_what_is_odd(telling: CommandLine) -> None:
    """Warnings are lines to read on stderr, and what is merely said is not shown."""
    result = telling("read", "january.lines")
    assert "[warning  ] a file is odd" in result.stderr
    assert "password=[redacted]" in result.stderr
    assert "a file is read" not in result.stderr
    assert "file is" not in result.stdout


@pytest.mark.usefixtures("dashtam")
def test_settings_say_what_a_command_tells(telling: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Level and format are the settings', and no secret of theirs is in a line."""
    for name, text in {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "MASTER_KEY": "k" * 32}.items():
        monkeypatch.setenv(f"DASHTAM_{name}", text)
    result = telling("read", "january.lines")
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "a file is read"),
        ("warning", "a file is odd"),
    ]
    assert lines[1]["key"] == "[redacted]"


@pytest.mark.usefixtures("dashtam")
def test_a_wrong_setting_stops_no_command_that_needs_none(
    telling: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Help is there whatever the settings are, and a command that reads them names the wrong one once."""
    monkeypatch.setenv("DASHTAM_LOG_LEVEL", "loud")
    assert telling("read", "--help").exit_code == 0
    result = telling("read", "january.lines")
    assert (result.exit_code, result.stderr.count("DASHTAM_LOG_LEVEL is 'loud'")) == (2, 1)
