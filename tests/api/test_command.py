"""`dashtam serve` as its own process, on a real database."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from conftest import Database

PATIENCE = 60
SERVE = (str(Path(sys.executable).with_name("dashtam")), "serve", "--port", "0")
AS_PROCESS_ONE = ("unshare", "--fork", "--pid", "--kill-child", "--")


@asynccontextmanager
async def _serve(*command: str, folder: Path, **variables: str) -> AsyncGenerator[Process]:
    """The command in a folder and environment of its own; killed if the test does not end it."""
    environ = {**os.environ, "DASHTAM_MASTER_KEY": "k" * 32, **variables}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=folder, env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _url(process: Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    return next((word.rstrip(",") for word in line.decode().split() if word.startswith("http://")), "")


async def _refusal(*command: str, folder: Path, **variables: str) -> tuple[int | None, str]:
    """The exit code of a command that does not start, and the one line it says."""
    async with _serve(*command, folder=folder, **variables) as process:
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert out == b""
    (line,) = errors.decode().splitlines()
    return process.returncode, line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_told_to_stop(database: Database, tmp_path: Path, number: int) -> None:
    """Its first line says where it answers, and either signal ends it with 0 and without a word."""
    async with _serve(*SERVE, folder=tmp_path, DASHTAM_STORE_URL=database.app_url) as process:
        async with httpx.AsyncClient(base_url=await _url(process)) as client:
            assert (await client.get("/health/ready")).status_code == 200
        process.send_signal(number)
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert (process.returncode, errors.decode()) == (0, "")


async def test_it_logs_in_one_shape(database: Database, tmp_path: Path) -> None:
    """Stderr that is no terminal has a JSON object a line, and no secret of the request or the settings."""
    async with _serve(*SERVE, folder=tmp_path, DASHTAM_STORE_URL=database.app_url) as process:
        async with httpx.AsyncClient(base_url=await _url(process)) as client:
            await client.get("/v1/accounts?token=hunter2", headers={"authorization": "Bearer hunter2"})
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    lines = [json.loads(line) for line in errors.decode().splitlines()]
    assert [(each["path"], each["status"]) for each in lines if each["event"] == "request"] == [
        ("/v1/accounts", 401)
    ]
    assert b"hunter2" not in errors


async def test_a_signal_ends_it_as_process_one(database: Database, tmp_path: Path) -> None:
    """In a container there is no default action for SIGTERM: it must be heard all the same."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a process namespace needs root and unshare")
    async with _serve(*AS_PROCESS_ONE, *SERVE, folder=tmp_path, DASHTAM_STORE_URL=database.app_url) as process:
        assert await _url(process)
        (child,) = psutil.Process(process.pid).children()
        child.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert (process.returncode, errors.decode()) == (0, "")


async def test_a_signal_ends_it_while_it_still_opens_its_store(tmp_path: Path) -> None:
    """A database that accepts connections and says nothing is no reason to need SIGKILL."""
    asked = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(PATIENCE)
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"postgresql://me@127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with _serve(*SERVE, folder=tmp_path, DASHTAM_STORE_URL=url) as process:
            await asyncio.wait_for(asked.wait(), PATIENCE)
            process.send_signal(signal.SIGTERM)
            out, errors = await asyncio.wait_for(process.communicate(), 10)
        server.close_clients()
    assert (process.returncode, out, errors) == (0, b"", b"")


async def test_a_taken_port_ends_it(database: Database, tmp_path: Path) -> None:
    """One line says which port, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        code, line = await _refusal(
            *SERVE[:-2], folder=tmp_path, DASHTAM_STORE_URL=database.app_url, DASHTAM_PORT=port
        )
    assert code == 3
    assert f"port {port} on 127.0.0.1 is taken" in line
    assert "--port or DASHTAM_PORT" in line


async def test_a_database_that_is_not_migrated_ends_it(empty_database: Database, tmp_path: Path) -> None:
    """It does not listen before it can serve."""
    code, line = await _refusal(*SERVE, folder=tmp_path, DASHTAM_STORE_URL=empty_database.app_url)
    assert code == 3
    assert "dashtam db upgrade" in line


async def test_a_database_that_is_not_there_ends_it(tmp_path: Path) -> None:
    """The line names the store, and shows no password."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:hunter2@127.0.0.1:{port}/nothing"
    code, line = await _refusal(*SERVE, folder=tmp_path, DASHTAM_STORE_URL=url)
    assert code == 3
    assert "hunter2" not in line


async def test_a_wrong_setting_ends_it(tmp_path: Path) -> None:
    """One line names the variable, also from `.env`."""
    tmp_path.joinpath(".env").write_text("DASHTAM_PORT=http\n")
    code, line = await _refusal(*SERVE[:-2], folder=tmp_path, DASHTAM_STORE_URL="postgresql://localhost/x")
    assert code == 2
    assert "DASHTAM_PORT is 'http'" in line
