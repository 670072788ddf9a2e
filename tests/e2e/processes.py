"""Running our own commands as a person does, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
DASHTAM = Path(sys.executable).with_name("dashtam")
PATIENCE = 60.0
LAST = "Ctrl-C stops it"


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of the tests, with a data folder of its own."""
    return os.environ | {"DASHTAM_DATA_DIR": str(data), "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **more}


def dashtam(data: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One run of the command line to its end."""
    return subprocess.run(
        [DASHTAM, *arguments],
        env=environment(data, **more),
        cwd=data,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


class Service:
    """A service that runs in a process group of its own, with what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def line(self, beginning: str) -> str:
        """The rest of the first line that begins so, waited for until the last that a service prints."""
        eventually(lambda: LAST in self.printed or self.process.poll() is not None)
        found = [line for line in self.printed.splitlines() if line.startswith(beginning)]
        assert found, self.printed
        return found[0].removeprefix(beginning).strip()

    def servers(self) -> list[psutil.Process]:
        """The PostgreSQL processes this service works with."""
        mine = psutil.Process(self.process.pid)
        ports = {each.raddr.port for each in mine.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED}
        return [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "postgres"
            and any(f"--port={port}" in (process.info["cmdline"] or []) for port in ports)
        ]

    def stop(self, how: signal.Signals) -> int:
        """Sends a signal and waits for the end; answers the exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextmanager
def service(command: list[str | Path], data: Path, log: Path, **more: str) -> Generator[Service]:
    """A service, stopped at the end whatever happened."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment(data, **more),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield Service(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until it is so; fails when it does not become so in a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not become so in a minute"
        time.sleep(0.05)
