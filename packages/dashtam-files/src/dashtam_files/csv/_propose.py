"""What a file's content says of how it is meant: every reading that fits, with its reasons."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import combinations, islice, product
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, TransactionData
from dashtam_core.kernel import ISO_4217, Result, Success
from dashtam_files._answers import refused
from dashtam_files._warnings import Warnings
from dashtam_files.csv._content import WORDS, Chain, amount, chain, date_order, decimal_mark, is_sorted
from dashtam_files.csv._days import day_and_instant, fitting_orders
from dashtam_files.csv._layout import Layout, layout
from dashtam_files.csv._profile import Column, CsvProfile, plain
from dashtam_files.csv._rows import Rows
from dashtam_files.csv._sheet import Sheet, UnreadableError
from dashtam_files.csv._table import MAX_ROWS, MOST, Table, is_number, table
from dashtam_files.csv._vocabulary import is_english, sides, simple

_PREVIEW: Final = 5
_MAX_NUMBERS: Final = 12
"""Most columns of numbers that are tried as amount and as balance."""
_PROBED: Final = 100
_NAMED, _AMOUNT, _UNNAMED, _PROOF = range(4)
"""How sure a way to take the amounts is: by words or two columns, by one, by none, by nothing but a balance."""
_DATES: Final = ("date", None, "transaction_date", "value_date")
_MONEY: Final = ("amount", "debit", "credit", "balance")
_TEXTS: Final = ("description", "payee", "memo")
_SINGLE: Final = {"id", "reference", "type", "category", "check_number", "bic", "original_currency"}
_PENDING: Final = (
    "pending",
    "vorgemerkt",
    "umsatz vorgemerkt",
    "en attente",
    "pendiente",
    "authorised",
    "authorized",
)
_DROPPED: Final = ("reverted", "declined", "failed", "denied", "cancelled", "canceled", "rejected")


@attrs.frozen
class Proposal:
    """One way to read a file: the whole profile, why it fits, and the first rows as it reads them."""

    profile: CsvProfile
    evidence: Sequence[str]
    preview: Sequence[TransactionData]

    @property
    def summary(self) -> str:
        """The reading in a few words: how days and amounts are meant."""
        columns = self.profile.columns
        money = " and ".join(f"{key} {_title(columns[key][0])}" for key in _MONEY[:3] if key in columns)
        turned = ", positive where money leaves" if self.profile.flip else ""
        return f"days {WORDS[self.profile.dates or 'YMD']}, {money}{turned}"


def propose(data: bytes, /) -> Result[Sequence[Proposal], ImportFailed]:
    """Every reading of the file that fits, best first; more than one where the content does not decide.

    FORMAT_UNKNOWN where no row has a day and an amount.
    """
    return proposals(Sheet.of(data))


def proposals(sheet: Sheet) -> Result[Sequence[Proposal], ImportFailed]:
    """As `propose`, for a file that is decoded already."""
    try:
        seen = table(sheet)
        readings = _readings(seen) if seen else ()
        found = [proposal for profile, why in readings if (proposal := _proposal(profile, why, sheet))]
    except UnreadableError as error:
        return refused(error.failed.code, error.failed.message)
    if not found:
        return refused(
            ImportCode.FORMAT_UNKNOWN,
            "the file has no column of days beside one of amounts: export another format, or write a profile",
        )
    return Success(found)


def settled(laid: Layout, sheet: Sheet) -> Result[tuple[str, str | None], ImportFailed]:
    """The order of the dates and the decimal mark: the profile's, or else those that the content proves."""
    profile, below = laid.profile, 0 if laid.header is None else laid.header + 1
    rows = [row for _, row in islice(sheet.rows(laid.delimiter), MAX_ROWS)][below:]
    cells = {key: [laid.text(row, key) or "" for row in rows] for key in laid.places}
    dates = [column for key, column in cells.items() if key.endswith("date")]
    order = date_order(dates, english=is_english(laid.names))
    mark = decimal_mark(cell for key in _MONEY for cell in cells.get(key, ()))
    for given, found, key in ((profile.dates, order, "dates"), (profile.decimal, mark, "decimal")):
        if not given and len(found.fits) > 1:
            advice = f"take its profile from dashtam csv profiles, add {key} to it, and give it with --profile"
            return refused(ImportCode.READING_AMBIGUOUS, f"{profile.name}: {found.why}; {advice}")
    return Success((profile.dates or order.fits[0], profile.decimal or mark.fits[0]))


