"""`dashtam plugins`, `dashtam token`, the version, help, and commands that plugins bring."""

import asyncio
import json
import re
from importlib.metadata import entry_points, version
from pathlib import Path
from unittest.mock import ANY

import pytest
import typer
from typer.main import get_group

from dashtam_core import Dashtam, PluginError, Settings, Success, UnavailableError, hookimpl, provide
from dashtam_core.cli._app import app
from dashtam_core.cli._exits import EXIT_CODES
from dashtam_core.cli._host import Host
from dashtam_core.container import AssemblyError, Binding
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import ErrorKind, UnavailableCode
from dashtam_core.plugins import Plugins
from dashtam_core.plugins._builtin import COMMANDS
from unit.cli.toy import KEY, Adding, CommandLine, noisy


def add_hello(target: typer.Typer) -> None:
    @target.command("hello")
    def hello(name: str) -> None:
        """Greet somebody."""
        typer.echo(f"hello {name}")


def add_raising(error: Exception) -> Adding:
    def add(target: typer.Typer) -> None:
        @target.command("hello")
        def hello() -> None:
            raise error

    return Adding(hello=add)


def add_nothing(target: typer.Typer) -> None:
    raise RuntimeError("out of order")


class Toyless:
    """A plugin that brings nothing."""


def unassembled(missing: bytes) -> Path:
    raise NotImplementedError


class Clashing(Adding):
    """Claims a command of another plugin, one of Dashtam's own, and one that is free."""

    def __init__(self) -> None:
        super().__init__(hello=add_hello, ciao=add_hello, **{"import": add_hello})


def test_plugins_as_json() -> None:
    """Each plugin is listed with its distribution, what it provides or why not, and what it was asked."""
    said = CommandLine(noisy(), broken=True)("plugins", "--json")
    assert said.exit_code == 3
    memory, reading, broken = json.loads(said.stdout)["plugins"]
    trace = memory.pop("trace")
    assert memory == {
        "name": "memory",
        "distribution": "dashtam-core",
        "version": None,
        "provides": ["cache memory", "store memory", "stream memory"],
        "problems": [],
        "active": True,
    }
    assert [(each["asked"], each["answer"]) for each in trace] == [
        ("register", "dashtam_caches, dashtam_stores, dashtam_streams"),
        ("dashtam_caches", "cache memory"),
        ("dashtam_stores", "store memory"),
        ("dashtam_streams", "stream memory"),
    ]
    assert all(isinstance(each["milliseconds"], float) for each in trace)
    assert (reading["name"], reading["provides"]) == ("LinesPlugin", ["reader lines"])
    assert (broken["active"], broken["problems"][0].split(":")[0]) == (False, "import failed")


def test_plugins_as_a_table() -> None:
    """What is used, and each reason why not; a plugin that does not work ends it with 3."""
    dashtam = CommandLine(noisy(), Adding(hello=add_hello), Clashing(), Toyless(), broken=True)
    found = dashtam._find(None)
    (files,) = [each for each in entry_points(group="dashtam") if each.name == "files"]
    found.add_installed(files)
    dashtam._find = lambda allowed: found  # type: ignore[method-assign]
    result = dashtam("plugins")
    assert (result.exit_code, result.stderr) == (3, "")
    contested = (
        "contested: the command 'hello' is claimed by Adding and by Clashing: "
        "uninstall all but one, or list the one you want in DASHTAM_PLUGINS"
    )
    assert [re.split(" {2,}", line) for line in result.stdout.splitlines()] == [
        ["plugin", "distribution", "active", "provides, or why not"],
        ["memory", "dashtam-core", "yes", "cache memory, store memory, stream memory"],
        ["LinesPlugin", "yes", "reader lines"],
        ["Adding", "no", contested],
        ["Clashing", "partly", "command ciao"],
        ["", contested],
        ["", ANY],
        ["Toyless", "yes", "nothing"],
        ["broken", "no", "import failed: ModuleNotFoundError: No module named 'dashtam_no_such_module'"],
        [
            "files",
            f"dashtam-files {version('dashtam-files')}",
            "yes",
            (
                "command csv, reader ofx, reader camt, reader mt940, reader qif, reader csv, "
                "writer ofx, writer csv, writer beancount"
            ),
        ],
    ]
    assert "reserved: the command 'import' is the application's own, and claimed by Clashing" in result.stdout


