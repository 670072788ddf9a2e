"""What a cell says, however a bank writes it: a day, an amount, a currency, the meaning of a column."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final, NamedTuple

from dashtam_core.kernel import ISO_4217, Currency
from dashtam_files._values import Amounts, calendar_day

ORDERS: Final = {"DMY": "day first", "MDY": "month first", "YMD": "year first"}
EXACT: Final = Context(prec=200)  # sums of printed amounts are never rounded
_MARKS: Final = {",": ".", ".": ","}
_MAX_DAY: Final = 64
_MIN_SORTED: Final = 3
_TIME: Final = (
    r"(?:[\s,T]\s*\d{1,2}[:.]\d\d(?:[:.]\d\d(?:[.,]\d{1,9})?)?\s*(?:[AaPp]\.?[Mm]\.?)?"
    r"\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)?|\s+as of\s.{1,20})?"
)
_NUMBERS: Final = re.compile(rf"(\d{{1,4}})(\s?[./-]\s?)(\d\d?)\2(\d{{1,4}})\.?{_TIME}", re.ASCII)
_SOLID: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_NAME: Final = r"[^\W\d_]{3,10}"
_NAMED: Final = re.compile(
    rf"(?:[^\W\d_]{{2,10}}[.,]{{1,2}}\s*)?(?:(\d{{1,4}})[\s.,/-]{{0,2}}({_NAME})[\s.,/-]{{0,2}}"
    rf"|({_NAME})[\s.-]{{1,2}}(\d\d?),?[\s-]\s?)(\d{{2,4}}){_TIME}"
)
_SIDE: Final = re.compile(r"(.{1,60}\d)\s{0,3}(CR?|DR?|H|S)\.?")
_CODE: Final = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")
_SIGNS: Final = {"€": "EUR", "£": "GBP", "R$": "BRL", "₹": "INR", "zł": "PLN", "Kč": "CZK", "₽": "RUB", "₺": "TRY"}


@cache
def _vocabulary() -> Mapping[str, Any]:
    return tomllib.loads(files("dashtam_files.csv").joinpath("vocabulary.toml").read_text("utf-8"))


@cache
def words(kind: str) -> Mapping[str, str]:
    return {word: meaning for meaning, said in _vocabulary()[kind].items() for word in said}


@lru_cache(maxsize=1024)
def simple(text: str) -> str:
    """Text for comparison with the vocabulary: lower-case words without accents and punctuation."""
    bare = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("ø", "o").casefold())
    return " ".join(re.findall(r"[^\W_]+", "".join(each for each in bare if not unicodedata.combining(each))))


@lru_cache(maxsize=1024)
def meaning(header: str) -> tuple[str | None, str]:
    """What a column so headed holds, `other` if nothing of use, and the language of the phrase that says so."""
    text = f" {simple(header)} "
    fitting = (each for each in _phrases() if f" {each[0]}" in text)
    _, name, language = max(fitting, key=lambda each: len(each[0]), default=("", None, "en"))
    return name, language


@cache
def _phrases() -> Sequence[tuple[str, str, str]]:
    return [
        (phrase.removesuffix("*") if phrase.endswith("*") else f"{phrase} ", name, language)
        for language, names in _vocabulary()["headers"].items()
        for name, phrases in names.items()
        for phrase in phrases
    ]


def day_of(text: str, order: str) -> date | None:
    """The calendar day as printed. `order` is YMD, DMY or MDY."""
    return _day_of(text, order) if len(text) <= _MAX_DAY else None


def instant_of(text: str) -> datetime | None:
    """The instant in UTC, where the text has the form of ISO 8601 and a zone."""
    try:
        read = datetime.fromisoformat(text.replace(" +", "+").replace(" UTC", "Z"))
        return read.astimezone(UTC) if read.tzinfo else None
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=8192)
def fitting_orders(text: str) -> frozenset[str]:
    """The orders by which the text is a day; those that differ from how anyone writes are left out."""
    fits = frozenset(order for order in ORDERS if day_of(text, order))
    found = (_NUMBERS.fullmatch(text) or _NAMED.fullmatch(text)) if fits else None
    if not found or len(found[1] or "year") > 2:  # noqa: PLR2004 - a year in front has more digits than a day
        return fits
    # A point between numbers is written day first wherever points are written; a short year in front hardly ever.
    return fits - {"YMD"} - ({"MDY"} if "." in found[2] else frozenset[str]()) or fits


@lru_cache(maxsize=8192)
def _day_of(text: str, order: str) -> date | None:
    if found := _NUMBERS.fullmatch(text):
        parts = dict(zip(order, found.group(1, 3, 4), strict=True))
        return _day(parts["Y"], parts["M"], parts["D"])
    if found := _SOLID.fullmatch(text):
        return _day(found[1], found[2], found[3])
    return _named(found, order) if (found := _NAMED.fullmatch(text)) else None


def _named(found: re.Match[str], order: str) -> date | None:
    first, last = found[1] or found[4], found[5]
    name = (found[2] or found[3]).casefold()
    month = words("months").get(name[:4]) or words("months").get(name[:3]) or ""
    year_first = len(first) > 2 or (found[1] and order == "YMD")  # noqa: PLR2004 - no day has more digits
    return _day(first, month, last) if year_first else _day(last, month, first)


def _day(year: str, month: str, day: str) -> date | None:
    if len(year) not in {2, 4} or len(day) > 2:  # noqa: PLR2004 - digits of a year and a day
        return None
    return calendar_day(year, month, day)


def date_order(columns: Sequence[Sequence[str]], names: Iterable[str]) -> tuple[Sequence[str], str]:
    """The orders in which the days may be written, and why: what is no day otherwise, no order, no language."""
    fits, why = set(ORDERS), "every day names its month or its year first"
    for cell in (cell for cells in columns for cell in cells if cell):
        narrower = fits & fitting_orders(cell)
        if narrower and narrower != fits:
            fits, why = narrower, f"{cell} can only be {_in_words(narrower)}"
    read = {order: [_days(cells, order) for cells in columns] for order in ORDERS if order in fits}
    distinct = [order for at, order in enumerate(read) if read[order] not in list(read.values())[:at]]
    if len(distinct) == 1:
        return distinct, why
    if len(ordered := [order for order in distinct if any(map(_are_sorted, read[order]))]) == 1:
        return ordered, f"the days are in order only if read {_in_words(ordered)}"
    if "DMY" in distinct and any(meaning(name)[1] != "en" for name in names):
        return ["DMY"], "only English puts the month first, and the header is in another language"
    return distinct, f"each day can be {_in_words(distinct)}"


def _in_words(orders: Iterable[str]) -> str:
    return " or ".join(ORDERS[each] for each in sorted(orders))


def _days(cells: Iterable[str], order: str) -> Sequence[date]:
    return [day for cell in cells if (day := day_of(cell, order))]


def _are_sorted(days: Sequence[date]) -> bool:
    return len(set(days)) >= _MIN_SORTED and sorted(days) in (days, days[::-1])


def amount(text: str, mark: str | None) -> Decimal | None:
    """The number printed, with `mark` before its decimals. A trailing D, DR or S makes it negative."""
    side = _SIDE.fullmatch(text)
    number = _amounts(mark).read(side[1] if side else text)
    return turned(number) if number and side and side[2][0] in "DS" else number


@cache
def _amounts(mark: str | None) -> Amounts:
    return Amounts([f"1{mark}5"] if mark else ())


def turned(number: Decimal) -> Decimal:
    return number.copy_negate() if number else number


def decimal_mark(cells: Iterable[str]) -> tuple[Sequence[str | None], str]:
    """The marks that may stand before the decimals, and why: what other numbers prove."""
    numbers = [_SIDE.sub(r"\1", cell) for cell in cells if amount(cell, None) is not None]
    together = Amounts(numbers)
    for mark, other in _MARKS.items():
        if together.read(f"1{other}234") == 1234:  # noqa: PLR2004 - so the other one stands between thousands
            return [mark], f"{mark!r} stands before the decimals"
    doubtful = next((each for each in numbers if amount(each, ",") != amount(each, ".")), None)
    if doubtful is None:
        return [None], "no number has decimals that could be thousands"
    other = "." if "." in doubtful else ","
    if any(_MARKS.keys().isdisjoint(each) for each in numbers):
        return [_MARKS[other]], f"other numbers are whole, so {doubtful} has thousands"
    return [_MARKS[other], other], f"{doubtful} can have thousands or decimals"


def named_currency(texts: Iterable[str]) -> Currency | None:
    """The one currency that these texts name by its code or its sign; None if there is none or more than one."""
    found = set[str]()
    for text in texts:
        found |= {code for code in _CODE.findall(text) if code in ISO_4217}
        found |= {code for sign, code in _SIGNS.items() if sign in text}
    return Currency(found.pop()) if len(found) == 1 else None


type Step = tuple[date, Decimal, Decimal | None]  # a row's day, amount and printed balance


class Chain(NamedTuple):
    """How many printed balances follow from the one before and the amounts since; `steps` is the oldest first."""

    agreeing: int
    links: int
    opening: Decimal
    steps: Sequence[Step]


def chain(steps: Sequence[Step]) -> Chain:
    """The running balances against the amounts, the newest first or last: by the days, else as more agree."""
    down, up = _linked(steps), _linked(steps[::-1])
    if steps and steps[0][0] != steps[-1][0]:
        return down if steps[0][0] < steps[-1][0] else up
    return up if up.agreeing > down.agreeing else down


def _linked(steps: Sequence[Step]) -> Chain:
    moved, openings = Decimal(), list[Decimal]()
    for _, change, balance in steps:
        moved = EXACT.add(moved, change)
        if balance is not None:
            openings.append(EXACT.subtract(balance, moved))
    agreeing = sum(one == two for one, two in pairwise(openings))
    return Chain(agreeing, len(openings[1:]), next(iter(openings), Decimal()), steps)
