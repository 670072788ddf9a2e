"""Money and currencies: exact, never mixed, never rounded without being asked."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.kernel import (
    ISO_4217,
    MAX_DIGITS,
    Currency,
    CurrencyMismatchError,
    Failure,
    KernelCode,
    Money,
    Success,
    amount_text,
)

EUR, JPY, ETH = Currency("EUR"), Currency("JPY"), Currency("ETH")


def number(digits: int, places: int) -> Decimal:
    """Exactly digits / 10**places, by no context's leave."""
    return Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -places))


def amounts(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.builds(number, st.integers(-(10**digits) + 1, 10**digits - 1), st.integers(0, places))


small = amounts(18, 8).map(lambda amount: Money(amount, EUR))
full = amounts(MAX_DIGITS, MAX_DIGITS).map(lambda amount: Money(amount, EUR))


@given(small, small)
def test_sums_and_differences_are_exact(a: Money, b: Money) -> None:
    """Adding and subtracting agrees with fractions."""
    assert Fraction((a + b).amount) == Fraction(a.amount) + Fraction(b.amount)
    assert Fraction((a - b).amount) == Fraction(a.amount) - Fraction(b.amount)
    assert a + b == b + a
    assert (a + b).currency == EUR


@given(small, small, small)
def test_the_order_of_adding_does_not_matter(a: Money, b: Money, c: Money) -> None:
    """Addition is associative, which no float's is."""
    assert (a + b) + c == a + (b + c)


@given(full, full)
def test_a_sum_is_exact_or_refused(a: Money, b: Money) -> None:
    """However long the amounts are, a sum is never rounded: it is exact, or too long and refused."""
    try:
        total = a + b
    except ValueError:
        return
    assert Fraction(total.amount) == Fraction(a.amount) + Fraction(b.amount)


@given(full)
def test_negation_turns_the_sign_alone(a: Money) -> None:
    """Twice negated is the same, the sum with it is zero, and zero has no sign."""
    assert a.__neg__().__neg__() == a
    assert Fraction((-a).amount) == -Fraction(a.amount)
    assert not (a + -a).amount
    assert a.amount or not (-a).amount.is_signed()


@given(full, st.sampled_from([EUR, JPY, ETH]))
def test_text_and_parse_are_inverse(a: Money, currency: Currency) -> None:
    """The text of an amount, in plain digits, reads back as the same amount."""
    money = Money(a.amount, currency)
    assert "E" not in money.text
    assert Fraction(Decimal(money.text)) == Fraction(money.amount)
    if currency != EUR:  # padding may add two digits to as many as there can be
        assert Money.parse(money.text, str(currency)) == Success(money)


@given(small)
def test_padded_text_reads_back(money: Money) -> None:
    """The text of an amount in cents or smaller parts of one reads back as the same amount."""
    assert Money.parse(money.text, "EUR") == Success(money)


@given(full, st.sampled_from([EUR, JPY, ETH, Currency("BHD")]))
def test_text_has_the_digits_of_the_currency(a: Money, currency: Currency) -> None:
    """Text is padded to the currency's exponent and never cut."""
    places = len(Money(a.amount, currency).text.partition(".")[2])
    assert places == max(-int(a.amount.as_tuple().exponent), currency.exponent or 0)


@given(amounts(30, 30))
def test_rounding_is_to_the_nearest_and_half_to_even(amount: Decimal) -> None:
    """A rounded amount is a whole number of minor units, at most half of one away, and even when just half."""
    rounded = Money(amount, EUR).rounded()
    cents, exact = Fraction(rounded.amount) * 100, Fraction(amount) * 100
    assert cents.denominator == 1
    assert abs(cents - exact) <= Fraction(1, 2)
    assert abs(cents - exact) != Fraction(1, 2) or cents % 2 == 0
    assert Money(amount, ETH).rounded() == Money(amount, ETH)


def test_any_amount_can_be_rounded() -> None:
    """Rounding a whole amount to cents changes nothing, however long it is."""
    money = Money(Decimal(10) ** (MAX_DIGITS - 1), EUR)
    assert money.rounded() == money


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("0.005", "0.00"), ("0.015", "0.02"), ("-2.675", "-2.68"), ("2.665", "2.66"), ("7", "7.00")],
)
def test_halves_round_to_even(amount: str, expected: str) -> None:
    """Half a cent goes to the even neighbour."""
    assert Money(Decimal(amount), EUR).rounded().text == expected


