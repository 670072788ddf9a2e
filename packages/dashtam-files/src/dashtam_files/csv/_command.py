"""The command `dashtam csv`: how a file can be read, and the profiles there are."""

from pathlib import Path
from typing import Annotated, cast

import typer

from dashtam_core.cli import stop
from dashtam_core.kernel import Failure
from dashtam_core.settings import IMPORT_MAX_BYTES
from dashtam_files.csv._propose import propose
from dashtam_files.csv._reader import CsvReader, built_in


def add(app: object) -> None:
    group = typer.Typer(help="CSV files: how one can be read, and the profiles of banks.", no_args_is_help=True)
    group.command("propose")(_propose)
    group.command("profiles")(_profiles)
    cast("typer.Typer", app).add_typer(group, name="csv")


def _propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file of a bank.")],
    choose: Annotated[int, typer.Option(help="Which reading, by its number.")] = 0,
    save: Annotated[Path | None, typer.Option(metavar="PATH", help="Write its profile there.")] = None,
) -> None:
    """Show every way a CSV file can be read, why, and its first rows so read; or save one as a profile."""
    try:
        with file.open("rb") as stream:
            result = propose(stream.read(IMPORT_MAX_BYTES))
    except OSError as error:
        stop(f"{file} cannot be read ({error.strerror}): check its name, and that you may read it", 2)
    if isinstance(result, Failure):
        stop(f"{file}: [{result.failure().code}] {result.failure().message}", 2)
    found = [each for each in enumerate(result.unwrap(), 1) if choose in {0, each[0]}]
    if not found or (save and len(found) > 1):
        stop("say with --choose which of the readings you mean: leave --save out to see them", 2)
    if save:
        _save(save, found[0][1].profile.to_toml())
    for number, each in () if save else found:
        _line(f"{number}. {each.profile.summary}", *(f"   - {why}" for why in each.evidence))
        _line(*(f"   {row.posted_date}  {row.amount!s:>16}  {row.description or ''}" for row in each.preview))
        typer.echo("\n" + each.profile.to_toml())


def _save(path: Path, profile: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(profile)
    except OSError as error:
        stop(f"{path} cannot be written ({error.strerror}): name a new file", 2)
    typer.echo(f"saved: dashtam read FILE --profile {path}", err=True)


def _line(*lines: str) -> None:
    """Prints lines without the control characters by which a file could steer a terminal."""
    for text in lines:
        typer.echo("".join(each if each.isprintable() else " " for each in text))


def _profiles(
    name: Annotated[str | None, typer.Argument(help="Print the profiles of this name as TOML.")] = None,
) -> None:
    """List the profiles there are, built in and of your own folder, or print one to change it."""
    known = [each for each in (*CsvReader.installed().profiles, *built_in()) if name in {None, each.name}]
    if not known:
        stop(f"there is no profile {name!r}: see them all with dashtam csv profiles", 2)
    if name:
        typer.echo("\n".join(each.to_toml() for each in known))
    else:
        _line(*(f"{each.name:24} {each.institution or '':24} {', '.join(each.header)}" for each in known))
