"""Hashing passwords: beside the event loop, in a bounded queue, and as slowly for nobody as for somebody."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type, hash_secret

from dashtam_core.audit import CryptographyMissingError
from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._hashing import Argon2Hasher, Verdict
from dashtam_core.kernel import UnavailableError

PASSWORD = "a m\u00fcle on the roof"
OK, NO, STALE = Verdict(ok=True, stale=False), Verdict(ok=False, stale=False), Verdict(ok=True, stale=True)


@pytest.fixture
async def hasher() -> AsyncGenerator[Argon2Hasher]:
    made = Argon2Hasher(memory_kib=64, time_cost=1, threads=1, waiting=1)
    yield made
    made.close()


async def test_a_password_is_known_again(hasher: Argon2Hasher) -> None:
    """By its hash and in any normal form; another one is not, and no two hashes are alike."""
    encoded, again = await hasher.hash(PASSWORD), await hasher.hash(PASSWORD)
    assert encoded != again
    assert encoded.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await hasher.verify(encoded, "a mu\u0308le on the roof") == OK
    others = ("A m\u00fcle on the roof", PASSWORD + " ", "")
    assert [await hasher.verify(encoded, each) for each in others] == [NO, NO, NO]


async def test_parameters_are_those_recommended() -> None:
    """19 MiB, two passes, one lane; a hash made with others is good and stale."""
    hasher = Argon2Hasher()
    cheap = hash_secret(PASSWORD.encode(), b"0123456789abcdef", 1, 64, 1, 32, Type.ID).decode()
    encoded = await hasher.hash(PASSWORD)
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(encoded, PASSWORD) == OK
    assert await hasher.verify(cheap, PASSWORD) == STALE
    assert await hasher.verify(cheap, "another") == NO
    assert extract_parameters(hasher._decoy) == extract_parameters(encoded)
    hasher.close()


async def test_nobody_has_no_password(hasher: Argon2Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is good for nobody, after as much work as for somebody; nor is what is too long to be a password."""
    asked = list[str]()
    matches = Argon2Hasher._matches

    def noted(self: Argon2Hasher, encoded: str, plain: bytes) -> bool:
        asked.append(encoded)
        return matches(self, encoded, plain)

    def always(*_: object) -> bool:
        return True

    monkeypatch.setattr(Argon2Hasher, "_matches", noted)
    assert await hasher.verify(None, PASSWORD) == NO
    assert await hasher.verify(await hasher.hash(""), "x" * 2_000) == NO
    assert asked == [hasher._decoy] * 2
    monkeypatch.setattr(Argon2Hasher, "_matches", always)
    assert await hasher.verify(None, PASSWORD) == NO


async def test_a_damaged_hash_is_an_error(hasher: Argon2Hasher) -> None:
    """It is never the password's, and the operator is told without being shown it."""
    encoded = await hasher.hash(PASSWORD)
    changes = {
        "2id": "2i",
        "m=64": "m=1",
        "=64": "=99999999",
        "v=19": "v=16",
        "$m": "$\u00e9m",
        "t=1": "t=0",
        "p=1": "p=\u0661",
    }
    damaged = [encoded.replace(old, new) for old, new in changes.items()]
    for each in ("", "plain", encoded[:-2], encoded[:40], encoded + "\n", encoded + "=", *damaged):
        with pytest.raises(ValueError, match="the stored hash of a password is damaged: restore") as caught:
            await hasher.verify(each, PASSWORD)
        assert "argon2" not in str(caught.value)


async def test_hashing_is_beside_the_loop_and_its_queue_ends(hasher: Argon2Hasher) -> None:
    """One is hashed and one waits; the next is refused, until who waits is cancelled or served."""
    hold, running = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def occupy() -> str:
        loop.call_soon_threadsafe(running.set)
        assert hold.wait(60)
        return threading.current_thread().name

    first = asyncio.ensure_future(hasher._run(occupy))
    await running.wait()
    second = asyncio.ensure_future(hasher.hash(PASSWORD))
    await asyncio.sleep(0)
    for refused in (hasher.hash(PASSWORD), hasher.verify(None, PASSWORD)):
        with pytest.raises(UnavailableError, match="try again") as caught:
            await refused
        assert caught.value.code is IdentityCode.HASHING_BUSY
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    third = asyncio.ensure_future(hasher.verify(None, PASSWORD))
    hold.set()
    assert (await first).startswith("dashtam-hashing")
    assert await third == NO
    assert await hasher.verify(await hasher.hash(PASSWORD), PASSWORD) == OK


async def test_a_closed_hasher_hashes_no_more(hasher: Argon2Hasher) -> None:
    """What is being hashed is finished, what waits is not begun, and nothing new is taken."""
    hold = threading.Event()
    first, second = (asyncio.ensure_future(hasher._run(hold.wait)) for _ in range(2))
    await asyncio.sleep(0)
    hasher.close()
    hold.set()
    assert await first
    with pytest.raises(asyncio.CancelledError):
        await second
    with pytest.raises(RuntimeError, match="shutdown"):
        await hasher.hash(PASSWORD)


async def test_the_missing_library_is_named(hasher: Argon2Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(CryptographyMissingError, match=r"argon2-cffi: pip install 'dashtam-core\[crypto\]'"):
        await hasher.hash(PASSWORD)


def test_identity_is_imported_without_the_libraries() -> None:
    """None of them is needed by who logs nobody in."""
    missing = "import sys; sys.modules.update(dict.fromkeys(['argon2', 'jwt', 'cryptography', 'aiosmtplib']))"
    modules = "from dashtam_core.identity import _access, _hashing, _mail, _smtp"
    subprocess.run([sys.executable, "-c", f"{missing}; {modules}"], check=True)
