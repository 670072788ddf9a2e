"""A profile: how one bank writes its CSV, as a TOML document that a person can read and change."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.kernel import ISO_4217, Result, Success
from dashtam_files._answers import refused

# A column by its name in the header, in which the first `*` stands for any text, or by its number from 1.
type Column = str | int

_SPEC: Final = tomllib.loads(files("dashtam_files.csv").joinpath("keys.toml").read_text("utf-8"))
_KEYS: Final[Mapping[str, Any]] = _SPEC["keys"]
_COLUMNS: Final[Mapping[str, Any]] = _SPEC["columns"]
_MAX_TEXT: Final = 200
_MAX_TOML: Final = 100_000


def plain(text: str) -> str:
    """A header's text for comparison: without case and spaces."""
    return "".join(text.casefold().split())


@attrs.frozen(kw_only=True)
class CsvProfile:
    """How one kind of CSV file is meant; `keys.toml` says what each part does.

    Columns that a file lacks are passed over, save the day and the amount.
    """

    name: str
    columns: Mapping[str, tuple[Column, ...]]
    institution: str | None = None
    header: tuple[str, ...] = ()
    delimiter: str | None = None
    dates: str | None = None
    decimal: str | None = None
    flip: bool = False
    debit_words: tuple[str, ...] = ()
    credit_words: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    apostrophe: bool = False
    skip: tuple[str, ...] = ()
    currency: str | None = None
    account: str | None = None
    account_type: str | None = None

    @classmethod
    def parse(cls, text: str, /) -> Result["CsvProfile", ImportFailed]:
        """The profile in a TOML document; PROFILE_INVALID says which key is wrong and what is allowed."""
        try:
            read = tomllib.loads(text) if len(text) <= _MAX_TOML else {}
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            return refused(ImportCode.PROFILE_INVALID, f"the profile is no TOML: {error}".replace("\n", " "))
        if problem := _problem(read, read.get("columns")):
            return refused(ImportCode.PROFILE_INVALID, f"this is no CSV profile: {problem}")
        del read["format"]
        columns: Mapping[str, Any] = read.pop("columns")
        given: dict[str, Any] = {key: tuple(each) if _is(each, list) else each for key, each in read.items()}
        return Success(cls(columns={key: tuple(_listed(each)) for key, each in columns.items()}, **given))

    @property
    def summary(self) -> str:
        money = [key for key in ("amount", "debit", "credit") if key in self.columns]
        said = " and ".join(f"{key} {self.columns[key][0]!r}" for key in money)
        flipped = ", positive where money leaves" if self.flip else ""
        return f"days {self.dates or 'YMD'}, {said}{flipped}, decimal mark {self.decimal or 'any'}"

    def to_toml(self) -> str:
        """The profile as TOML with a comment beside each key: `parse` reads it back equal."""
        lines = [_line(key, getattr(self, key, "csv"), known) for key, known in _KEYS.items()]
        lines += ["", "[columns]  # by name in the header, where * is any text, or by number from 1"]
        named = {key: each[0] if len(each) == 1 else each for key, each in self.columns.items()}
        lines += [_line(key, named.get(key), known) for key, known in _COLUMNS.items()]
        return "\n".join(line for line in lines if line is not None) + "\n"


def _line(key: str, value: Any, known: Mapping[str, Any]) -> str | None:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}  # {known['note']}" if value else None


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind)


def _listed(value: Any) -> Sequence[Any]:
    return value if _is(value, list) else [value]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and (value.isprintable() or value == "\t")


def _is_column(value: object) -> bool:
    return _is_text(value) or (type(value) is int and 0 < value <= _MAX_TEXT)


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "text": (f"text in quotes, on one line, of 1 to {_MAX_TEXT} characters", _is_text),
    "texts": ("a list of such texts", lambda value: _is(value, list) and all(map(_is_text, value))),
    "flag": ("true or false", lambda value: _is(value, bool)),
    "unit": ("a currency of ISO 4217", lambda value: value in [*ISO_4217]),
    "column": ("a name, a number from 1, or a list of these", lambda value: all(map(_is_column, _listed(value)))),
}


def _problem(read: Mapping[str, Any], columns: Any) -> str | None:
    if read.get("format") != "csv":
        return 'its first line must be format = "csv"'
    if not _is(columns, dict) or "name" not in read:
        return "it needs a name = and a table [columns]"
    problems = [_value_problem(key, value, _KEYS) for key, value in read.items() if key != "columns"]
    problems += [_value_problem(key, value, _COLUMNS) for key, value in columns.items()]
    return next(filter(None, problems), None) or _missing(read, columns)


def _value_problem(key: str, value: Any, known: Mapping[str, Mapping[str, Any]]) -> str | None:
    if key not in known:
        return f"{key[:_MAX_TEXT]!r} is unknown, allowed are {', '.join(known)}"
    wanted, fits = _KINDS[known[key]["kind"]]
    choices = known[key].get("choices", [value])
    if fits(value) and value in choices:
        return None
    wanted = f"one of {' '.join(map(json.dumps, choices))}" if choices != [value] else wanted
    return f"{key} must be {wanted}: {known[key]['note']}"


def _missing(read: Mapping[str, Any], columns: Mapping[str, Any]) -> str | None:
    if "date" not in columns:
        return "columns.date is missing: name the column of the day"
    if ("amount" in columns) is bool({"debit", "credit"} & columns.keys()):
        return "it needs either columns.amount or columns.debit and columns.credit"
    if ("indicator" in columns) is not bool(read.get("debit_words") or read.get("credit_words")):
        return "columns.indicator goes with debit_words or credit_words: give both or none"
    return None
