"""A profile: how one bank writes its CSV, as a TOML document that a person can read and change."""

import codecs
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, TypeGuard

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.kernel import Failure, Result, Success
from dashtam_files._answers import refused

type Column = str | int
"""A column by its name in the header, in which `*` stands for any text, or by its number from 1."""

_SPEC: Final = tomllib.loads(files("dashtam_files.csv").joinpath("keys.toml").read_text("utf-8"))
_KEYS: Final[Mapping[str, Any]] = _SPEC["keys"]
_COLUMNS: Final[Mapping[str, str]] = _SPEC["columns"]
_JOINED: Final = {"description", "memo", "payee"}
_MAX_TEXT: Final = 200
_MAX_LIST: Final = 200
_MAX_TOML: Final = 100_000
_CHARSET: Final = re.compile(r"cp\d+|iso8859-\d+|mac-\w+|koi8-\w|shift_jis|euc_\w\w|gb\w+|big5\w*")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def plain(text: str) -> str:
    """A header's text for comparison: without case and spaces."""
    return "".join(text.casefold().split())


@attrs.frozen(kw_only=True)
class CsvProfile:
    """How one kind of CSV file is meant; `keys.toml` says what each part does.

    Columns that a file lacks are passed over, save the day and the amount. An amount is `amount`, or `amount`
    beside `indicator`, or `debit` and `credit` whatever their signs.
    """

    name: str
    columns: Mapping[str, tuple[Column, ...]]
    institution: str | None = None
    header: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    dates: str | None = None
    decimal: str | None = None
    flip: bool = False
    debit_words: tuple[str, ...] = ()
    credit_words: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    continued: bool = False
    currency: str | None = None
    account: str | None = None
    account_type: str | None = None

    @classmethod
    def parse(cls, text: str, /) -> Result["CsvProfile", ImportFailed]:
        """The profile in a TOML document; PROFILE_INVALID says which key is wrong and what is allowed."""
        try:
            read = tomllib.loads(text) if len(text) <= _MAX_TOML else {}
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            return _invalid(f"it is no TOML: {' '.join(str(error).split())[:_MAX_TEXT]}")
        columns = read.pop("columns", None)
        if problem := _problem(read, columns):
            return _invalid(problem)
        named: dict[str, Any] = {key: tuple(_listed(each)) for key, each in columns.items()}
        given: dict[str, Any] = {
            key: tuple(_listed(each)) if _KEYS.get(key, {}).get("kind") == "texts" else each
            for key, each in read.items()
        }
        del given["format"]
        profile = cls(columns=named, **given)
        return _invalid(incomplete) if (incomplete := _incomplete(profile)) else Success(profile)

    def to_toml(self) -> str:
        """The profile as TOML with a comment beside each key: `parse` reads it back equal."""
        said = [(key, getattr(self, key), spec["note"]) for key, spec in _KEYS.items()]
        lines = [f"{key} = {_written(value)}  # {note}" for key, value, note in said if value]
        named = [(key, self.columns[key], note) for key, note in _COLUMNS.items() if key in self.columns]
        lines += ["", "[columns]  # by name in the header, where * is any text, or by number from 1"]
        lines += [f"{key} = {_written(one[0] if len(one) == 1 else one)}  # {note}" for key, one, note in named]
        return "\n".join(['format = "csv"', *lines, ""])


def _invalid(problem: str) -> Failure[ImportFailed]:
    return refused(ImportCode.PROFILE_INVALID, f"this is no CSV profile: {problem}")


def _problem(read: Mapping[str, Any], columns: Any) -> str | None:
    """What is wrong with the first key that is, and what is allowed."""
    if read.get("format") != "csv":
        return 'its first line must be format = "csv"'
    if not _is_table(columns):
        return "it has no table [columns] with at least date and amount"
    if "name" not in read:
        return "it has no name: write name = followed by what to call it"
    for found, allowed, what in ((read, ["format", *_KEYS], "key"), (columns, _COLUMNS, "column")):
        if odd := next((key for key in found if key not in allowed), None):
            return f"the {what} {odd[:_MAX_TEXT]!r} is unknown, allowed are {', '.join(allowed)}"
    problems = [_value_problem(key, value, **_KEYS[key]) for key, value in read.items() if key != "format"]
    problems += [_column_problem(key, value) for key, value in columns.items()]
    return next(filter(None, problems), None)


def _value_problem(
    key: str, value: Any, *, note: str, kind: str = "text", choices: Sequence[str] = ()
) -> str | None:
    texts = _listed(value)
    checks = {
        f"{key} must be true or false": kind != "flag" or isinstance(value, bool),
        f"{key} must be a list of texts in quotes": kind != "texts"
        or (texts is value and len(texts) <= _MAX_LIST),
        f"{key} must be one of {' '.join(map(json.dumps, choices))}": not choices or value in choices,
        f"{key} must be text in quotes, on one line, of 1 to {_MAX_TEXT} characters": kind == "flag"
        or all(map(_is_text, texts if kind == "texts" else [value])),
        "currency must be three capital letters": key != "currency" or _CURRENCY.fullmatch(str(value)),
        "encoding must name a character set, such as windows-1250": key != "encoding" or _is_charset(str(value)),
    }
    return next((f"{problem}: {note}" for problem, passed in checks.items() if not passed), None)


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _listed(value: Any) -> Sequence[Any]:
    """What a list holds, or the one thing given instead."""
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType] - TOML's


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and (value.isprintable() or value == "\t")


def _is_charset(name: str) -> bool:
    try:
        return _CHARSET.fullmatch(codecs.lookup(name).name) is not None
    except (LookupError, ValueError):
        return False


def _column_problem(key: str, value: Any) -> str | None:
    each_of = _listed(value) if key in _JOINED else [value]
    if each_of and all(_is_text(one) or (type(one) is int and 0 < one <= _MAX_LIST) for one in each_of):
        return None
    what = "names or numbers" if key in _JOINED else "one name or number"
    return f"columns.{key} must be {what} from 1: {_COLUMNS[key]}"


def _incomplete(profile: CsvProfile) -> str | None:
    """What is missing to read a row with it."""
    columns = profile.columns
    checks = {
        "columns.date is missing: name the column of the day": "date" in columns,
        "it needs either columns.amount or columns.debit and columns.credit": ("amount" in columns)
        is not bool({"debit", "credit"} & columns.keys()),
        "columns.indicator goes with debit_words or credit_words: give both or none": ("indicator" in columns)
        is bool(profile.debit_words or profile.credit_words),
        "pending and dropped need columns.status": "status" in columns or not (profile.pending or profile.dropped),
        "without header every column is a number from 1": bool(profile.header)
        or not any(isinstance(each, str) for named in columns.values() for each in named),
    }
    return next((problem for problem, passed in checks.items() if not passed), None)


def _written(value: bool | Column | Sequence[Column]) -> str:
    if isinstance(value, bool | str | int):
        return json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(map(_written, value))}]"
