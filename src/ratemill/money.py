"""Exact numbers: how many digits they may have, how a text becomes one, and how one is written.

The digits are bounded where a number enters, so that the largest product of a quantity and a price fits the 38 digits
of a decimal column: a quantity has at most 15 + 12 digits, a price at most 11 but for leading zeros (27 + 11 = 38).
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation

from ratemill.visible import shown

QUANTITY_INTEGER_DIGITS_MAX = 15
QUANTITY_PLACES_MAX = 12
PRICE_DIGITS_MAX = 11  # significant digits of a price: 38 less those of the largest quantity
PRICE_PLACES_MAX = 18
AMOUNT_ROUNDINGS = ("half_up", "half_even", "up", "down")  # of the magnitude: the sign stays
AMOUNT_PLACES_MAX = 11  # the places that a plan, a group or an owner may ask for

_EXPONENT_MAX = 40  # beyond this no number fits any limit, and it is not worth writing out

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])


def parse_decimal(text: str) -> Decimal:
    """Return the exact value of digits with a point, a sign, an exponent; raise ``ValueError`` for anything else."""
    if not NUMBER.match(text):
        raise ValueError(f"'{shown(text)}' is not a number")
    return _EXACT.create_decimal(text)


def decimal_within(text: str) -> Decimal | None:
    """Return the exact value of digits, as ``parse_decimal`` does; None for what is no number or beyond all of ours."""
    try:
        number = parse_decimal(text)
    except (ValueError, ArithmeticError):
        return None
    return None if number and abs(number.adjusted()) > _EXPONENT_MAX else number


def plain(number: Decimal) -> str:
    """Write ``number`` in plain notation without exponent and zeros at the end: ``1.1562``, ``94``."""
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(number: Decimal) -> int:
    """How many decimal places ``number`` needs."""
    exponent = number.normalize(_EXACT).as_tuple().exponent
    return max(0, -int(exponent))


def significant_digits(number: Decimal) -> int:
    """How many digits ``number`` has from its first that is not zero to the last that is not, at least to the point."""
    scaled = number.scaleb(places(number), _EXACT)
    return len(str(abs(int(scaled))))