def test_plugins_that_cannot_be_assembled() -> None:
    """The list has what an application would leave out, without opening one."""

    class Unassembled:
        @hookimpl
        def dashtam_bindings(self) -> list[Binding]:
            return [provide(Path).by(unassembled)]

    shown = CommandLine(Unassembled())("plugins").stdout
    assert "does not fit: the routes of Unassembled and their bindings are left out: " in shown


def test_the_trace_as_a_table() -> None:
    """Each step of each plugin is a row with its time."""
    lines = CommandLine(noisy(), broken=True)("plugins", "--trace").stdout.splitlines()
    assert lines[0].split() == ["plugin", "asked", "ms", "answer"]
    rows = [re.fullmatch(r"(\S+) +(\S+) +[0-9.]+  (.+)", line) for line in lines[1:]]
    assert [each and each.groups() for each in rows] == [
        ("memory", "register", "dashtam_caches, dashtam_stores, dashtam_streams"),
        ("memory", "dashtam_caches", "cache memory"),
        ("memory", "dashtam_stores", "store memory"),
        ("memory", "dashtam_streams", "stream memory"),
        ("LinesPlugin", "register", "dashtam_readers"),
        ("LinesPlugin", "dashtam_readers", "reader lines"),
        ("broken", "import", "ModuleNotFoundError"),
    ]


def test_no_plugin_takes_a_built_in_command() -> None:
    """The names that plugins cannot have are those of the command line."""
    built_in = get_group(app).commands
    assert set(COMMANDS) == set(built_in)
    for name in built_in:
        assert "Greet somebody" not in CommandLine(Adding(**{name: add_hello}))(name, "--help").stdout


def test_a_token_stands_alone(dashtam: CommandLine) -> None:
    """Stdout is the token and a line's end, the advice is on stderr, and the token is the subject's."""
    result = dashtam("token", "--name", "laptop")
    assert "shown once" in result.stderr
    assert _subject_of(dashtam, result.stdout.removesuffix("\n")) == ExternalSubject("local").user_id


def test_a_token_as_json(dashtam: CommandLine) -> None:
    """With --json the token comes with the id that it is revoked by."""
    view = dashtam.json("token")
    assert view.keys() == {"token_id", "token"}
    assert _subject_of(dashtam, view["token"]) == ExternalSubject("local").user_id


def test_a_token_without_a_name(dashtam: CommandLine) -> None:
    """The core's refusal is one line, and no token is on stdout."""
    result = dashtam("token", "--name", " ")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "dashtam: [token_name_invalid] " in result.stderr


def _subject_of(dashtam: CommandLine, token: str) -> object:
    async def ask() -> object:
        async with Dashtam.open(settings=Settings(master_key=KEY), store=dashtam.store, plugins=()) as opened:
            answer = await opened.authenticate(token)
            assert isinstance(answer, Success)
            return answer.unwrap().user_id

    return asyncio.run(ask())


def test_the_version_loads_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is told even where settings are wrong."""
    monkeypatch.setenv("DASHTAM_MASTER_KEY", "short")
    result = CommandLine()("--version")
    assert (result.exit_code, result.stdout) == (0, f"dashtam-core {version('dashtam-core')}\n")


def test_help_lists_what_plugins_bring() -> None:
    """Help shows the built-in commands and those of plugins, each with its sentence."""
    shown = CommandLine(Adding(hello=add_hello))("--help").stdout
    names = [*COMMANDS, "hello"]
    assert [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines()] == names
    assert "Greet somebody." in shown


@pytest.mark.parametrize(
    "command",
    [
        *("read", "import", "accounts", "transactions", "plugins", "token", "events dead", "events retry"),
        *("audit list", "audit verify", "audit proof", "audit checkpoint", "audit export"),
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    """Each command has --json and a sentence of help."""
    result = CommandLine()(*command.split(), "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert result.stdout.split("\n\n")[1].endswith(".")


def test_a_contributed_command_runs() -> None:
    """A plugin's command is called with its arguments."""
    assert CommandLine(Adding(hello=add_hello))("hello", "Ada").stdout == "hello Ada\n"


