"""A server's folder, this caller's place among its users, and the programs run for it."""

import os
import subprocess
import tempfile
from pathlib import Path

from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._locks import Lock
from dashtam_embedded._places import Account, account_for, kept_home, throwaway_home


class Home:
    """Three locks in a home say who is there, and the kernel keeps them true.

    Users hold `users.lock` shared; the guard holds `guard.lock`, its seat, which whoever starts it takes first;
    the server and all its children hold `server.lock`. Leavers take `leaving.lock`, so that the last knows it.
    """

    def __init__(self, path: Path, data_dir: Path, users: Lock, *, throwaway: bool) -> None:
        self.path, self.data_dir, self.users, self.throwaway = path, data_dir, users, throwaway
        self.cluster, self.data, self.log = path / "cluster", path / "cluster" / "data", path / "server.log"
        self.seat, self.turn = Lock(path / "guard.lock"), Lock(path / "leaving.lock")

    def close(self) -> None:
        for lock in (self.users, self.seat, self.turn):
            lock.close()

    def popen(
        self, command: list[str], account: Account, stdin: Path = Path(os.devnull), pass_fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Starts a program that writes to the log, away from the terminal and from the caller's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            with stdin.open("rb") as source:
                return subprocess.Popen(  # noqa: S603 - PostgreSQL's programs and the guard
                    command,
                    stdin=source,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=kept | {"LC_ALL": "C", "TZ": "UTC"},
                    start_new_session=True,
                    pass_fds=pass_fds,
                    user=account.uid,
                    group=account.gid,
                    extra_groups=account.groups,
                )
        except OSError as error:
            raise EmbeddedServerError(f"The server's user cannot run {command[0]}: {error}.") from error
        finally:
            os.close(log)


def open_home(data_dir: Path | None, server: str) -> Home:
    """The home in `data_dir`, or a throw-away one; nothing is held yet but the throw-away's users' lock."""
    try:
        if data_dir is None:
            path, users = throwaway_home(server)
            return Home(path, path.parent, users, throwaway=True)
        folder = data_dir.resolve()
        path = kept_home(folder, server)
        account_for(path / "cluster")  # says whose the data is before a lock of theirs cannot be opened
        return Home(path, folder, Lock(path / "users.lock"), throwaway=False)
    except OSError as error:
        raise EmbeddedServerError(
            f"{data_dir or tempfile.gettempdir()} cannot hold a server's files: {error}. "
            "Choose a folder that this user can write in."
        ) from error
