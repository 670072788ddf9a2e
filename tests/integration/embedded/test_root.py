import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import dashtam_embedded
from dashtam_embedded import EmbeddedServerError
from integration.embedded.processes import Other, mode, nothing_runs, ordinary_user, postmasters, query, sleeper

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="about what root's servers do")


@pytest.fixture
def private(folder: Path) -> Iterator[Path]:
    """A folder that only root can pass, as a clone below root's home; what lives elsewhere for it is removed."""
    path = folder / "private"
    path.mkdir(mode=0o700)
    yield path
    for note in path.rglob("postgres-is-at.txt"):
        shutil.rmtree(Path(note.read_text().splitlines()[0]).parent, ignore_errors=True)


async def test_runs_as_nobody(folder: Path) -> None:
    """PostgreSQL refuses root: the server and its data are `nobody`'s, and the given folder stays as it was."""
    os.chmod(folder, 0o751)  # noqa: PTH101 - one call, not worth a thread
    async with dashtam_embedded.postgres(folder):
        (postmaster,) = postmasters(folder)
        assert psutil.Process(postmaster).username() == "nobody"
        assert (folder / "postgres/cluster").owner() == "nobody"
    assert mode(folder) == 0o751


async def test_below_a_private_folder(private: Path) -> None:
    """Where `nobody` cannot get, the data lives elsewhere, a note says where, and it is found again."""
    data_dir = private / "clone/data"
    async with dashtam_embedded.postgres(data_dir) as server:
        await query(server.admin_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        assert server.log_file.is_relative_to("/var/lib/dashtam")
    assert mode(private) == 0o700
    note = data_dir / "postgres-is-at.txt"
    assert note.read_text().startswith("/var/lib/dashtam/")
    async with dashtam_embedded.postgres(data_dir) as server:
        assert await query(server.admin_url, "SELECT answer FROM kept") == 42
    shutil.rmtree(Path(note.read_text().splitlines()[0]))
    with pytest.raises(EmbeddedServerError, match="there is nothing"):
        await dashtam_embedded.postgres(data_dir).__aenter__()


async def test_data_that_became_unreachable(folder: Path) -> None:
    """Existing data behind a folder made private is an error, not a reason to begin elsewhere with none."""
    async with dashtam_embedded.postgres(folder / "data"):
        pass
    os.chmod(folder, 0o700)  # noqa: PTH101 - one call, not worth a thread
    with pytest.raises(EmbeddedServerError, match="has become private"):
        await dashtam_embedded.postgres(folder / "data").__aenter__()


async def test_whose_data(folder: Path, start: Callable[..., Other]) -> None:
    """An ordinary user's data is served as that user also to root; another's, and root's own, is refused."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    cache = folder / "cache"
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=str(cache))
    await user.server()
    await user.leave()
    async with dashtam_embedded.postgres(folder) as server:
        assert await query(server.admin_url, "SELECT 1") == 1
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=str(cache))
    await user.server()
    await user.leave()
    os.chown(folder / "postgres/cluster", 1, 1)
    assert "belongs to user 1" in start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=str(cache)).errors()
    os.chown(folder / "postgres/cluster", 0, 0)
    with pytest.raises(EmbeddedServerError, match="chown -R nobody"):
        await dashtam_embedded.postgres(folder).__aenter__()


async def test_private_temporary_folder(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throw-away server works where `nobody` cannot reach the temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    async with dashtam_embedded.postgres() as server:
        assert await query(server.admin_url, "SELECT 1") == 1
    assert not server.data_dir.exists()


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
    assert nothing_runs(reused)