def _title(column: Column) -> str:
    return f"column {column}" if isinstance(column, int) else repr(column)


def _proposal(profile: CsvProfile, why: Sequence[str], sheet: Sheet) -> Proposal | None:
    if (laid := layout(profile, sheet)) is None:
        return None
    rows = Rows(laid, Warnings(), profile.decimal, profile.dates or "YMD")
    preview = [row for _, row in islice(rows.transactions(sheet.rows(laid.delimiter)), _PREVIEW)]
    return Proposal(profile, why, preview) if preview else None


@attrs.frozen
class _Way:
    """One way to take the amounts: the columns by what they mean, and each row's amount."""

    rank: int
    """How sure the header makes it; the lowest counts, unless a running balance proves another."""
    columns: Mapping[str, int]
    amounts: Sequence[Decimal | None]
    why: str
    flip: bool = False
    words: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, tuple[str, ...]])


type _Values = Mapping[int, Sequence[Decimal | None]]


def _readings(seen: Table) -> Iterator[tuple[CsvProfile, list[str]]]:
    every = range(len(seen.columns))
    dates = [at for at in every if seen.share(at, lambda cell: bool(fitting_orders(cell))) > MOST]
    booked = _booking_date(seen, dates)
    if booked is None:
        return
    orders = date_order([seen.columns[at] for at in dates], english=is_english(seen.names))
    numbers = [at for at in every if at not in dates and _may_be_money(seen, at)]
    numbers = sorted(numbers, key=lambda at: seen.means(at) is None)[:_MAX_NUMBERS]
    marks = decimal_mark(cell for at in numbers for cell in seen.columns[at])
    for order, mark in product(orders.fits, marks.fits):
        days = [day_and_instant(cell, order)[0] for cell in seen.columns[booked]]
        values = {at: [amount(cell, mark) for cell in seen.columns[at]] for at in numbers}
        for way in _ways(seen, values, days):
            columns = {"date": booked, **way.columns}
            profile = _profile(seen, columns, dates, dates_order=order, mark=mark, way=way)
            yield profile, [f"{_title(seen.column(booked))} is the day: {orders.why}", marks.why, way.why]


def _booking_date(seen: Table, dates: Sequence[int]) -> int | None:
    """The column of the day: by its name, else the one in order, else the first."""
    for kind in _DATES:
        if named := [at for at in dates if seen.filled(at) > MOST and seen.means(at) == kind]:
            return next(
                (at for at in named if is_sorted(list(filter(None, map(_any_day, seen.columns[at]))))), named[0]
            )
    return None


def _any_day(cell: str) -> date | None:
    return next((day_and_instant(cell, order)[0] for order in sorted(fitting_orders(cell))), None)


def _may_be_money(seen: Table, at: int) -> bool:
    """Numbers of which the header says nothing else, or nothing at all where it names amounts."""
    known = seen.means(at)
    if not any(seen.columns[at]):
        return known in _MONEY
    return known in {*_MONEY, None} and seen.share(at, is_number) > MOST


