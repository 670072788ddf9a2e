"""Processes of our own to be killed: forked off one that has everything imported, so that each costs little."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import attrs

TESTS: Final = Path(__file__).resolve().parents[1]


@attrs.frozen
class Zygote:
    """The process that forks, as the test sees it. It ends with its input, and its children with it."""

    process: "subprocess.Popen[str]"
    asking: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @classmethod
    def start(cls) -> "Zygote":
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", "faults.zygote"],
                cwd=TESTS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    async def fork(self, **job: object) -> int:
        """The pid of a new process that does the job: `do` names it."""
        return cast("int", await self._asked(job))

    async def ended(self, pid: int) -> int:
        """Waits for the end of a process; its exit code, or a signal's number below zero."""
        while (code := await self._asked({"wait": pid})) is None:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.02)
        return cast("int", code)

    def stop(self) -> None:
        self.process.communicate("", timeout=30)

    async def _asked(self, job: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self.asking:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            line = await asyncio.to_thread(self.process.stdout.readline)
        assert line, "the zygote has ended"
        return json.loads(line)


def main() -> None:
    from faults import jobs

    for line in sys.stdin:
        job = json.loads(line)
        if "wait" in job:
            ended, status = os.waitpid(job["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = _forked(getattr(jobs, job.pop("do")), job)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _forked(work: Callable[..., Awaitable[None]], job: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing outlives the zygote
    os.dup2(2, 1)
    code = 1
    try:
        asyncio.run(cast("Any", work(**job)))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
