"""Numbers as go-cty has them: binary floats of 512 bits, read from and written as decimals.

Every number is a ``Fraction`` that 512 bits of mantissa can hold; ``Double`` marks the few that
Go keeps as a float64 (``pow``, ``log``), which are written with fewer digits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

BITS: Final = 512
_MAX_EXPONENT: Final = 3500  # decimal; larger numbers count as unknown
_MAX_BITS: Final = 12_000
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,6}))?")
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|[0-9.]+p[+-]?[0-9]+|[0-9.e+-]{400,})", re.IGNORECASE)


class NotKnown(Exception):  # noqa: N818 -- a signal: Packer has a value, we do not
    """The value depends on the build, the clock or a secret, or is beyond our bounds."""


class Double(Fraction):
    """A number that Go holds as a float64, and still does when only its sign changes."""

    __slots__ = ()

    def __abs__(self) -> Double:
        return Double(super().__abs__())

    def __neg__(self) -> Double:
        return Double(super().__neg__())


def parse(text: str) -> Fraction | None:
    """Read a decimal number; None where Go's ``big.ParseFloat`` with base 10 refuses it.

    Raises:
        NotKnown: infinite, or longer than is computed here.
    """
    match = _DECIMAL.fullmatch(text) if len(text) < 400 else None
    if match is None:
        if _SPECIAL.fullmatch(text):
            raise NotKnown
        return None
    if match[1] and abs(int(match[1])) > _MAX_EXPONENT:
        raise NotKnown
    return rounded(Fraction(text))


def rounded(number: Fraction) -> Fraction:
    """Round to 512 bits of mantissa, half to even.

    Raises:
        NotKnown: the exponent is larger than is computed here.
    """
    size = number.numerator.bit_length() - number.denominator.bit_length()
    if abs(size) > _MAX_BITS:
        raise NotKnown
    if number.denominator == 1 and size < BITS:
        return number
    shift = BITS - size
    scaled = abs(number) * Fraction(2) ** shift
    if scaled >= 1 << BITS:
        shift, scaled = shift - 1, scaled / 2
    result = Fraction(round(scaled)) / Fraction(2) ** shift
    return -result if number < 0 else result


def double(number: float) -> Fraction:
    """Return a float64 as a number.

    Raises:
        NotKnown: infinite or not a number.
    """
    if not math.isfinite(number):
        raise NotKnown
    return Double(number)


def remainder(a: Fraction, b: Fraction) -> Fraction:
    """``a % b`` with the sign of ``a``; ``a`` itself where ``b`` is zero."""
    return rounded(a - rounded(math.trunc(rounded(a / b)) * b)) if b else a


def text(number: Fraction) -> str:
    """Write a number with the fewest digits that identify it, without an exponent."""
    digits, point = _shortest(number)
    sign = "-" if number < 0 else ""
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    whole = digits[:point].ljust(point, "0")
    return f"{sign}{whole}.{digits[point:]}" if len(digits) > point else f"{sign}{whole}"


def general(number: Fraction) -> str:
    """Write a number as Go's ``%g``: with an exponent from a million on and below 0.0001."""
    digits, point = _shortest(number)
    if -5 < point - 1 < 6:
        return text(number)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    sign = "-" if number < 0 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+03d}"


def fixed(number: Fraction, places: int) -> str:
    """Write a number with so many digits behind the point."""
    scaled = round(abs(number) * 10**places)
    whole = str(scaled).rjust(places + 1, "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{whole[:-places]}.{whole[-places:]}" if places else f"{sign}{whole}"


def scientific(number: Fraction, places: int) -> str:
    """Write a number as ``1.234568e+04``."""
    digits, point = ("0" * (places + 1), 1) if not number else _digits(abs(number), places + 1)
    sign = "-" if number < 0 else ""
    fraction = f".{digits[1:]}" if places else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+03d}"


def _shortest(number: Fraction) -> tuple[str, int]:
    """Return digits without trailing zeros, and where the point stands among them."""
    if number == 0:
        return "0", 1
    if isinstance(number, Double):
        return _search(abs(number), float)
    if number.denominator > 1:
        return _search(abs(number), rounded)
    digits = str(abs(number.numerator))
    return digits.rstrip("0"), len(digits)


def _search(number: Fraction, exact: Callable[[Fraction], float | Fraction]) -> tuple[str, int]:
    low, high = 1, 160
    while low < high:
        middle = (low + high) // 2
        digits, point = _digits(number, middle)
        if exact(Fraction(f"0.{digits}e{point}")) == number:
            high = middle
        else:
            low = middle + 1
    digits, point = _digits(number, low)
    return digits.rstrip("0") or "0", point


def _digits(number: Fraction, count: int) -> tuple[str, int]:
    """Round a positive number to ``count`` digits: (digits, where the point stands)."""
    point = len(str(number.numerator)) - len(str(number.denominator)) + 1
    while Fraction(10) ** (point - 1) > number:
        point -= 1
    scaled = round(number * Fraction(10) ** (count - point))
    if scaled >= 10**count:
        scaled, point = scaled // 10, point + 1
    return str(scaled), point
