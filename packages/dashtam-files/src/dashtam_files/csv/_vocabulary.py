"""What banks call their columns, in many languages: data, read once."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import attrs

type Words = Mapping[str, list[str]]

_WORD: Final = re.compile(r"[^\W_]+")
_MAX_HEADER: Final = 80


@attrs.frozen
class Meaning:
    """What a column's header says it is. `english`: the words are English, or no language's own."""

    name: str
    english: bool
    weight: int
    """Letters of the phrase that said so: the longer, the surer."""


def meaning(header: str) -> Meaning | None:
    """What a column so headed holds, or None; `other` where it is known to be nothing of use."""
    words = f" {simple(header)} "
    best: Meaning | None = None
    for phrase, name, english in _phrases():
        if len(phrase) > (best.weight if best else 0) and f" {phrase}" in words:
            best = Meaning(name, english, len(phrase))
    return best if len(header) <= _MAX_HEADER else None


def is_english(names: Iterable[str]) -> bool:
    """Whether no column is headed by a word of another language."""
    return all(found.english for name in names if (found := meaning(name)))


@lru_cache(maxsize=1024)
def simple(text: str) -> str:
    """Text for comparison with the vocabulary: lower-case words without accents and punctuation."""
    bare = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("ø", "o").casefold())
    return " ".join(_WORD.findall("".join(each for each in bare if not unicodedata.combining(each))))


@cache
def sides() -> Words:
    """What indicators say where money left (`debit`) or came in (`credit`), in lower case."""
    return _data()["sides"]


@cache
def months() -> Mapping[str, str]:
    """The number of a month by the first three or four letters of its name, in lower case."""
    return {name: number for number, names in _data()["months"].items() for name in names}


@cache
def _data() -> Mapping[str, Words]:
    return tomllib.loads(files("dashtam_files.csv").joinpath("vocabulary.toml").read_text("utf-8"))


@cache
def _phrases() -> tuple[tuple[str, str, bool], ...]:
    return tuple(
        (phrase.removesuffix("*") if phrase.endswith("*") else f"{phrase} ", name, language == "en")
        for language, names in _data().items()
        if language not in {"sides", "months"}
        for name, phrases in names.items()
        for phrase in phrases
    )
