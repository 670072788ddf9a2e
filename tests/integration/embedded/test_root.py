import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dashtam_embedded import EmbeddedServerError, _binaries
from integration.embedded.processes import Kind, Other, get, mode, ordinary_user, put, servers, sleeper

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="about what root's servers do")


@pytest.fixture
def private(kind: Kind, folder: Path) -> Iterator[Path]:
    """A folder that only root can pass, as a clone below root's home; what lives elsewhere for it is removed."""
    path = folder / "private"
    path.mkdir(mode=0o700)
    yield path
    for link in path.rglob(kind.name):
        shutil.rmtree(link.resolve(), ignore_errors=True)


async def test_runs_as_nobody(kind: Kind, reused: Path) -> None:
    """Nothing is served as root: the server and its data are `nobody`'s, and the given folder stays as it was."""
    async with kind(reused):
        (server,) = servers(reused)
        assert psutil.Process(server).username() == "nobody"
        assert (reused / kind.name / "cluster").owner() == "nobody"
    assert mode(reused) == 0o751


def test_programs_for_every_user(folder: Path) -> None:
    """Whatever the umask, the server's own user gets to the unpacked programs."""
    umask = os.umask(0o077)
    try:
        _binaries._put_in_place(folder / "cache/unpacked", lambda unpacked: (unpacked / "bin").mkdir())
    finally:
        os.umask(umask)
    assert [mode(path) for path in folder.rglob("*/")] == [0o755] * 3


async def test_below_a_private_folder(kind: Kind, private: Path) -> None:
    """Where `nobody` cannot get, the data lives elsewhere and a link leads there, without which nothing starts."""
    data_dir = private / "clone/data"
    async with kind(data_dir) as server:
        await put(server, "answer", 42)
        assert server.log_file.is_relative_to("/var/lib/dashtam")
    assert mode(private) == 0o700
    async with kind(data_dir) as server:
        assert await get(server, "answer") == 42
    shutil.rmtree((data_dir / kind.name).resolve())
    with pytest.raises(EmbeddedServerError, match="No such file or directory: '/var/lib/dashtam"):
        await kind(data_dir).__aenter__()


async def test_data_that_became_unreachable(kind: Kind, passable: Path, reused: Path) -> None:
    """Existing data behind a folder made private is an error, not a reason to begin elsewhere with none."""
    async with kind(reused):
        pass
    os.chmod(passable, 0o700)  # noqa: PTH101 - one call, not worth a thread
    try:
        with pytest.raises(EmbeddedServerError, match="has become private"):
            await kind(reused).__aenter__()
    finally:
        os.chmod(passable, 0o755)  # noqa: PTH101


async def test_whose_data(kind: Kind, folder: Path, start: Callable[..., Other]) -> None:
    """An ordinary user's data is served as that user also to root; another's, and root's own, is refused."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    cache = next(str(path.parent) for path in kind.engine.find().parents if path.name == "dashtam")
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache)
    await user.server()
    await user.leave()
    async with kind(folder) as server:
        await put(server, "as_root", 1)
    user = start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache)
    await user.server()
    await user.leave()
    os.chown(folder / kind.name / "cluster", 1, 1)
    assert "belongs to user 1" in start(folder, prefix=ordinary_user(), XDG_CACHE_HOME=cache).errors()
    os.chown(folder / kind.name / "cluster", 0, 0)
    with pytest.raises(EmbeddedServerError, match="belongs to user 0"):
        await kind(folder).__aenter__()


async def test_private_temporary_folder(kind: Kind, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `nobody` cannot reach the temporary folder the message says so, and nothing is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    with pytest.raises(EmbeddedServerError, match=f"{private}/.*: Permission denied"):
        await kind().__aenter__()
    assert os.listdir(private) == []  # noqa: PTH208 - one call, not worth a thread


async def test_a_stale_pid_file_is_no_server(kind: Kind, reused: Path) -> None:
    """After a machine went down the number in the pid file may be another process's: it is left in peace."""
    async with kind(reused) as server:
        await put(server, "stale", 42)
        (pid_file,) = (reused / kind.name / "cluster/data").glob("*.pid")
        text = pid_file.read_text()
    with sleeper(user="nobody") as other:
        pid_file.write_text("\n".join([str(other.pid), *text.splitlines()[1:]]) + "\n")
        pid_file.chmod(0o600)
        shutil.chown(pid_file, "nobody")
        async with kind(reused) as server:
            assert await get(server, "stale") == 42
        assert other.poll() is None
    assert not servers(reused)
