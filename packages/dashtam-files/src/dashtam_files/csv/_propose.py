"""What a file's content says of how it is meant: every reading that fits, with its reasons."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice, permutations, product
from typing import Any, Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, TransactionData
from dashtam_core.kernel import ISO_4217, Failure, Result, Success
from dashtam_files._answers import refused
from dashtam_files._text import decoded
from dashtam_files.csv import _cells, _table
from dashtam_files.csv._cells import amount, day_of, fitting_orders, simple, words
from dashtam_files.csv._profile import Column, CsvProfile, plain
from dashtam_files.csv._rows import MONEY, Rows
from dashtam_files.csv._table import Row, Sheet, Table, UnreadableError

_MOST: Final = 0.95
_MAX_CELLS: Final = 20_000  # that are looked at to find out how a file is meant
_MAX_NUMBERS: Final = 10  # columns that are tried as amount and as balance
_PREVIEW: Final = 5
# How sure a way to take the amounts is: by words or two columns, by one, by none, by nothing but a balance.
_NAMED, _AMOUNT, _UNNAMED, _PROOF = range(4)
_DATES: Final = ("date", None, "transaction_date", "value_date")
_TEXTS: Final = ("description", "payee", "memo")
_SIDES: Final = ("debit", "credit")
_OTHERS: Final = ("date", "indicator", "other", *MONEY[:3])  # what no header alone gives a use


@attrs.frozen
class Proposal:
    """One way to read a file: the whole profile, why it fits, and the first rows as it reads them."""

    profile: CsvProfile
    evidence: Sequence[str]
    preview: Sequence[TransactionData]


def propose(data: bytes, /) -> Result[Sequence[Proposal], ImportFailed]:
    """Every reading of the file that fits, best first; more than one where the content does not decide.

    FORMAT_UNKNOWN where no row has a day and an amount.
    """
    try:
        table = _table.by_bookings(Sheet(decoded(data)))
        if table and (found := list(_readings(_Sample.of(table)))):
            return Success(found)
    except UnreadableError as error:
        return Failure(error.failed)
    why = "the file has no column of days beside one of amounts: export another format, or write a profile"
    return refused(ImportCode.FORMAT_UNKNOWN, why)


def settled(profile: CsvProfile, table: Table) -> Sequence[CsvProfile]:
    """The profile with every order of the dates and decimal mark that it leaves open and the content allows."""
    reader = Rows(table, profile)
    said = [reader.said(row) for row in _Sample.of(table).rows]
    columns = [[each.get(key, "") for each in said] for key in ("date", "value_date", "transaction_date")]
    orders = [profile.dates] if profile.dates else _cells.date_order(columns, table.names)[0]
    numbers = [each[key] for each in said for key in MONEY if key in each]
    marks = [profile.decimal] if profile.decimal else _cells.decimal_mark(numbers)[0]
    return [attrs.evolve(profile, dates=order, decimal=mark) for order, mark in product(orders, marks)]


@attrs.frozen
class _Sample:
    table: Table
    rows: Sequence[Row]
    columns: Sequence[Sequence[str]]
    means: Sequence[str | None]

    @classmethod
    def of(cls, table: Table) -> "_Sample":
        below = table.sheet.beginnings[table.delimiter][len(table.above) :]
        columns = max(_table.width(below), len(table.names), 1)
        looked_at = _table.looked_at(islice(table.rows(), _MAX_CELLS // columns))
        rows = [row for row in looked_at if _table.is_booking(row)]
        cells = [[row[at] if at < len(row) else "" for row in rows] for at in range(columns)]
        names = [*(_cells.meaning(each)[0] for each in table.names), *[None] * columns]
        return cls(table, rows, cells, names[:columns])

    def column(self, at: int) -> Column:
        name = " ".join("".join(self.table.names[at : at + 1]).split())
        alone = [plain(each) for each in self.table.names].count(plain(name)) == 1
        return name if name and name.isprintable() and alone else at + 1

    def share(self, at: int, fits: Callable[[str], object]) -> float:
        filled = [cell for cell in self.columns[at] if cell]
        return sum(bool(fits(cell)) for cell in filled) / len(filled) if filled else 0

    def filled(self, at: int) -> float:
        return sum(map(bool, self.columns[at])) / len(self.columns[at])


def _readings(seen: _Sample) -> Iterator[Proposal]:
    every = range(len(seen.columns))
    dates = [at for at in every if seen.share(at, fitting_orders) > _MOST]
    named = (at for kind in _DATES for at in dates if seen.means[at] == kind and seen.filled(at) > _MOST)
    booked = next(named, None)
    if booked is None:
        return
    orders, day_why = _cells.date_order([seen.columns[at] for at in dates], seen.table.names)
    money = [at for at in every if at not in dates and seen.means[at] in {*MONEY, None}]
    printed = [at for at in money if seen.share(at, _table.is_number) > _MOST]
    empty = [at for at in money if seen.means[at] and not seen.filled(at)]
    numbers = sorted((*printed, *empty), key=lambda at: seen.means[at] is None)[:_MAX_NUMBERS]
    marks, mark_why = _cells.decimal_mark(cell for at in numbers for cell in seen.columns[at])
    for order, mark in product(orders, marks):
        start = CsvProfile(name="", columns={}, dates=order, decimal=mark, delimiter=seen.table.delimiter)
        days = [day_of(cell, order) for cell in seen.columns[booked]]
        values = {at: [amount(cell, mark) for cell in seen.columns[at]] for at in numbers}
        for way in _best(seen, start, days, values):
            columns = _columns(seen, {"date": booked, **way.columns}, dates)
            profile = _profile(seen, attrs.evolve(start, **way.more), columns)
            if table := _table.by_profile(profile, seen.table.sheet):
                preview = [row for _, row in islice(Rows(table, profile).transactions(), _PREVIEW)]
                why = f"{seen.column(booked)!r} is the day: {day_why}", mark_why, way.why
                yield Proposal(profile, why, preview)


type _Values = Mapping[int, Sequence[Decimal | None]]


@attrs.frozen
class _Way:
    """One way to take the amounts: the lowest rank counts, unless more balances agree with another."""

    rank: int
    why: str
    columns: Mapping[str, int]
    more: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    amounts: Sequence[Decimal | None] = ()
    agreeing: int = 0


def _best(seen: _Sample, start: CsvProfile, days: Sequence[date | None], values: _Values) -> Iterable[_Way]:
    """The ways that a running balance proves, or else those that the header names; one for each result."""
    ways = [one for way in _ways(seen, start, values) for one in _with_balance(seen, way, days, values)]
    least = min(((-way.agreeing, way.rank) for way in ways), default=(0, _PROOF))
    fitting = [way for way in ways if (-way.agreeing, way.rank) == least < (0, _PROOF)]
    return {tuple(way.amounts): way for way in fitting}.values()


def _ways(seen: _Sample, start: CsvProfile, values: _Values) -> Iterator[_Way]:
    for way in (*_indicated(seen, values), *_paired(seen, values), *_signed(seen, values)):
        columns = {key: (at + 1,) for key, at in way.columns.items()}
        reader = Rows(seen.table, attrs.evolve(start, columns=columns, **way.more))
        amounts = [reader.amount(reader.said(row)) for row in seen.rows]
        printed = values[way.columns["amount"]] if "amount" in way.columns else amounts
        signs = {(one < 0, two < 0) for one, two in zip(printed, amounts, strict=True) if one and two}
        # Money that left is printed with one sign, and so is money that came in.
        one_sign = len(signs) == len({two for _, two in signs})
        if one_sign and sum(each is not None for each in amounts) > _MOST * len(amounts):
            yield attrs.evolve(way, amounts=amounts)


def _with_balance(seen: _Sample, way: _Way, days: Sequence[date | None], values: _Values) -> Iterator[_Way]:
    """The way beside each column of numbers that may be the balance, and how many of them agree."""
    free = {at: seen.means[at] for at in values if at not in way.columns.values()}
    yield way
    for at in (at for at, known in free.items() if known in {"balance", None}):
        rows = zip(days, way.amounts, values[at], strict=True)
        found = _cells.chain([(day, change, left) for day, change, left in rows if day and change is not None])
        if found.agreeing * 10 >= found.links * 9 and found.links > (free[at] is None):
            why = f"{way.why}; the balance in {seen.column(at)!r} agrees in {found.agreeing} of {found.links} rows"
            yield attrs.evolve(way, why=why, columns={**way.columns, "balance": at}, agreeing=found.agreeing)


def _full(seen: _Sample, values: _Values) -> Iterable[int]:
    known = {"amount", None} if "debit" in seen.means else {"amount", "credit", None}
    return [at for at in values if seen.means[at] in known and seen.filled(at) > _MOST]


def _indicated(seen: _Sample, values: _Values) -> Iterator[_Way]:
    """An amount beside a column of words such as debit and credit, or of one of them and nothing."""
    for at, cells in enumerate(seen.columns):
        side = {cell: words("sides").get(simple(cell).replace(" ", "") or cell) for cell in cells}
        if seen.means[at] in {"indicator", "bank_transaction_code", None} and seen.share(at, side.get) > _MOST:
            debit, credit = (tuple(sorted(each for each in side if side[each] == key)) for key in _SIDES)
            for of in _full(seen, values):
                why = f"{seen.column(at)!r} says which way {seen.column(of)!r} went"
                columns, said = {"amount": of, "indicator": at}, {"debit_words": debit, "credit_words": credit}
                yield _Way(_NAMED if seen.means[of] else _AMOUNT, why, columns, said)


def _paired(seen: _Sample, values: _Values) -> Iterator[_Way]:
    for out, income in permutations(values, 2):
        kinds = seen.means[out], seen.means[income]
        bare = kinds == (None, None) and max(seen.filled(out), seen.filled(income)) < _MOST
        if bare or kinds == _SIDES:
            why = f"{seen.column(out)!r} is money that left, {seen.column(income)!r} that came in"
            yield _Way(_UNNAMED if bare else _NAMED, why, {"debit": out, "credit": income})


def _signed(seen: _Sample, values: _Values) -> Iterator[_Way]:
    """One column with signs; where few are negative, a card that prints purchases positive is thinkable too."""
    for at in _full(seen, values):
        numbers = [number for number in values[at] if number]
        negative = sum(number < 0 for number in numbers)
        sure = negative * 2 > len(numbers) or all(cell[:1] in {"", "+", "-"} for cell in seen.columns[at])
        rank = _AMOUNT if seen.means[at] else _UNNAMED
        why = f"{negative} of {len(numbers)} amounts in {seen.column(at)!r} are negative: money that"
        yield _Way(rank, f"{why} left", {"amount": at})
        yield _Way(_PROOF if sure else rank, f"{why} came in, as on a card", {"amount": at}, {"flip": True})


def _profile(seen: _Sample, start: CsvProfile, found: Mapping[str, Sequence[int]]) -> CsvProfile:
    status = sorted({cell for at in found.get("status", ()) for cell in seen.columns[at]})
    kinds = [words("status").get(simple(each)) for each in status]
    header = tuple(name for at in range(len(seen.table.names)) if isinstance(name := seen.column(at), str))
    known_by = "\n".join(map(plain, header)) or repr((start.delimiter, start.dates, sorted(found.items())))
    return attrs.evolve(
        start,
        name=f"table {hashlib.sha256(known_by.encode()).hexdigest()[:6]}",
        header=header,
        columns={key: tuple(map(seen.column, places)) for key, places in found.items()},
        pending=tuple(each for each, kind in zip(status, kinds, strict=True) if kind == "pending"),
        dropped=tuple(each for each, kind in zip(status, kinds, strict=True) if kind == "dropped"),
    )


def _columns(seen: _Sample, money: Mapping[str, int], dates: Sequence[int]) -> Mapping[str, Sequence[int]]:
    found = {key: [at] for key, at in money.items()}
    others = [at for at, cells in enumerate(seen.columns) if at not in money.values() and any(cells)]
    # Of two columns that name the account, the one with its number counts.
    for at in sorted(others, key=lambda at: not any(map(str.isdigit, seen.columns[at][0]))):
        known = _meaning(seen, at) or ""
        if known in _TEXTS:
            found[known] = sorted([*found.get(known, ()), at])
        elif known and known not in _OTHERS and known.endswith("date") is (at in dates):
            found.setdefault(known, [at])
    if found.keys().isdisjoint(_TEXTS):
        lettered = [at for at in others if seen.share(at, lambda cell: any(map(str.isalpha, cell)))]
        free = [at for at in lettered if not _meaning(seen, at)]
        varied = sorted(free, key=lambda at: -sum(map(len, set(seen.columns[at]))))[:2]
        found |= {"description": sorted(varied)} if varied else {}
    return found


def _meaning(seen: _Sample, at: int) -> str | None:
    known, different, rows = seen.means[at], len(set(seen.columns[at])), len(seen.rows)
    if known != "original_currency" and seen.share(at, ISO_4217.__contains__) > _MOST:
        return "currency"
    if known in {"account", "counterparty_account"}:
        few = rows // 2 + 1 if known == "account" else rows // 3 if simple(seen.table.names[at]) == "iban" else 0
        return "account" if seen.filled(at) > _MOST and different <= few else "counterparty_account"
    return known
