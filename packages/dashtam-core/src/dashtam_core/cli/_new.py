"""`dashtam plugins new`: a package of one's own to begin with, complete and tested."""

import re
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from dashtam_core.cli._exits import stop
from dashtam_core.cli._show import line

Kind = StrEnum("Kind", ["PROVIDER", "STORE"])

_SKELETONS: Final = Path(__file__).parent / "skeletons"
_NAME: Final = re.compile(r"[A-Za-z](?:[-_.]?[A-Za-z0-9]){0,63}")
_TAKEN: Final = ("core", "embedded", "fastapi", "files", "memory", "postgres", "postgresql", "redis")


def new_plugin(
    kind: Annotated[Kind, typer.Argument(help="What the plugin brings.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the bank or database, such as acme-bank.")],
    path: Annotated[Path, typer.Option(metavar="DIR", help="Where the new folder goes.")] = Path(),
) -> None:
    """Write a package for a plugin of your own: it works and is tested from the start."""
    words, source = _words(name), _SKELETONS / kind
    folder = path / words["package"]
    try:
        folder.mkdir(parents=True)
        files = [_write(file, source, folder, words) for file in sorted(source.rglob("*.tmpl"))]
    except OSError as error:
        stop(f"{folder} cannot be made ({error.strerror}): choose another name or --path", 2)
    for said in (*files, f"next: cd {folder} && pip install -e . 'dashtam-core[testing]' && pytest"):
        line(said)


def _words(name: str) -> dict[str, str]:
    """What the skeletons leave open, from a name; one that cannot be a package's ends the command."""
    if not _NAME.fullmatch(name):
        stop(f"{name[:64]!r} is no name: write a letter, then letters and digits with single -, _ or . between", 2)
    parts = re.split("[-_.]", name.lower().removeprefix("dashtam-"))
    short = "-".join(parts)
    if short in _TAKEN:
        stop(f"{short} is what Dashtam calls a package of its own: choose another name", 2)
    title = " ".join(parts).title()
    names = {"name": short, "package": f"dashtam-{short}", "module": f"dashtam_{'_'.join(parts)}"}
    return names | {"title": title, "prefix": title.replace(" ", ""), "core": version("dashtam-core")}


def _write(file: Path, source: Path, folder: Path, words: dict[str, str]) -> str:
    """Writes one file of a skeleton with the words filled in, and returns its path."""
    name = str(file.relative_to(source)).removesuffix(".tmpl").replace("module", words["module"])
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(Template(file.read_text("utf-8")).substitute(words), "utf-8")
    return str(folder / name)
