"""How the database is spoken to: over which wire, and what is said when that cannot be."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import dashtam_postgres
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_postgres._connect import connect


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What asyncpg is asked for of TLS, by each connection that is tried."""
    asked: list[Any] = []

    async def connect(*_: object, ssl: object = None, **__: object) -> None:
        asked.append(ssl)
        raise ConnectionRefusedError("nobody is there")

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.delenv("PGHOST", raising=False)
    return asked


async def refusal(url: str) -> str:
    with pytest.raises(UnavailableError) as refused:
        async with dashtam_postgres.open_store(url):
            pytest.fail("it opened")
    assert refused.value.code is UnavailableCode.STORE_UNREACHABLE
    return refused.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db/finance",
        "postgresql://u:p%40ss@db.example.org:5432/finance?connect_timeout=3",
        "postgresql://u@192.0.2.1/finance",
        "postgresql://u@[2001:db8::1]:5432/finance",
        "postgresql:///finance?host=db",
        "postgresql:///finance?service=finance",
        "postgresql://u@localhost.example.org/finance",
    ],
)
async def test_another_machine_is_spoken_to_over_checked_tls_alone(given: list[Any], url: str) -> None:
    """Nothing goes in the clear, nor to somebody with another's certificate, because nobody said how."""
    await refusal(url)
    assert given == ["verify-full"]


async def test_one_machine_of_several_is_enough(given: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a list has one that is not this one; and where the environment names it, as libpq has it."""
    with pytest.raises(ConnectionRefusedError):
        await connect("postgresql://u@127.0.0.1,db/finance")
    monkeypatch.setenv("PGHOST", "db")
    await refusal("postgresql:///finance")
    assert given == ["verify-full", "verify-full"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@127.0.0.1:5432/finance",
        "postgresql://u@127.0.0.2/finance",
        "postgresql://u@localhost/finance",
        "postgresql://u@[::1]:5432/finance",
        "postgresql:///finance",
        "postgresql:///finance?host=/run/postgresql",
        "postgresql://u@%2Frun%2Fpostgresql/finance",
        "postgresql://u@db/finance?sslmode=disable",
        "postgresql://u@db/finance?sslmode=require",
    ],
)
async def test_this_machine_and_what_the_url_says_stay_as_they_are(given: list[Any], url: str) -> None:
    """On the way to itself a machine needs no TLS; and whoever writes the mode has chosen it."""
    await refusal(url)
    assert given == [None]


def certificate(file: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, of an authority that nobody else knows."""
    key, now, hour = Ed25519PrivateKey.generate(), datetime.now(UTC), timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - hour, now + hour).sign(key, None)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(("tls", "why"), [(b"N", "rejected SSL upgrade"), (b"S", "CERTIFICATE_VERIFY_FAILED")])
async def test_who_cannot_show_who_they_are_gets_no_password(tmp_path: Path, tls: bytes, why: str) -> None:
    """A server without TLS, or with a certificate of another authority: the message says what to write."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path / "server.pem"))
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(8))
        writer.write(tls)
        with suppress(OSError):
            if tls == b"S":
                await writer.start_tls(context)
            heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        authority = certificate(tmp_path / "other.pem")
        said = await refusal(f"postgresql://u:hush@{place}/d?sslmode=verify-full&sslrootcert={authority}")
    assert why in said
    assert "?sslmode=verify-full&sslrootcert=FILE" in said
    assert "?sslmode=disable" in said
    assert b"".join(heard) == bytes.fromhex("0000000804d2162f"), "no more than that TLS was asked for"


@pytest.mark.parametrize("ending", ["sslmode=verify-full", "sslmode=verify"])
async def test_a_url_that_cannot_be_followed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Where there is no authority to check with, or no such mode, nothing is tried."""
    monkeypatch.setenv("HOME", str(tmp_path))
    said = await refusal(f"postgresql://u:hush@127.0.0.1:1/d?{ending}")
    assert "root.crt" in said or "must be one of" in said
    assert "?sslmode=verify-full&sslrootcert=FILE" in said
    assert "hush" not in said
