"""Settings: read from variables, each wrong one named, no secret shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core import Settings
from dashtam_core.kernel import ErrorKind, Failure, KernelCode, Success, ValueRefused
from dashtam_core.settings import default_data_dir

KEY = "k" * 32
NAMES = (
    *("STORE_URL", "STORE_ADMIN_URL", "MASTER_KEY", "DATA_DIR", "PLUGINS", "SUBJECT", "IMPORT_MAX_BYTES"),
    *("LOG_FORMAT", "LOG_LEVEL", "SLOW_SECONDS", "KEY", "KEY_FILE", "MAIL_URL", "MAIL_FROM", "VERIFY_URL"),
    *("RESET_URL", "REGISTRATION", "PASSWORD_BLOCKLIST"),
)


def read(**variables: str) -> Settings:
    settings: Settings = Settings.read({f"DASHTAM_{name}": text for name, text in variables.items()}).unwrap()
    return settings


def refusal(**variables: str) -> ValueRefused:
    refused: ValueRefused = Settings.read({f"DASHTAM_{name}": text for name, text in variables.items()}).failure()
    return refused


def test_every_variable_is_read() -> None:
    """Each setting comes from its variable, without the spaces around it."""
    settings = read(
        STORE_URL=" postgresql://u:p@host/db ",
        STORE_ADMIN_URL="postgresql://admin@host/db",
        MASTER_KEY=KEY,
        DATA_DIR="/srv/dashtam",
        PLUGINS="files, postgres,",
        SUBJECT="me",
        IMPORT_MAX_BYTES="1000",
        LOG_FORMAT="JSON",
        LOG_LEVEL="debug",
        SLOW_SECONDS="0.25",
        KEY=KEY[::-1] + "x",
        MAIL_URL="smtp://mail.example.org",
        MAIL_FROM="Bank <a@example.org>",
        VERIFY_URL="https://a.example/v#{token}",
        RESET_URL="https://a.example/r#{token}",
        REGISTRATION="False",
        PASSWORD_BLOCKLIST="/srv/ours.txt",
    )
    assert settings == Settings(
        store_url="postgresql://u:p@host/db",
        store_admin_url="postgresql://admin@host/db",
        master_key=KEY,
        data_dir=Path("/srv/dashtam"),
        plugins=("files", "postgres"),
        subject="me",
        import_max_bytes=1000,
        log_format="json",
        log_level="debug",
        slow_seconds=0.25,
        key=KEY[::-1] + "x",
        mail_url="smtp://mail.example.org",
        mail_from="Bank <a@example.org>",
        verify_url="https://a.example/v#{token}",
        reset_url="https://a.example/r#{token}",
        registration=False,
        password_blocklist=Path("/srv/ours.txt"),
    )


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    """Without the end of its line; what the variable itself says goes before it."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert read(KEY_FILE=f" {file} ").key == KEY
    assert read(KEY_FILE=str(file), KEY="x" * 32).key == "x" * 32
    assert read(KEY_FILE=str(tmp_path / "none"), KEY=KEY).key == KEY
    file.write_text("")
    assert read(KEY_FILE=str(file)).key is None


@pytest.mark.parametrize("content", [None, b"\xff" * 40])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    """One that is not there, and one that is no text, of which nothing is shown."""
    file = tmp_path / "key"
    if content:
        file.write_bytes(content)
    refused = refusal(KEY_FILE=str(file))
    assert refused.code is KernelCode.SETTING_INVALID
    assert refused.message.startswith(f"DASHTAM_KEY is to be read from {file}")
    assert "correct the path" in refused.message


def test_nothing_set_is_the_default() -> None:
    """Without variables, and with empty ones, the defaults stand."""
    plain = Settings(data_dir=default_data_dir({}))
    assert Settings.read({}) == Success(plain)
    for blank in ("", "  ", "\n"):
        assert read(**dict.fromkeys(NAMES, blank)) == plain
    assert (plain.store_url, plain.master_key, plain.plugins) == (None, None, None)
    assert (plain.subject, plain.import_max_bytes) == ("local", 64 * 1024 * 1024)
    assert (plain.log_format, plain.log_level, plain.slow_seconds) == (None, None, 1.0)


