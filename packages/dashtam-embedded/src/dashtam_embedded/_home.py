"""Where a server's files live, which user owns them, and the programs run on them."""

import os
import pwd
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._locks import until

THROWAWAY = "dashtam-server-"
_ELSEWHERE = Path("/var/lib/dashtam")


class Home:
    """A server's folder, with a lock each for its users, who share it, for its guard and for the server.

    `account` is what makes `subprocess` run a program as the data's owner: nothing unless root asks.
    """

    def __init__(self, path: Path, data_dir: Path, account: dict[str, Any], *, throwaway: bool) -> None:
        self.path, self.data_dir, self.account, self.throwaway = path, data_dir, account, throwaway
        self.cluster, self.data, self.log = path / "cluster", path / "cluster/data", path / "server.log"
        self.users, self.guard, self.server = path / "users.lock", path / "guard.lock", path / "server.lock"

    @property
    def password(self) -> str:
        return (self.cluster / "password").read_text(encoding="ascii")

    def give(self, path: Path) -> None:
        """Makes it the server's user's."""
        if self.account:
            os.chown(path, self.account["user"], self.account["group"], follow_symlinks=False)

    async def run(self, *command: str, **options: Any) -> None:
        """Runs a program that writes to the log, away from the terminal and from the caller's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.log.touch(0o600)
        self.give(self.log)
        with self.log.open("ab") as log:
            options |= {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            process: subprocess.Popen[Any] = subprocess.Popen(  # noqa: ASYNC220, S603 - the package's own
                command, cwd="/", env=kept | {"LC_ALL": "C", "TZ": "UTC"}, start_new_session=True, **options
            )
        try:
            await until(lambda: process.poll() is not None)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            raise EmbeddedServerError.with_log(f"A server could not be prepared in {self.path}.", self.log)


def open_home(data_dir: Path | None, server: str) -> Home:
    """The home in `data_dir`, or in a new temporary folder; elsewhere where root's servers cannot get there."""
    folder = (data_dir or Path(tempfile.mkdtemp(prefix=THROWAWAY))).resolve()
    path = folder / server
    account = _account(path / "cluster")
    folder.mkdir(parents=True, exist_ok=True)
    if data_dir is None:
        _make(folder)
    if not path.is_symlink():
        if data_dir is None or _reaches(account, folder):
            _make(path)
        else:
            _lead_elsewhere(path)
    return Home(path.resolve(strict=True), folder, account, throwaway=data_dir is None)


def _account(cluster: Path) -> dict[str, Any]:
    found, me = cluster.stat() if cluster.exists() else None, os.geteuid()
    if found and (found.st_uid == 0 or me not in {0, found.st_uid}):
        raise EmbeddedServerError(
            f"{cluster} belongs to user {found.st_uid}, this is user {me}; a server reads only its own user's "
            "data and never root's. Run as that user, or `chown -R` the folder to this one (as root, to nobody)."
        )
    if me != 0:
        return {}
    uid, gid = (found.st_uid, found.st_gid) if found else pwd.getpwnam("nobody")[2:4]
    return {"user": uid, "group": gid, "extra_groups": []}


def _reaches(account: dict[str, Any], folder: Path) -> bool:
    """Asks the kernel, which knows about access lists and mounts."""
    command = ["/bin/sh", "-c", 'test -x "$0"', str(folder)]
    return not account or subprocess.call(command, cwd="/", **account) == 0  # noqa: S603


def _lead_elsewhere(path: Path) -> None:
    if path.exists() and not path.is_symlink():  # not another's, just made
        raise EmbeddedServerError(
            f"{path} holds data that the user who owns it cannot reach: a folder above it has become private. "
            "Let others pass through (`chmod o+x`) those folders, or move the data."
        )
    _make(_ELSEWHERE)
    home = Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=_ELSEWHERE))
    _make(home)
    with suppress(FileExistsError):
        path.symlink_to(home)


def _make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)  # as root, the server's user passes through, and lists nothing
