import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dashtam_core.kernel import UnavailableError
from dashtam_redis import RedisShared, open_shared
from integration.redis.servers import Proxy

HERE, ELSEWHERE = x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("elsewhere.example")


def certificate(folder: Path, of: x509.GeneralName) -> Path:
    """A file with a certificate that vouches for itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now(UTC)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([of]), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    file = folder / f"{type(of).__name__}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return file


async def kept(shared: RedisShared) -> bytes | None:
    await shared.cache.set("key", b"value", seconds=60)
    return await shared.cache.get("key")


@pytest.mark.parametrize(
    ("of", "known", "refused"),
    [
        (HERE, True, None),
        (HERE, False, "CERTIFICATE_VERIFY_FAILED"),
        (ELSEWHERE, True, "IP address mismatch"),
    ],
)
async def test_a_certificate_is_verified(
    valkey_url: str, tmp_path: Path, of: x509.GeneralName, known: bool, refused: str | None
) -> None:
    """Whoever is named in it and vouched for is talked to, nobody else, and what is wrong with it is told."""
    file = certificate(tmp_path, of)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    async with Proxy(valkey_url, tls) as line:
        url = f"{line.url}?ssl_ca_certs={file}" if known else line.url
        async with open_shared(url) as shared:
            if refused is None:
                assert await kept(shared) == b"value"
            else:
                with pytest.raises(UnavailableError, match=refused):
                    await kept(shared)