def test_other_variables_are_left_alone() -> None:
    """An edge may have variables of its own, and names are whole and in capitals."""
    assert Settings.read({"DASHTAM_PORT": "x", "STORE_URL": "x", "dashtam_subject": "x"}) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("STORE_URL", "localhost", "postgresql://"),
        ("STORE_ADMIN_URL", "localhost", "postgresql://"),
        ("MASTER_KEY", "k" * 31, "at least 32"),
        ("KEY", "k" * 31, "at least 32"),
        ("MAIL_URL", "localhost", "is not a URL"),
        ("VERIFY_URL", "https://a.example/verify", "{token}"),
        ("RESET_URL", "https://a.example/reset?{}", "{token}"),
        ("REGISTRATION", "closed", "true, false"),
        ("IMPORT_MAX_BYTES", "0", "above zero"),
        ("IMPORT_MAX_BYTES", "-1", "above zero"),
        ("IMPORT_MAX_BYTES", "1.5", "above zero"),
        ("IMPORT_MAX_BYTES", "64MB", "64MB"),
        ("IMPORT_MAX_BYTES", "\u0661\u0662", "digits"),
        ("IMPORT_MAX_BYTES", "9" * 5_000, ""),
        ("LOG_FORMAT", "xml", "one of auto, console, json"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error, critical"),
        *(("SLOW_SECONDS", text, "seconds above zero") for text in ("0", "-1", "nan", "inf", "1s", "9" * 5_000)),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, text: str, advice: str) -> None:
    """What is wrong is said of the variable by its whole name, with what to write instead."""
    refused = refusal(**{name: text})
    assert refused.code is KernelCode.SETTING_INVALID
    assert refused.code.kind is ErrorKind.INVALID
    assert refused.message.startswith(f"DASHTAM_{name} ")
    assert advice in refused.message
    assert len(refused.message) < 300


def test_no_secret_is_shown() -> None:
    """Neither the text of settings nor a refusal has a password or key in it."""
    secrets = {"STORE_URL": "postgresql://u:hunter2@h/d", "STORE_ADMIN_URL": "postgresql://a:hunter2@h/d"}
    secrets |= {"MAIL_URL": "smtp://u:hunter2@h", "KEY": "x" + "hunter2" * 5}
    settings = read(**secrets, MASTER_KEY="hunter2" * 5)
    assert "hunter2" not in f"{settings!r} {settings}"
    assert "hunter2" not in repr(refusal(MASTER_KEY="hunter2"))
    assert "hunter2" not in repr(refusal(STORE_URL="u hunter2 h"))


def test_the_secrets_are_listed_for_the_log() -> None:
    """They are the keys and every password in a URL, and nothing where there is none."""
    settings = read(
        STORE_URL="postgresql://u:p%40ss@h/d?sslmode=require&sslpassword=other",
        STORE_ADMIN_URL="postgresql://a@h/d?password=third",
        MASTER_KEY=KEY,
        KEY=KEY + "new",
        MAIL_URL="smtp://u:fourth@h",
    )
    assert set(settings.secrets) == {KEY, KEY + "new", "p%40ss", "other", "third", "fourth"}
    assert read(STORE_URL="embedded:").secrets == ()
    assert read(STORE_URL="postgresql://u:p@[h/d").secrets == ("postgresql://u:p@[h/d",)


@pytest.mark.parametrize(
    ("url", "scheme"), [("POSTGRESQL://h/d", "postgresql"), ("memory:", "memory"), ("a+b://c", "a+b")]
)
def test_the_scheme_chooses_the_adapter(url: str, scheme: str) -> None:
    """The scheme is what stands before the first colon, in lower case."""
    assert read(STORE_URL=url).store_scheme == scheme
    assert Settings().store_scheme is None


def test_data_goes_to_the_folder_of_the_person(tmp_path: Path) -> None:
    """The folder is the one of the XDG specification, unless it is named."""
    assert default_data_dir({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "dashtam"
    assert default_data_dir({"XDG_DATA_HOME": ""}) == Path.home() / ".local/share/dashtam"
    found = Settings.read({"XDG_DATA_HOME": str(tmp_path)})
    assert found.unwrap().data_dir == tmp_path / "dashtam"


def test_a_relative_data_home_is_ignored() -> None:
    """The XDG base directory specification takes a relative path as invalid and has it ignored."""
    assert default_data_dir({"XDG_DATA_HOME": "data"}).is_absolute()


@given(st.dictionaries(st.sampled_from([f"DASHTAM_{name}" for name in NAMES]), st.text()))
def test_any_variables_are_settings_or_refused(variables: dict[str, str]) -> None:
    """Reading never raises."""
    assert isinstance(Settings.read(variables), Success | Failure)
