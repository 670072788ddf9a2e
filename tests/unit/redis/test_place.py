from importlib.metadata import entry_points

import pytest

from dashtam_core import Dashtam, Settings
from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.plugins import Plugins
from dashtam_redis import plugin
from dashtam_redis._place import Place


def place(url: str) -> Place:
    return Place.parse(url, "DASHTAM_CACHE_URL", UnavailableCode.CACHE_NOT_CONFIGURED)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", ("redis://host", "host:6379", "dashtam")),
        ("valkey://user:p%40ss@host:1234/2", ("redis://user:p%40ss@host:1234/2", "host:1234", "dashtam")),
        ("valkeys://host/0?prefix=a:b", ("rediss://host/0", "host:6379", "a:b")),
        (
            "rediss://host?ssl_ca_certs=/a%20b&prefix=%7Bone%7D&ssl_certfile=c&ssl_keyfile=k",
            ("rediss://host?ssl_ca_certs=%2Fa+b&ssl_certfile=c&ssl_keyfile=k", "host:6379", "{one}"),
        ),
    ],
)
def test_a_url_says_where_and_under_what_name(url: str, expected: tuple[str, str, str]) -> None:
    """The name for logs has no user and no password in it, nor has what is shown of the whole."""
    found = place(url)
    assert (found.url, found.name, found.prefix) == expected
    assert "user" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@host",
        "redis:hunter2",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host:99999",
        "redis://:hunter2@[host",
        "redis://:hunter2@host/zero",
        "redis://user:1#hunter2@host",
        "redis://user:1/hunter2@host",
        "redis://user:1?hunter2@host",
        "redis://:hunter2@host?prefix=",
        "redis://:hunter2@host?prefix=a%20b",
        "redis://:hunter2@host?protocol=3",
        "redis://:hunter2@host?ssl_ca_certs=file",
        "rediss://:hunter2@host?ssl_cert_reqs=none",
        "rediss://:hunter2@host?ssl_check_hostname=false",
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    """With what to write, and nothing of what was written; so is an option that would turn something off."""
    with pytest.raises(UnavailableError, match=r"DASHTAM_CACHE_URL .* write redis://user:password@") as refused:
        place(url)
    assert refused.value.code is UnavailableCode.CACHE_NOT_CONFIGURED
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("port", ["cache", "bus"])
async def test_every_scheme_leads_here(port: str) -> None:
    """Where the package is there; where it is not, what to install is told."""
    plugins = Plugins.of([plugin])
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        settings = Settings(**{f"{port}_url": f"{scheme}://:hunter2@127.0.0.1:1"})  # type: ignore[arg-type] # URLs
        async with plugins.open_shared(settings) if port == "cache" else plugins.open_stream(settings) as opened:
            assert type(opened).__module__.startswith("dashtam_redis.")
        with pytest.raises(UnavailableError, match="pip install dashtam-redis"):
            async with Dashtam.open(settings=settings, plugins=[]):
                pass


def test_it_is_found_by_itself() -> None:
    """Installed beside the core."""
    (entry,) = entry_points(group="dashtam", name="redis")
    assert entry.load() is plugin