@pytest.mark.parametrize("zero", ["-0", "-0.00", "-0.001"])
def test_zero_has_one_text(zero: str) -> None:
    """Nothing is not negative: a statement's -0.00 and a rounded -0.001 read as 0.00."""
    assert Money(Decimal(zero), EUR).rounded().text == "0.00"


@pytest.mark.parametrize(
    "fits",
    ["9" * 38, "-" + "9" * 38, "0." + "0" * 37 + "1", "9" * 19 + "." + "9" * 19, "0", "0.0", "1E+37", "0E-38"],
)
def test_as_many_digits_as_are_promised(fits: str) -> None:
    """An amount of 38 digits is kept as it is, on either side of the point."""
    assert Money(Decimal(fits), EUR).amount == Decimal(fits)


@pytest.mark.parametrize(
    "long",
    ["9" * 39, "0." + "0" * 38 + "1", "9" * 20 + "." + "9" * 19, "1E+38", "0E-39", "1E+99999", "1E-99999"],
)
def test_one_digit_more_is_refused(long: str) -> None:
    """More than 38 digits are an error for a program and a refusal for a text."""
    with pytest.raises(ValueError, match="at most 38 digits"):
        Money(Decimal(long), EUR)
    assert isinstance(Money.parse(long, "EUR"), Failure)


def test_an_overflowing_sum_is_refused() -> None:
    """A sum of 39 digits raises instead of losing its last one."""
    most = Money(Decimal("9" * 38), EUR)
    with pytest.raises(ValueError, match="at most 38 digits"):
        most.__add__(Money(Decimal(1), EUR))


@pytest.mark.parametrize("odd", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(odd: str) -> None:
    """Not-a-numbers and infinities are no amounts."""
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal(odd), EUR)
    assert isinstance(Money.parse(odd, "EUR"), Failure)


@pytest.mark.parametrize("wrong", [1.5, 1, "1.50", True, None])
def test_only_a_decimal_is_an_amount(wrong: object) -> None:
    """A float, an integer or a text is a programmer's error."""
    with pytest.raises(TypeError, match="Decimal"):
        Money(wrong, EUR)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@given(small, small)
def test_currencies_do_not_mix(a: Money, b: Money) -> None:
    """Adding, subtracting or comparing two currencies raises, and equal digits are not equal money."""
    other = Money(b.amount, JPY)
    for combine in (Money.__add__, Money.__sub__, Money.__lt__):
        with pytest.raises(CurrencyMismatchError):
            combine(a, other)
    assert a != Money(a.amount, JPY)


@given(st.lists(small, max_size=6))
def test_money_sorts_by_amount(some: list[Money]) -> None:
    """Money of one currency sorts as its amounts do."""
    assert [money.amount for money in sorted(some)] == sorted(money.amount for money in some)


def test_spellings_of_an_amount_are_equal() -> None:
    """12.5 and 12.50 are the same money, also as a key."""
    assert Money(Decimal("12.5"), EUR) == Money(Decimal("12.50"), EUR)
    assert len({Money(Decimal("12.5"), EUR), Money(Decimal("12.50"), EUR)}) == 1


@given(st.text())
def test_any_text_is_money_or_refused(text: str) -> None:
    """Parsing never raises, and never takes what it cannot show again."""
    parsed = Money.parse(text, "EUR")
    if isinstance(parsed, Failure):
        assert parsed.failure().code is KernelCode.MONEY_INVALID
    else:
        assert Money.parse(parsed.unwrap().text, "EUR") == parsed