def _ways(seen: Table, values: _Values, days: Sequence[date | None]) -> Iterable[_Way]:
    """The ways to take the amounts: those that a running balance proves, or else those the header names."""
    ways = [*_indicated(seen, values), *_paired(seen, values), *_signed(seen, values)]
    proven: list[tuple[Chain, _Way]] = []
    for way, at in product(ways, values):
        if at not in way.columns.values() and seen.means(at) in {"balance", None}:
            rows = zip(days, way.amounts, values[at], strict=True)
            steps = [(day, change, left) for day, change, left in rows if day and change is not None]
            links = chain(steps) if chain(steps[:_PROBED]).may_prove else Chain(0, 0, newest_first=False)
            agrees = f"the balance in {_title(seen.column(at))} agrees in {links.agreeing} of {links.links} rows"
            if links.proves or (seen.means(at) == "balance" and 0 < links.links == links.agreeing):
                proven.append(
                    (links, attrs.evolve(way, columns={**way.columns, "balance": at}, why=f"{way.why}; {agrees}"))
                )
    best = max(((links.agreeing, -way.rank) for links, way in proven), default=None)
    fitting = [way for links, way in proven if (links.agreeing, -way.rank) == best]
    rank = min((way.rank for way in ways), default=_PROOF)
    if not proven and rank < _PROOF:
        printed = [("balance", at) for at in values if seen.means(at) == "balance"][:1]
        named = (way for way in ways if way.rank == rank)
        fitting = [attrs.evolve(way, columns=dict([*way.columns.items(), *printed])) for way in named]
    unlike: dict[tuple[Decimal | None, ...], _Way] = {}
    for way in fitting:
        unlike.setdefault(tuple(way.amounts), way)
    return unlike.values()


def _full(seen: Table, values: _Values) -> Iterable[int]:
    """The columns that may hold every row's amount."""
    alone = not any(seen.means(at) == "debit" for at in range(len(seen.names)))
    known = {"amount", None, *(["credit"] if alone else [])}
    return [at for at in values if seen.filled(at) > MOST and seen.means(at) in known]


def _indicated(seen: Table, values: _Values) -> Iterator[_Way]:
    """An amount beside a column of words such as debit and credit, or of one of them and nothing."""
    for at in range(len(seen.columns)):
        words, said = _sides_in(seen, at)
        for of in _full(seen, values) if words and at not in values else ():
            pairs = list(zip(values[of], said, strict=True))
            signs = {(one < 0, side) for one, side in pairs if one and side}
            # Each side is printed with one sign, whichever.
            if len(signs) == len({side for _, side in signs}):
                sizes = ((abs(one), side) if one is not None and side else (None, side) for one, side in pairs)
                signed = [-one if one and side == "debit" else one for one, side in sizes]
                why = f"{_title(seen.column(at))} says which way {_title(seen.column(of))} went"
                yield _Way(
                    _NAMED if seen.means(of) else _AMOUNT,
                    {"amount": of, "indicator": at},
                    signed,
                    why,
                    words=words,
                )


def _sides_in(seen: Table, at: int) -> tuple[Mapping[str, tuple[str, ...]], Sequence[str | None]]:
    """The words of a column that say a side, and each row's side; no words if it is no such column."""
    known = {word: side for side, words in sides().items() for word in words}
    cells = [_bare(cell) for cell in seen.columns[at]]
    if (
        seen.means(at) not in {"indicator", "type", None}
        or seen.share(at, lambda cell: _bare(cell) in known) <= MOST
    ):
        return {}, ()
    words = {side: tuple(sorted({each for each in cells if known.get(each) == side})) for side in sides()}
    if all(cells):
        return {side: given or tuple(sides()[side]) for side, given in words.items()}, [
            known.get(each) for each in cells
        ]
    blank = "credit" if words["debit"] else "debit"
    return {} if all(words.values()) else words, [known.get(each) if each else blank for each in cells]


def _bare(cell: str) -> str:
    return cell if cell in {"+", "-"} else simple(cell).replace(" ", "")


def _paired(seen: Table, values: _Values) -> Iterator[_Way]:
    """Two columns of which each row fills one: money that left, money that came in."""
    named = ([at for at in values if seen.means(at) == side] for side in ("debit", "credit"))
    bare = [at for at in values if seen.means(at) is None and 0 < seen.filled(at) < MOST]
    unnamed = [pair for one, two in combinations(bare, 2) for pair in ((one, two), (two, one))]
    for rank, pairs in ((_NAMED, product(*named)), (_UNNAMED, unnamed)):
        for out, income in pairs:
            both = list(zip(values[out], values[income], strict=True))
            if sum(bool(one) is not bool(two) for one, two in both) > MOST * len(both):
                signed = [-abs(one) if one else abs(two) if two else None for one, two in both]
                why = f"{_title(seen.column(out))} is money that left, {_title(seen.column(income))} that came in"
                yield _Way(rank, {"debit": out, "credit": income}, signed, why)


