import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import dashtam_embedded
from dashtam_embedded import EmbeddedServerError, _binaries
from integration.embedded.processes import Other, mode, ordinary_user, postmasters, query, sleeper

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="about what root's servers do")


@pytest.fixture
def private(folder: Path) -> Iterator[Path]:
    """A folder that only root can pass, as a clone below root's home; what lives elsewhere for it is removed."""
    path = folder / "private"
    path.mkdir(mode=0o700)
    yield path
    for link in path.rglob("postgres"):
        shutil.rmtree(link.resolve(), ignore_errors=True)


async def test_runs_as_nobody(reused: Path) -> None:
    """PostgreSQL refuses root: the server and its data are `nobody`'s, and the given folder stays as it was."""
    async with dashtam_embedded.postgres(reused):
        (postmaster,) = postmasters(reused)
        assert psutil.Process(postmaster).username() == "nobody"
        assert (reused / "postgres/cluster").owner() == "nobody"
    assert mode(reused) == 0o751


async def test_below_a_private_folder(private: Path) -> None:
    """Where `nobody` cannot get, the data lives elsewhere and a link leads there, without which nothing starts."""
    data_dir = private / "clone/data"
    async with dashtam_embedded.postgres(data_dir) as server:
        await query(server.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert server.log_file.is_relative_to("/var/lib/dashtam")
    assert mode(private) == 0o700
    async with dashtam_embedded.postgres(data_dir) as server:
        assert await query(server.admin_url, "SELECT answer FROM kept") == 42
    shutil.rmtree((data_dir / "postgres").resolve())
    with pytest.raises(EmbeddedServerError, match="No such file or directory: '/var/lib/dashtam"):
        await dashtam_embedded.postgres(data_dir).__aenter__()


async def test_data_that_became_unreachable(passable: Path, reused: Path) -> None:
    """Existing data behind a folder made private is an error, not a reason to begin elsewhere with none."""
    async with dashtam_embedded.postgres(reused):
        pass
    os.chmod(passable, 0o700)  # noqa: PTH101 - one call, not worth a thread
    try:
        with pytest.raises(EmbeddedServerError, match="has become private"):
            await dashtam_embedded.postgres(reused).__aenter__()
    finally:
        os.chmod(passable, 0o755)  # noqa: PTH101


async def test_whose_data(folder: Path, start: Callable[..., Other]) -> None:
    """An ordinary user's data is served as that user also to root; another's, and root's own, is refused."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    cache = str(_binaries.postgres_bin().parents[2])
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache)
    await user.server()
    await user.leave()
    async with dashtam_embedded.postgres(folder) as server:
        assert await query(server.admin_url, "SELECT 1") == 1
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache)
    await user.server()
    await user.leave()
    os.chown(folder / "postgres/cluster", 1, 1)
    assert "belongs to user 1" in start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache).errors()
    os.chown(folder / "postgres/cluster", 0, 0)
    with pytest.raises(EmbeddedServerError, match="belongs to user 0"):
        await dashtam_embedded.postgres(folder).__aenter__()


async def test_private_temporary_folder(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `nobody` cannot reach the temporary folder the message says so, and nothing is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    with pytest.raises(EmbeddedServerError, match=f"{private}/.*: Permission denied"):
        await dashtam_embedded.postgres().__aenter__()
    assert os.listdir(private) == []  # noqa: PTH208 - one call, not worth a thread


async def test_a_stale_pid_file_is_no_server(reused: Path) -> None:
    """After a machine went down the number in `postmaster.pid` may be another process's: it is left in peace."""
    async with dashtam_embedded.postgres(reused) as server:
        await query(server.admin_url, "CREATE TABLE stale AS SELECT 42 AS answer")
        pid_file = reused / "postgres/cluster/data/postmaster.pid"
        text = pid_file.read_text()
    with sleeper(user="nobody") as other:
        pid_file.write_text("\n".join([str(other.pid), *text.splitlines()[1:]]) + "\n")
        pid_file.chmod(0o600)
        shutil.chown(pid_file, "nobody")
        async with dashtam_embedded.postgres(reused) as server:
            assert await query(server.admin_url, "SELECT answer FROM stale") == 42
        assert other.poll() is None
    assert not postmasters(reused)
