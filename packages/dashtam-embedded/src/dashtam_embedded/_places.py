"""Where a server's files live and which user owns them."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._locks import Lock, is_held

_STATE = Path("/var/lib/dashtam")
_THROWAWAY = "dashtam-server-"


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as: nothing set means this process's own, which is every user but root."""

    uid: int | None = None
    gid: int | None = None

    @property
    def groups(self) -> list[int] | None:
        return None if self.uid is None else []

    def give(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        command = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)]
        run = subprocess.run(  # noqa: S603 - asks the kernel, which knows about access lists and mounts
            command,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            check=False,
        )
        return run.returncode == 0


def account_for(cluster: Path) -> Account:
    """The owner of existing data, else `nobody` when root: PostgreSQL refuses to run as root."""
    me, owner = os.geteuid(), cluster.stat() if cluster.exists() else None
    if owner and me not in {owner.st_uid, 0}:
        raise EmbeddedServerError(
            f"{cluster} belongs to user {owner.st_uid}, this is user {me}, and PostgreSQL reads only "
            "its own user's data. Run as that user, or give the folder to this one with `chown -R`."
        )
    if me != 0:
        return Account()
    if owner and owner.st_uid == 0:
        raise EmbeddedServerError(
            f"{cluster} belongs to root, as which PostgreSQL refuses to run. Run `chown -R nobody '{cluster}'`."
        )
    return Account(owner.st_uid, owner.st_gid) if owner else _nobody()


def _nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedServerError(
            "PostgreSQL refuses to run as root, and this system has no user `nobody` to run it as. "
            "Add that user, or run this program as an ordinary one."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def kept_home(data_dir: Path, server: str) -> Path:
    """The folder of a server's files: inside `data_dir` unless, as root, the server's user cannot get there."""
    home, note = data_dir / server, data_dir / f"{server}-is-at.txt"
    if note.exists():
        return _noted(note)
    if not home.is_dir():
        _make_home(home)
    if os.geteuid() != 0 or account_for(home / "cluster").reaches(home):
        return home
    if (home / "cluster").exists():
        raise EmbeddedServerError(
            f"{home} holds data that the user who owns it cannot reach: a folder above it has become private. "
            "Let others pass through (`chmod o+x`) those folders, or move the data."
        )
    return _elsewhere(data_dir, server, note)


def _noted(note: Path) -> Path:
    home = Path(note.read_text().splitlines()[0])
    if not home.is_dir():
        raise EmbeddedServerError(
            f"{note} says that the data is at {home}, but there is nothing. "
            f"Bring that folder back, or delete {note} to begin with empty data."
        )
    return home


def _elsewhere(data_dir: Path, server: str, note: Path) -> Path:
    home = _STATE / hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16] / server
    for folder in (_STATE, home.parent, home):
        _make_home(folder)
    new = note.with_suffix(".new")
    new.write_text(f"{home}\nThe server's user cannot come here, so its data is there. Keep this note.\n")
    new.replace(note)
    return home


def throwaway_home(server: str) -> tuple[Path, Lock]:
    """A new temporary home and its users' lock, held: nobody's sweep ever sees it without."""
    new = Path(tempfile.mkdtemp(prefix=".dashtam-", dir=_temp_parent()))
    for folder in (new, new / server):
        _make_home(folder)
    users = Lock(new / server / "users.lock")
    users.shared()
    return new.rename(new.with_name(_THROWAWAY + new.name.removeprefix(".dashtam-"))) / server, users


def sweep(interrupt: Callable[[Path], None]) -> None:
    """Stops and removes the throw-away servers that nobody uses any more: those whose guard was killed too."""
    for home in _temp_parent().glob(f"{_THROWAWAY}*/*"):
        with suppress(OSError):  # just being removed by another
            if home.parent.lstat().st_uid == os.geteuid() and not _is_kept(home):
                interrupt(home)
                if not is_held(home / "server.lock"):
                    shutil.rmtree(home.parent)


def _is_kept(home: Path) -> bool:
    return is_held(home / "users.lock") or is_held(home / "guard.lock")


def _temp_parent() -> Path:
    parent = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() != 0 or _nobody().reaches(parent):
        return parent
    _make_home(_STATE)
    return _STATE


def _make_home(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the server's user passes through, and lists nothing
