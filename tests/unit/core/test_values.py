"""Days, identifiers, cursors and results."""

import pickle
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dashtam_core.accounts import AccountsCode, ImportCode
from dashtam_core.identity import IdentityCode
from dashtam_core.kernel import (
    Cursors,
    DateRange,
    ErrorCode,
    ErrorKind,
    Failure,
    KernelCode,
    Result,
    Success,
    UnavailableCode,
    UnavailableError,
    ValueRefused,
    and_then,
    map_failure,
    map_success,
    new_id,
    new_ids,
)
from dashtam_core.messaging import RefusalCode

DAY = timedelta(days=1)


def day_range(start: int, length: int) -> DateRange:
    first = date(2026, 1, 1) + start * DAY
    return DateRange(first, first + length * DAY)


ranges = st.builds(day_range, st.integers(0, 12), st.integers(0, 8))


def days(of: DateRange | None) -> set[date]:
    """The model of a range: the set of its days, counted one by one."""
    if of is None:
        return set()
    found, day = set[date](), of.start
    while day <= of.end:
        found.add(day)
        day += DAY
    return found


@given(ranges, ranges)
def test_ranges_are_sets_of_days(a: DateRange, b: DateRange) -> None:
    """Length and membership are those of the sets."""
    assert a.days == len(days(a))
    assert all((day in a) == (day in days(a)) for day in days(day_range(0, 30)))


@given(ranges, ranges)
def test_a_union_is_there_where_no_day_is_missing(a: DateRange, b: DateRange) -> None:
    """A union has the days of both; it is None exactly where one range cannot cover just those."""
    both = days(a) | days(b)
    without_gap = len(both) == (max(both) - min(both)).days + 1
    assert days(a.union(b)) == days(b.union(a)) == (both if without_gap else set())


def test_ranges_reach_the_ends_of_the_calendar() -> None:
    """The first and the last day there are do not overflow."""
    ever = DateRange(date.min, date.max)
    assert ever.days == 3_652_059
    assert ever.union(DateRange(date.max, date.max)) == ever
    assert DateRange(date.min, date.min).union(DateRange(date.max, date.max)) is None


def test_a_range_ends_after_it_starts() -> None:
    """Days the wrong way round are an error for a program and a refusal for a text."""
    with pytest.raises(ValueError, match="on or after its start"):
        DateRange(date(2026, 1, 2), date(2026, 1, 1))
    refused = DateRange.parse("2026-01-02", "2026-01-01").failure()
    assert refused.code is KernelCode.DATE_RANGE_INVALID
    assert DateRange.parse("2026-01-01", "2026-01-02") == Success(DateRange(date(2026, 1, 1), date(2026, 1, 2)))


@given(st.text(), st.text())
def test_any_two_texts_are_a_range_or_refused(start: str, end: str) -> None:
    """Parsing days never raises."""
    assert isinstance(DateRange.parse(start, end), Success | Failure)


def test_ids_are_ascending_and_of_version_7() -> None:
    """Ids sort in the order they were made, and their version and variant are those of RFC 9562."""
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    assert len({each.int & (1 << 62) - 1 for each in ids}) == len(ids), "62 random bits"


def test_ids_tell_when_they_were_made() -> None:
    """The first 48 bits are the milliseconds of the epoch."""
    time.sleep(0.05)  # ids made in a burst run ahead of the clock; let it catch up
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(100)]
    after = time.time_ns() // 1_000_000
    assert all(before <= each.int >> 80 <= after + 1 for each in made)


def test_ids_are_unique_over_threads() -> None:
    """Threads that make ids at once never make one twice, and each sees its own ascend."""
    made: list[list[UUID]] = []
    begin = threading.Barrier(8)

    def make() -> None:
        begin.wait()
        made.append([each for _ in range(500) for each in (*new_ids(9), new_id())])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(some == sorted(some) for some in made)
    assert len({each for some in made for each in some}) == 40_000