def test_a_command_that_cannot_be_added() -> None:
    """It is named in one line, and help and the other commands go on."""
    dashtam = CommandLine(noisy(), Adding(hello=add_nothing, ciao=add_hello))
    shown = dashtam("--help")
    assert (shown.exit_code, "transactions" in shown.stdout) == (0, True)
    assert "dashtam: the command hello could not be added: RuntimeError: out of order\n" in shown.stderr
    assert dashtam("hello").exit_code == 2
    assert dashtam("plugins").stderr == ""


def test_two_plugins_with_one_command() -> None:
    """Help goes on without either, and asking for it says which two they are."""

    class OtherAdding(Adding):
        pass

    dashtam = CommandLine(Adding(hello=add_hello), OtherAdding(hello=add_hello))
    assert (dashtam("--help").exit_code, dashtam("plugins").exit_code) == (0, 3)
    result = dashtam("hello", "Ada")
    assert result.exit_code == 3
    assert result.stderr.startswith(
        "dashtam: contested: the command 'hello' is claimed by Adding and by OtherAdding"
    )


@pytest.mark.parametrize(("name", "package"), [("serve", "dashtam-fastapi"), ("db", "dashtam-postgres")])
def test_a_command_of_a_package_that_is_not_installed(name: str, package: str) -> None:
    """One line says what to install."""
    result = CommandLine()(name, "--port", "1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"dashtam: the command {name} comes in a package of its own: pip install {package}\n"


def test_an_unknown_command() -> None:
    """It is refused, after the plugins that might have brought it."""
    result = CommandLine(broken=True)("nonsense")
    assert result.exit_code == 2
    assert result.stderr.startswith("dashtam: the plugin broken is not active: ")
    assert "No such command 'nonsense'" in result.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UnavailableError(UnavailableCode.STORE_UNREACHABLE, "no answer"), "[store_unreachable] no answer"),
        (PluginError("two\nlines"), "two lines"),
        (AssemblyError("a gap"), "a gap"),
    ],
)
def test_what_is_not_there_is_one_line(error: Exception, line: str) -> None:
    """Errors of the installation exit with 3 from any command, a plugin's too."""
    result = CommandLine(add_raising(error))("hello")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", f"dashtam: {line}\n")


def test_an_unexpected_error_stays_one() -> None:
    """A bug is not dressed up as anything else."""
    with pytest.raises(ZeroDivisionError):
        CommandLine(add_raising(ZeroDivisionError()))("hello")


def test_every_kind_of_refusal_has_an_exit_code() -> None:
    """2 is the caller's to put right, 3 the machine's, 4 is not allowed."""
    three_and_four = {
        ErrorKind.UNAVAILABLE: 3,
        ErrorKind.UNAUTHENTICATED: 4,
        ErrorKind.FORBIDDEN: 4,
        ErrorKind.TOO_MANY: 3,
    }
    assert {kind: three_and_four.get(kind, 2) for kind in ErrorKind} == EXIT_CODES


def test_a_named_plugin_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed plugins are looked for by the setting, and a wrong name is one line."""
    monkeypatch.setenv("DASHTAM_PLUGINS", "no-such-plugin")
    dashtam = CommandLine()
    dashtam._find = Plugins.installed  # type: ignore[method-assign]
    result = dashtam("plugins")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("dashtam: DASHTAM_PLUGINS names no-such-plugin")


def test_the_app_has_a_host_of_its_own() -> None:
    """Without a test's host, commands use what is installed and configured."""
    assert app.info.context_settings == {"obj": Host()}
    assert Host().find_plugins == Plugins.installed
