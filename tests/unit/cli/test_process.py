"""The command as a process: what it imports, how it ends when a pipe or a person breaks it off."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

DASHTAM = (sys.executable, "-c", "from dashtam_core.cli import main; main()")
NO_PLUGINS = {"DASHTAM_PLUGINS": "memory"}
"""The built-in plugin alone, so that no installed one has a part in these tests."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())


def environment() -> dict[str, str]:
    return os.environ | NO_PLUGINS


def imported(*args: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "from dashtam_core.cli import main; main()"
    )
    return set(run(sys.executable, "-c", code, *args).stderr.split())


@pytest.mark.parametrize("name", ["typer", "rich", "dotenv"])
def test_without_the_extra(name: str) -> None:
    """Where a package of the extra is missing, one line says what to install."""
    code = f"import sys; sys.modules[{name!r}] = None; from dashtam_core.cli import main; main()"
    result = run(sys.executable, "-c", code)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "dashtam: the command line needs its extra: pip install 'dashtam-core[cli]'\n"


def test_the_package_is_light() -> None:
    """Importing what plugins share imports nothing of the extra."""
    code = "import sys, dashtam_core.cli; print({'typer', 'rich', 'dotenv', 'structlog'} & set(sys.modules))"
    assert run(sys.executable, "-c", code).stdout == "set()\n"


def test_commands_import_what_they_need() -> None:
    """Neither the version nor a piped or refused reading draws a table, writes a log or speaks to a store."""
    unneeded = {"rich.console", "structlog", "dashtam_fastapi", "dashtam_postgres", "sqlalchemy"}
    assert not unneeded & imported("--version")
    assert not unneeded & imported("read", "missing")
    assert "typer" in imported("--version")


@pytest.mark.parametrize("args", [("plugins",), ("plugins", "--json"), ("--version",), ("--help",)])
def test_a_reader_that_goes_away(args: tuple[str, ...]) -> None:
    """A closed pipe ends the command without a word."""
    receiving, sending = os.pipe()
    os.close(receiving)
    with os.fdopen(sending, "wb") as stdout:
        result = subprocess.run(
            (*DASHTAM, *args), stdout=stdout, stderr=subprocess.PIPE, timeout=60, check=False, env=environment()
        )
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.parametrize("command", ["accounts", "transactions", "token"])
@pytest.mark.parametrize("url", ["", "memory:"])
def test_a_store_that_lasts_is_needed(command: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, a command ends with one line that names the variable, and exit code 3."""
    monkeypatch.setenv("DASHTAM_STORE_URL", url)
    result = run(*DASHTAM, command, "--json")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (3, "", 1)
    assert "DASHTAM_STORE_URL" in result.stderr


def test_an_interrupt() -> None:
    """Ctrl-C while a command works ends it with 130 and no traceback."""
    command = (*DASHTAM, "read", "-")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"x" * 1_000_000)  # more than a pipe holds: now the command is reading
        process.stdin.flush()
        assert _interrupted(process) == 130
        assert process.stderr.read() == b""


def _interrupted(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code after Ctrl-C, pressed again where it fell between two reads and Python saw it too late."""
    for _ in range(20):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(2)
    process.kill()
    return None


def test_a_bug_is_an_ordinary_traceback() -> None:
    """An unexpected error shows Python's own traceback."""
    code = (
        "from dashtam_core.cli._app import app; from dashtam_core.cli._host import Host\n"
        "app(['plugins'], obj=Host(lambda _: 1 / 0))"
    )
    result = run(sys.executable, "-c", code)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")
