"""Text to value and back: what each kind of member takes, what it says about what it does not take, how it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ratemill import money
from ratemill.periods import read_instant, write_instant
from ratemill.setup.declaration import Kind, Member
from ratemill.setup.nodes import Written
from ratemill.visible import shown

INTEGER_MAX = 2_147_483_647
_EXPONENT_MAX = 40  # beyond this no number fits any limit, and it is not worth writing out
_WHOLE = re.compile(r"[+-]?\d{1,12}\Z", re.ASCII)
_DATE_CHARS = len("2022-05-01")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRUTHS = {"true": True, "false": False}


class Unfit(ValueError):
    """The text does not fit the member; the message says why."""


def read_value(member: Member, text: str, written: Written) -> Any:  # noqa: ANN401 - the member makes the type
    """Return the value of one scalar; raise ``Unfit``."""
    value = _READERS[member.kind](member, text, written)
    if member.check is not None and (trouble := member.check(value)):
        raise Unfit(trouble)
    return value


def shown_value(value: object) -> object:
    """Return a value as the wire shows it: decimals by their digits, instants in UTC."""
    if isinstance(value, Decimal):
        return money.plain(value)
    return write_instant(value) if isinstance(value, datetime) else value


def _text(member: Member, text: str, written: Written) -> str:
    if written not in (Written.ANY, Written.STRING):
        raise Unfit(f'{written.value} stands where a text belongs: write "{shown(text)}"')
    if not text.strip():
        raise Unfit("must not be empty")
    if len(text) > member.chars_max:
        raise Unfit(f"must have at most {member.chars_max} characters, got {len(text)}")
    if "\0" in text or _SURROGATE.search(text):
        raise Unfit("holds a character that cannot be kept")
    return text


def _choice(member: Member, text: str, written: Written) -> str:
    text = _text(member, text, written)
    if text not in member.choices:
        raise Unfit(f"'{shown(text)}' is none of {', '.join(member.choices)}")
    return text


def _bool(_member: Member, text: str, written: Written) -> bool:
    if written in (Written.ANY, Written.BOOL) and text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    raise Unfit(f"'{shown(text)}' is neither true nor false")


def _integer(member: Member, text: str, written: Written) -> int:
    if written not in (Written.ANY, Written.NUMBER) or not _WHOLE.match(text):
        raise Unfit(f"'{shown(text)}' is not a whole number")
    number = int(text)
    if abs(number) > INTEGER_MAX:
        raise Unfit(f"'{shown(text)}' is too large")
    _within(member, number, text)
    return number


def _decimal(text: str, written: Written) -> Decimal:
    try:
        number = money.parse_decimal(text)
    except (ValueError, ArithmeticError):
        number = None
    if number is None or written is Written.BOOL:
        raise Unfit(f"'{shown(text)}' is not a number")
    if number and abs(number.adjusted()) > _EXPONENT_MAX:
        raise Unfit(f"'{shown(text)}' has too many digits")
    return number


def _price(member: Member, text: str, written: Written) -> Decimal:
    number = _decimal(text, written)
    if money.significant_digits(number) > money.PRICE_DIGITS_MAX:
        raise Unfit(f"'{shown(text)}' has more than {money.PRICE_DIGITS_MAX} significant digits")
    if money.places(number) > money.PRICE_PLACES_MAX:
        raise Unfit(f"'{shown(text)}' has more than {money.PRICE_PLACES_MAX} decimal places")
    _within(member, number, text)
    return number


def _quantity(member: Member, text: str, written: Written) -> Decimal:
    number = _decimal(text, written)
    if number and number.adjusted() >= money.QUANTITY_INTEGER_DIGITS_MAX:
        raise Unfit(f"'{shown(text)}' has more than {money.QUANTITY_INTEGER_DIGITS_MAX} digits before the point")
    if money.places(number) > money.QUANTITY_PLACES_MAX:
        raise Unfit(f"'{shown(text)}' has more than {money.QUANTITY_PLACES_MAX} decimal places")
    _within(member, number, text)
    return number


def _instant(_member: Member, text: str, written: Written) -> datetime | date:
    """Return an instant, or a bare date, whose midnight waits for a time zone."""
    if written not in (Written.ANY, Written.STRING):
        raise Unfit(f'\'{shown(text)}\' is not a time: write "2022-05-01T00:00:00Z" or "2022-05-01"')
    try:
        instant = read_instant(text)
        bare = len(text.strip()) == _DATE_CHARS and "T" not in text
        return date.fromisoformat(text.strip()) if bare else instant
    except (ValueError, OverflowError):
        raise Unfit(f"'{shown(text)}' is not a time: write 2022-05-01T00:00:00Z or 2022-05-01") from None


def _within(member: Member, number: Decimal | int, text: str) -> None:
    least, most = member.least, member.most
    if (least is not None and number < least) or (most is not None and number > most):
        raise Unfit(f"'{shown(text)}' is not {_range_words(least, most)}")


def _range_words(least: Decimal | int | None, most: Decimal | int | None) -> str:
    if least is None:
        return f"at most {most}"
    return f"at least {least}" if most is None else f"between {least} and {most}"


_READERS: dict[Kind, Callable[[Member, str, Written], Any]] = {
    Kind.TEXT: _text,
    Kind.CHOICE: _choice,
    Kind.BOOL: _bool,
    Kind.INTEGER: _integer,
    Kind.PRICE: _price,
    Kind.QUANTITY: _quantity,
    Kind.INSTANT: _instant,
    Kind.REFERENCE: _text,
    Kind.REFERENCES: _text,
}
