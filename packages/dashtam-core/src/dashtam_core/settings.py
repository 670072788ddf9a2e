"""What a deployment decides, read from `DASHTAM_…` variables. An edge may have more of its own."""

import os
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Final

import attrs

from dashtam_core.kernel import Failure, KernelCode, Result, Success, ValueRefused
from dashtam_core.logs import Format

__all__ = ["IMPORT_MAX_BYTES", "MEMORY", "PREFIX", "Settings", "default_data_dir"]

PREFIX: Final = "DASHTAM_"
MEMORY: Final = "memory:"
_MIN_KEY: Final = 32
_PARSED: Final = "parsed"
"""What in a field's metadata makes its value of a text, which is it already otherwise."""
IMPORT_MAX_BYTES: Final = 64 * 1024 * 1024


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The person's own folder for data by the XDG base directory specification."""
    home = Path(environ.get("XDG_DATA_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "share") / "dashtam"


def _text(environ: Mapping[str, str], name: str) -> str:
    """What a variable says, or the file that `…_FILE` names: a secret then stands in no process's environment."""
    text, file = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if text or not file:
        return text
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"is to be read from {file}, which cannot be done ({error}): correct the path") from None


def _url(text: str) -> str:
    if not text.partition(":")[1]:
        raise ValueError(
            "is not a URL: write something like postgresql://user@host/database, redis://host:6379/0 or memory:"
        )
    return text


def _key(text: str) -> str:
    if len(text) < _MIN_KEY:
        raise ValueError(
            f"has {len(text)} characters and needs at least {_MIN_KEY} random ones: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        )
    return text


def scheme_of(url: str) -> str:
    return url.partition(":")[0].lower()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("names no plugin: write names with commas between them, or leave it unset to load all")
    return names


def _bytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"is {text[:32]!r} and should be a number of bytes above zero, in digits alone")
    return int(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def choice(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"is {text[:32]!r} and should be one of {', '.join(choices)}")
        return text.lower()

    return choice


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not isfinite(seconds) or seconds <= 0:
        raise ValueError(f"is {text[:32]!r} and should be a number of seconds above zero, such as 0.5")
    return seconds


def _yes(text: str) -> bool:
    return _one_of("true", "false")(text) == "true"


def _link(text: str) -> str:
    if "{token}" not in text:
        raise ValueError("has no {token} in it, which is where the token goes: https://example.org/verify#{token}")
    return text


def _passwords(url: str) -> Iterable[str]:
    """The passwords in a URL as they are written there; all of it, where it is none."""
    from urllib.parse import parse_qsl, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return (url,)
    options = [value for name, value in parse_qsl(parts.query) if name.endswith("password")]
    return (parts.password, *options) if parts.password else options


@attrs.frozen(kw_only=True)
class Settings:
    """Settings of the core. `repr` shows no secret."""

    store_url: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _url})
    """Where data lives; the scheme chooses the adapter. None: whoever opens decides."""
    cache_url: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _url})
    """Where processes share cache, limits and locks. None: each has limits and locks of its own, and no cache."""
    bus_url: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _url})
    """The stream of events that all processes hear. None: each hears of what happens in it."""
    store_admin_url: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _url})
    """The same store as its owner, to migrate it."""
    key: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _key})
    """The key-encryption key, at least 32 random characters: it opens the key that everything secret hangs on."""
    master_key: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _key})
    """What `key` was called before it could be rotated."""
    mail_url: str | None = attrs.field(default=None, repr=False, metadata={_PARSED: _url})
    """Where mail goes out: `smtp:`, `smtps:`, or `console:` to have it printed. None: nothing is sent."""
    mail_from: str = "Dashtam <dashtam@localhost>"
    """Whom mail comes from."""
    verify_url: str | None = attrs.field(default=None, metadata={_PARSED: _link})
    """Where the link to prove an address leads, with `{token}` in it. None: the mail names the token."""
    reset_url: str | None = attrs.field(default=None, metadata={_PARSED: _link})
    """The same to reset a password."""
    registration: bool = attrs.field(default=True, metadata={_PARSED: _yes})
    """Whether anybody may register."""
    password_blocklist: Path | None = attrs.field(default=None, metadata={_PARSED: Path})
    """A file of passwords that are refused beside those that are shipped, one a line."""
    data_dir: Path = attrs.field(factory=default_data_dir, metadata={_PARSED: Path})
    """Where an embedded store keeps its files."""
    plugins: tuple[str, ...] | None = attrs.field(default=None, metadata={_PARSED: _names})
    """Names of the plugins to load; None loads all that are installed."""
    plugins_strict: bool = attrs.field(default=False, metadata={_PARSED: _yes})
    """Whether a plugin that is broken or contested fails the start instead of being left out."""
    subject: str = "local"
    """Who acts on the command line."""
    import_max_bytes: int = attrs.field(default=IMPORT_MAX_BYTES, metadata={_PARSED: _bytes})
    """The largest statement file that is read, in bytes."""
    log_format: Format | None = attrs.field(default=None, metadata={_PARSED: _one_of("auto", "console", "json")})
    """What log lines look like. None: whoever owns the process decides."""
    log_level: str | None = attrs.field(
        default=None, metadata={_PARSED: _one_of("debug", "info", "warning", "error", "critical")}
    )
    """The least that is logged, from `debug` to `critical`. None: whoever owns the process decides."""
    slow_seconds: float = attrs.field(default=1.0, metadata={_PARSED: _seconds})
    """How long a message may take before a line says so."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What logs leave out wherever it is: of each setting that `repr` hides, the value or its passwords."""
        hidden = [(field.name, getattr(self, field.name)) for field in attrs.fields(Settings) if not field.repr]
        found = (_passwords(text) if name.endswith("_url") else (text,) for name, text in hidden if text)
        return tuple(secret for each in found for secret in each)

    @property
    def store_scheme(self) -> str | None:
        """The part of `store_url` before its colon, in lower case."""
        return None if self.store_url is None else scheme_of(self.store_url)

    @classmethod
    def load(cls, file: Path = Path(".env")) -> "Result[Settings, ValueRefused]":
        """Settings from the environment, and from `file` for what it does not say; to read one takes `[cli]`."""
        if not file.exists():
            return cls.read(os.environ)
        try:
            from dotenv import dotenv_values
        except ModuleNotFoundError:
            missing = f"{file} is there and nothing reads it: pip install 'dashtam-core[cli]'"
            return Failure(ValueRefused(KernelCode.SETTING_INVALID, missing))
        try:
            written = dotenv_values(file, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            return Failure(ValueRefused(KernelCode.SETTING_INVALID, f"{file} cannot be read ({error}): mend it"))
        return cls.read({name: text for name, text in written.items() if text is not None} | os.environ)

    @classmethod
    def read(cls, environ: Mapping[str, str], /) -> "Result[Settings, ValueRefused]":
        """Settings from variables such as `DASHTAM_STORE_URL`; empty ones count as not set."""
        values: dict[str, object] = {}
        for field in attrs.fields(cls):
            variable = PREFIX + field.name.upper()
            try:
                text = _text(environ, variable)
                if text:
                    values[field.name] = field.metadata.get(_PARSED, str)(text)
            except ValueError as error:
                return Failure(ValueRefused(KernelCode.SETTING_INVALID, f"{variable} {error}"))
        if "data_dir" not in values:
            values["data_dir"] = default_data_dir(environ)
        return Success(cls(**values))  # type: ignore[arg-type] # each parser gives its field's type
