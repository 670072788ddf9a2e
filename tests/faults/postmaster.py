"""A durable PostgreSQL on a port that stays its own, which may be killed and started again."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any, Self

import asyncpg
import attrs
import psutil

from dashtam_embedded._binaries import postgres_bin
from dashtam_embedded._guard import _end_with_parent
from dashtam_embedded._home import open_home
from dashtam_embedded._postgres import _free_port


@attrs.define
class Postmaster:
    """The server of a data folder that `dashtam_embedded` has made, at its default durability."""

    folder: Path
    port: int = attrs.field(factory=_free_port)
    process: "subprocess.Popen[Any] | None" = None

    @property
    def admin_url(self) -> str:
        password = (open_home(self.folder, "postgres").cluster / "password").read_text(encoding="ascii")
        return f"postgresql://dashtam:{password}@127.0.0.1:{self.port}/dashtam"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, 30)
        except subprocess.TimeoutExpired:
            self.kill()

    async def start(self) -> None:
        """Starts it, and returns when it has recovered and answers."""
        self._launch()
        await self._answering()

    def _launch(self) -> None:
        home = open_home(self.folder, "postgres")
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "jit=off"]
        with home.log.open("ab") as log:
            self.process = subprocess.Popen(
                [postgres_bin() / "postgres", "-D", home.data, "-p", str(self.port), *options],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call of prctl: nothing outlives the tests
                **home.account,
            )

    def kill(self) -> None:
        """SIGKILL for it and all it has started, as when the machine goes down; it cannot start more meanwhile."""
        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        postmaster.suspend()
        family = [*postmaster.children(recursive=True), postmaster]
        for each in family:
            each.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]

    async def _answering(self) -> None:
        assert self.process is not None
        async with asyncio.timeout(60):
            while self.process.poll() is None:
                try:
                    await (await asyncpg.connect(self.admin_url)).close()
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.02)
                else:
                    return
        raise AssertionError(f"PostgreSQL ended while starting: {self.process.returncode}")
