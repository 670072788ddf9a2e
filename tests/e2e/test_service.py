"""The example service as a person meets it: started, looked at, interrupted, killed, started again."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from e2e.conftest import data_folder
from e2e.processes import ROOT, Service, eventually, service

MAIN = ROOT / "examples" / "service" / "main.py"


@contextmanager
def serving(data: Path, log: Path) -> Generator[Service]:
    with service([sys.executable, MAIN, "--port", "0"], data, log) as started:
        started.line("Ctrl-C")
        yield started


@pytest.fixture
def running(data: Path, tmp_path: Path) -> Generator[Service]:
    """One that a test may end."""
    with serving(data, tmp_path / "log") as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """One for the tests that leave it running."""
    with data_folder() as data, serving(data, tmp_path_factory.mktemp("shared") / "log") as started:
        yield started


def client(running: Service) -> httpx.Client:
    token, url = running.line("API token"), running.line("API").removesuffix("/v1")
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_it_shows_what_is_in_it_and_serves_it(running: Service, data: Path, tmp_path: Path) -> None:
    """What it prints is what the API answers, after a restart too, and Ctrl-C leaves no server behind."""
    with client(running) as api:
        assert api.get("/health/ready").json() == {"status": "ready"}
        accounts = api.get("/v1/accounts").json()["items"]
        latest = api.get("/v1/transactions", params={"limit": 1}).json()["items"][0]
    assert len(accounts) == 8
    assert all((data / secret).stat().st_mode & 0o077 == 0 for secret in ("dashtam.key", "demo.password"))
    assert all(f"{account['name']}" in running.printed for account in accounts)
    assert f"{latest['posted_date']}  {latest['description']}" in running.printed
    servers = running.servers()
    assert servers
    assert running.stop(signal.SIGINT) == 0
    assert "Traceback" not in running.printed
    eventually(lambda: not any(server.is_running() for server in servers))

    with serving(data, tmp_path / "again") as again:
        assert again.printed.count("known from an earlier start") == 7
        assert again.line("Log in") == running.line("Log in")
        with client(again) as api:
            assert api.get("/v1/accounts").json()["items"] == accounts


def test_the_curl_lines_work_as_printed(shared: Service) -> None:
    """What it tells to try can be pasted into a shell."""
    lines = re.findall(r"^  (curl .*)$", shared.printed, re.MULTILINE)
    for line, said in zip(lines, ('"items"', '"access_token"', "household.ofx"), strict=True):
        answer = subprocess.run(
            f"{line} -sf", shell=True, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert said in answer


def test_a_killed_owner_leaves_no_server(running: Service) -> None:
    """Whatever ends the service, its PostgreSQL ends too."""
    servers = running.servers()
    assert servers
    running.stop(signal.SIGKILL)
    eventually(lambda: not any(server.is_running() for server in servers))


def test_a_taken_port_is_said_and_how_to_change_it(data: Path, tmp_path: Path) -> None:
    """One line, no traceback, and nothing left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with service([sys.executable, MAIN, "--port", port], data, tmp_path / "log") as refused:
            assert refused.process.wait(60) == 3
    assert f"port {port} on 127.0.0.1 is taken" in refused.printed
    assert "make run PORT=" in refused.printed
    assert "Traceback" not in refused.printed


def test_a_file_of_a_bank_imported_twice_adds_nothing(shared: Service, corpus: Path) -> None:
    """Each real statement comes in over HTTP once, and the second time it is known."""
    files = sorted(corpus.glob("ofx/*/*.[oq]fx"))
    assert files
    with client(shared) as api:
        before = count(api)
        added = 0
        for file in files:
            first = api.post("/v1/imports", files={"file": (file.name, file.read_bytes())})
            assert first.status_code in {200, 201}, (file, first.text)
            added += first.json()["added"] if first.status_code == 201 else 0
        assert count(api) == before + added
        for file in files:
            again = api.post("/v1/imports", files={"file": (file.name, file.read_bytes())})
            assert (again.status_code, again.json()["already_imported"]) == (200, True)
        assert count(api) == before + added


def count(api: httpx.Client) -> int:
    total, cursor = 0, None
    while True:
        page = api.get("/v1/transactions", params={"limit": 500} | ({"cursor": cursor} if cursor else {})).json()
        total, cursor = total + len(page["items"]), page["next_cursor"]
        if cursor is None:
            return total