def _signed(seen: Table, values: _Values) -> Iterator[_Way]:
    """One column with signs; where few are negative, a card that prints purchases positive is thinkable too."""
    for at in _full(seen, values):
        numbers = [number for number in values[at] if number]
        negative = sum(number < 0 for number in numbers)
        sure = negative * 2 > len(numbers) or all(cell[:1] in {"", "+", "-"} for cell in seen.columns[at])
        rank = _AMOUNT if seen.means(at) else _UNNAMED
        why = f"{negative} of {len(numbers)} amounts in {_title(seen.column(at))} are negative"
        yield _Way(rank, {"amount": at}, values[at], f"{why}: money that left")
        turned = [None if number is None else -number for number in values[at]]
        why = f"{why}: money that came in, as on a card"
        yield _Way(_PROOF if sure else rank, {"amount": at}, turned, why, flip=True)


def _profile(
    seen: Table, columns: Mapping[str, int], dates: Sequence[int], *, dates_order: str, mark: str | None, way: _Way
) -> CsvProfile:
    named: dict[str, tuple[int, ...]] = {key: (at,) for key, at in columns.items()}
    taken = {*columns.values(), *dates}
    # Of two columns that name the account, the one with its number counts.
    for at in sorted(
        range(len(seen.columns)), key=lambda at: seen.means(at) == "account" and not _has_digits(seen, at)
    ):
        known = seen.means(at) if at in dates else None if at in taken else _single_meaning(seen, at)
        if known and known not in named and (known.endswith("date") or at not in dates):
            named[known] = (at,)
            taken.add(at)
    named |= _texts(seen, taken)
    header = tuple(name for at in range(len(seen.names)) if isinstance(name := seen.column(at), str))
    status = {simple(cell) for at in named.get("status", ()) for cell in seen.columns[at]}
    known_by = "\n".join(map(plain, header)) or repr((seen.delimiter, dates_order, sorted(named.items())))
    digest = hashlib.sha256(known_by.encode()).hexdigest()
    return CsvProfile(
        name=f"table {digest[:6]}",
        header=header,
        columns={key: tuple(map(seen.column, found)) for key, found in named.items()},
        delimiter=seen.delimiter,
        dates=dates_order,
        decimal=mark,
        flip=way.flip,
        debit_words=way.words.get("debit", ()),
        credit_words=way.words.get("credit", ()),
        pending=tuple(word for word in _PENDING if word in status),
        dropped=tuple(word for word in _DROPPED if word in status),
        continued=seen.continued,
    )


def _has_digits(seen: Table, at: int) -> bool:
    return any(map(str.isdigit, "".join(seen.columns[at][:1])))


def _single_meaning(seen: Table, at: int) -> str | None:
    """What a column holds by its header, if its content agrees."""
    known, cells = seen.means(at), set(seen.columns[at])
    if cells == {""}:
        return None
    if known != "original_currency" and seen.share(at, ISO_4217.__contains__) > MOST:
        return "currency"
    if known == "original_amount" and seen.share(at, is_number) > MOST:
        return known
    if known in {"account", "counterparty_account"}:
        rows = len(seen.columns[at])
        few = rows // 2 + 1 if known == "account" else rows // 3 if simple(seen.names[at]) == "iban" else 0
        return "account" if seen.filled(at) > MOST and len(cells) <= few else "counterparty_account"
    if known == "status" and {simple(cell) for cell in cells} & {*_PENDING, *_DROPPED}:
        return known
    return known if known in _SINGLE else None


def _texts(seen: Table, taken: set[int]) -> Mapping[str, tuple[int, ...]]:
    """The columns of words: those the header names, else the two most varied."""
    free = [at for at in range(len(seen.columns)) if at not in taken and any(seen.columns[at])]
    named = {key: tuple(at for at in free if seen.means(at) == key) for key in _TEXTS}
    if any(named.values()):
        return {key: found for key, found in named.items() if found}
    words = [at for at in free if seen.means(at) is None and any(map(str.isalpha, "".join(seen.columns[at])))]
    varied = sorted(words, key=lambda at: -sum(map(len, set(seen.columns[at]))))[:2]
    return {"description": tuple(sorted(varied))} if varied else {}