@pytest.mark.parametrize("text", ["", " ", "1,50", "1.2.3", "1_000", "\u0661", "0x10", "1 5", "--1", "1" * 5_000])
def test_what_is_not_plain_digits_is_refused(text: str) -> None:
    """Decimal commas, separators, other digits and long numbers are refused with an example."""
    refused = Money.parse(text, "EUR").failure()
    assert refused.code is KernelCode.MONEY_INVALID
    assert "-12.50" in refused.message


@pytest.mark.parametrize("text", ["1e5", "1E+5", "12e-1"])
def test_an_exponent_is_not_plain_digits(text: str) -> None:
    """Money is parsed from plain digits with a point, as its documentation says."""
    assert isinstance(Money.parse(text, "EUR"), Failure)


def test_a_wrong_currency_is_refused_with_its_own_code() -> None:
    """The amount may be good and the currency not."""
    assert Money.parse("1", "E U R").failure().code is KernelCode.CURRENCY_INVALID


def test_amounts_are_written_in_plain_digits() -> None:
    """No exponent, all digits that are there, and at least the places asked for."""
    texts = [amount_text(Decimal(amount), places=2) for amount in ("1E+3", "1.5", "1.2345", "-1E-7", "0")]
    assert texts == ["1000.00", "1.50", "1.2345", "-0.0000001", "0.00"]
    assert amount_text(Decimal("1E+3")) == "1000"


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        *[("EUR", 2), ("USD", 2), ("GBP", 2), ("CHF", 2), ("MGA", 2), ("JPY", 0)],
        *[("KRW", 0), ("VND", 0), ("BHD", 3), ("KWD", 3), ("TND", 3), ("CLF", 4)],
    ],
)
def test_iso_4217_decides_the_exponent(code: str, exponent: int) -> None:
    """Minor units are as ISO 4217 lists them, in whatever case the code is written."""
    assert ISO_4217[code] == exponent
    for text in (code, code.lower(), code.title(), f" {code}\n"):
        assert Currency.parse(text) == Success(Currency(code))
    assert Currency(code).exponent == exponent


def test_iso_4217_is_well_formed() -> None:
    """Every code has three capitals, none is listed twice, and there are about as many as the standard has."""
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in ISO_4217)
    assert 150 <= len(ISO_4217) <= 170
    assert not {"DEM", "FRF", "HRK", "SLL", "VEF", "XXX"} & set(ISO_4217)


@pytest.mark.parametrize("code", ["BTC", "btc", "MILES", "USDC.e", "0xdAC17F958D2ee523a2206206994597C13D831ec7"])
def test_other_units_are_kept_as_spelled(code: str) -> None:
    """The set of units is open: one outside ISO 4217 keeps its case and has no exponent."""
    unit = Currency.parse(code).unwrap()
    assert (unit.code, unit.exponent, str(unit)) == (code, None, code)


@pytest.mark.parametrize("text", ["", " ", "a b", "\u20ac", "x" * 65, "EU\x00R", "\ud800", "E\nR"])
def test_what_is_no_unit_is_refused(text: str) -> None:
    """Spaces, signs outside ASCII, control characters and long texts name no currency."""
    assert Currency.parse(text).failure().code is KernelCode.CURRENCY_INVALID
    with pytest.raises(ValueError, match="not a unit"):
        Currency(text)


def test_a_program_spells_iso_codes_in_capitals() -> None:
    """The constructor takes one spelling only, so that equal currencies are equal."""
    with pytest.raises(ValueError, match="eur"):
        Currency("eur")


@given(st.text())
def test_any_text_is_a_currency_or_refused(text: str) -> None:
    """Parsing never raises, and what it takes it takes again."""
    parsed = Currency.parse(text)
    if isinstance(parsed, Success):
        assert Currency.parse(parsed.unwrap().code) == parsed