def test_many_ids_at_once_stand_in_line() -> None:
    """Ids made together ascend, after all made before and before all made later."""
    first, many, last = new_id(), list(new_ids(5_000)), new_id()
    assert [first, *many, last] == sorted({first, *many, last})
    assert {(each.version, each.variant) for each in many} == {(7, "specified in RFC 4122")}
    assert list(new_ids(0)) == []
    assert last < new_id()


def test_ids_ascend_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock set back does not bring ids out of order."""
    last = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000_000_000_000)
    assert last < new_id() < new_id()


CURSORS = Cursors(b"k" * 32)
positions = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
scopes = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(positions, scopes)
def test_a_cursor_gives_its_position_back(position: str, scope: str) -> None:
    """A cursor reads back under the scope and key it was written with, and is safe in a URL."""
    cursor = CURSORS.write(position, scope=scope)
    assert CURSORS.read(cursor, scope=scope) == Success(position)
    assert all(each.isascii() and (each.isalnum() or each in "-_") for each in cursor)


@given(positions, scopes, scopes, st.binary(min_size=32, max_size=32))
def test_a_foreign_cursor_is_refused(position: str, scope: str, other: str, key: bytes) -> None:
    """A cursor of another list or another key is no cursor here."""
    assume(scope != other)
    assume(key != CURSORS.key)
    cursor = CURSORS.write(position, scope=scope)
    for refused in (CURSORS.read(cursor, scope=other), Cursors(key).read(cursor, scope=scope)):
        assert refused.failure().code is KernelCode.CURSOR_INVALID


@given(positions, st.data())
def test_a_cursor_with_other_bytes_is_refused(position: str, data: st.DataObject) -> None:
    """Whatever character is changed to one that means other bytes, the cursor is refused."""
    cursor = CURSORS.write(position, scope="here")
    place = data.draw(st.integers(0, len(cursor) - 2))
    other = data.draw(st.sampled_from("ABCabc019-_. \x00\u00e9").filter(lambda each: each != cursor[place]))
    changed = cursor[:place] + other + cursor[place + 1 :]
    assert CURSORS.read(changed, scope="here").failure().code is KernelCode.CURSOR_INVALID
    assert isinstance(CURSORS.read(cursor[:place], scope="here"), Failure)
    assert isinstance(CURSORS.read(cursor + other, scope="here"), Failure)


def test_a_cursor_is_signed_with_128_bits() -> None:
    """Sixteen bytes stand before the position, and each of them is another with another key."""
    made = [urlsafe_b64decode(Cursors(bytes([key]) * 32).write("12345678", scope="here")) for key in range(20)]
    assert {each[16:] for each in made} == {b"12345678"}
    assert all(len({each[place] for each in made}) > 1 for place in range(16))


@pytest.mark.parametrize("change", ["spare bits", "padding", "alphabet"])
def test_a_cursor_has_one_spelling(change: str) -> None:
    """A cursor that was changed is refused, also where base64 would decode to the same bytes."""
    cursor = next(each for each in _written() if len(each) % 4 == 3 and "-" in each and each[-1] == "A")
    changed = {
        "spare bits": cursor[:-1] + "B",
        "padding": cursor + "=",
        "alphabet": cursor.replace("-", "+"),
    }[change]
    assert changed != cursor
    assert isinstance(CURSORS.read(changed, scope="here"), Failure)


def _written() -> list[str]:
    return [CURSORS.write(f"{number:03}@", scope="here") for number in range(500)]


@given(st.text(), st.text(max_size=5))
def test_any_text_is_a_cursor_or_refused(text: str, scope: str) -> None:
    """Reading what never was a cursor refuses it and never raises."""
    assert isinstance(CURSORS.read(text, scope=scope.encode(errors="replace").decode()), Failure)


def test_cursors_keep_their_key_to_themselves() -> None:
    """The key is not in what gets logged."""
    assert "kkk" not in repr(CURSORS)


def _half(number: int) -> Result[int, str]:
    return Failure("odd") if number % 2 else Success(number // 2)


def test_and_then_goes_on_or_stops() -> None:
    """A success takes the next step; a failure is the answer and the step is not taken."""
    steps: list[int] = []

    def step(number: int) -> Result[int, str]:
        steps.append(number)
        return _half(number)

    assert and_then(_half(12), step) == Success(3)
    assert and_then(_half(6), step) == Failure("odd")
    assert and_then(_half(7), step) == Failure("odd")
    assert steps == [6, 3]


def test_mapping_changes_one_side_alone() -> None:
    """Only a success has its value changed, only a failure its error."""
    shout: Callable[[str], str] = str.upper
    assert map_success(_half(4), str) == Success("2")
    assert map_success(_half(3), str) == Failure("odd")
    assert map_failure(_half(3), shout) == Failure("ODD")
    assert map_failure(_half(4), shout) == Success(2)


ROOMS: tuple[type[ErrorCode], ...] = (
    *(KernelCode, UnavailableCode, RefusalCode),
    *(IdentityCode, ImportCode, AccountsCode),
)


@pytest.mark.parametrize("codes", ROOMS, ids=str)
def test_every_code_is_its_text_and_has_a_kind(codes: type[ErrorCode]) -> None:
    """A code is its lower-case name, is found again by it, and says what sort of refusal it is."""
    assert len(codes) > 0
    for code in codes:
        assert code == code.value == code.name.lower()
        assert codes(code.value) is code  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
        assert type(code.kind) is ErrorKind


def test_errors_are_values() -> None:
    """Refusals compare by what they say, read as their message, and can be sent to another process."""
    refused = ValueRefused(KernelCode.MONEY_INVALID, "write digits")
    assert refused == ValueRefused(KernelCode("money_invalid"), "write digits")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert str(refused) == "write digits"
    assert pickle.loads(pickle.dumps(refused)) == refused


def test_an_unavailable_machine_can_be_told_to_another_process() -> None:
    """The exception survives pickling with its code, as worker processes need."""
    error: UnavailableError = pickle.loads(pickle.dumps(UnavailableError(UnavailableCode.STORE_UNREACHABLE, "no")))
    assert (error.code, error.message, str(error)) == (UnavailableCode.STORE_UNREACHABLE, "no", "no")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (RefusalCode.UNAUTHENTICATED, "unauthenticated"),
        (RefusalCode.PERMISSION_DENIED, "forbidden"),
        (IdentityCode.TOKEN_UNKNOWN, "unauthenticated"),
        (IdentityCode.TOKEN_NAME_INVALID, "invalid"),
        (ImportCode.FILE_EMPTY, "invalid"),
        (ImportCode.FILE_TOO_LARGE, "too_large"),
        (ImportCode.FORMAT_UNKNOWN, "unsupported"),
        (AccountsCode.ACCOUNT_NOT_FOUND, "not_found"),
        (AccountsCode.IMPORT_NOT_FOUND, "not_found"),
        (AccountsCode.LIMIT_INVALID, "invalid"),
        (UnavailableCode.STORE_UNREACHABLE, "unavailable"),
        (KernelCode.CURSOR_INVALID, "invalid"),
    ],
)
def test_kinds_are_what_edges_rely_on(code: ErrorCode, kind: str) -> None:
    """The kind decides the HTTP status and the exit code, so it does not drift."""
    assert code.kind == kind


def test_codes_that_mean_the_same_have_one_kind() -> None:
    """A code that two rooms share is of one kind in both."""
    kinds: dict[str, set[ErrorKind]] = {}
    for room in ROOMS:
        for code in room:
            kinds.setdefault(code.value, set()).add(code.kind)
    assert all(len(some) == 1 for some in kinds.values())
