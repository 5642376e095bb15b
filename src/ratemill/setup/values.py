"""Text to value and back: what each kind of member takes, what it says about what it does not take, how it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ratemill import money
from ratemill.periods import read_instant, write_instant
from ratemill.setup.declaration import Member, MemberKind
from ratemill.setup.nodes import ScalarForm
from ratemill.texts import is_storable
from ratemill.visible import shown

INTEGER_MAX = 2_147_483_647
_EXPONENT_MAX = 40  # beyond this no number fits any limit, and it is not worth writing out
_WHOLE = re.compile(r"[+-]?\d{1,12}\Z", re.ASCII)
_DATE_CHARS = len("2022-05-01")
_TRUTHS = {"true": True, "false": False}


class InvalidValue(ValueError):
    """The text does not fit the member; the message says why."""


def read_value(member: Member, text: str, written: ScalarForm) -> Any:  # noqa: ANN401 - the member makes the type
    """Return the value of one scalar; raise ``InvalidValue``."""
    value = _READERS[member.kind](member, text, written)
    if member.check is not None and (trouble := member.check(value)):
        raise InvalidValue(trouble)
    return value


def shown_value(value: object) -> object:
    """Return a value as the wire shows it: decimals by their digits, instants in UTC."""
    if isinstance(value, Decimal):
        return money.plain(value)
    return write_instant(value) if isinstance(value, datetime) else value


def _text(member: Member, text: str, written: ScalarForm) -> str:
    if written not in (ScalarForm.ANY, ScalarForm.STRING):
        raise InvalidValue(f'{written.value} stands where a text belongs: write "{shown(text)}"')
    if not text.strip():
        raise InvalidValue("must not be empty")
    if len(text) > member.chars_max:
        raise InvalidValue(f"must have at most {member.chars_max} characters, got {len(text)}")
    if not is_storable(text):
        raise InvalidValue("holds a character that cannot be kept")
    return text


def _choice(member: Member, text: str, written: ScalarForm) -> str:
    text = _text(member, text, written)
    if text not in member.choices:
        raise InvalidValue(f"'{shown(text)}' is none of {', '.join(member.choices)}")
    return text


def _bool(_member: Member, text: str, written: ScalarForm) -> bool:
    if written in (ScalarForm.ANY, ScalarForm.BOOL) and text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    raise InvalidValue(f"'{shown(text)}' is neither true nor false")


def _integer(member: Member, text: str, written: ScalarForm) -> int:
    if written not in (ScalarForm.ANY, ScalarForm.NUMBER) or not _WHOLE.match(text):
        raise InvalidValue(f"'{shown(text)}' is not a whole number")
    number = int(text)
    if abs(number) > INTEGER_MAX:
        raise InvalidValue(f"'{shown(text)}' is too large")
    _within(member, number, text)
    return number


def _decimal(text: str, written: ScalarForm) -> Decimal:
    try:
        number = money.parse_decimal(text)
    except (ValueError, ArithmeticError):
        number = None
    if number is None or written is ScalarForm.BOOL:
        raise InvalidValue(f"'{shown(text)}' is not a number")
    if number and abs(number.adjusted()) > _EXPONENT_MAX:
        raise InvalidValue(f"'{shown(text)}' has too many digits")
    return number


def _price(member: Member, text: str, written: ScalarForm) -> Decimal:
    number = _decimal(text, written)
    if money.significant_digits(number) > money.PRICE_DIGITS_MAX:
        raise InvalidValue(f"'{shown(text)}' has more than {money.PRICE_DIGITS_MAX} significant digits")
    if money.places(number) > money.PRICE_PLACES_MAX:
        raise InvalidValue(f"'{shown(text)}' has more than {money.PRICE_PLACES_MAX} decimal places")
    _within(member, number, text)
    return number


def _quantity(member: Member, text: str, written: ScalarForm) -> Decimal:
    number = _decimal(text, written)
    if number and number.adjusted() >= money.QUANTITY_INTEGER_DIGITS_MAX:
        raise InvalidValue(f"'{shown(text)}' has more than {money.QUANTITY_INTEGER_DIGITS_MAX} digits before the point")
    if money.places(number) > money.QUANTITY_PLACES_MAX:
        raise InvalidValue(f"'{shown(text)}' has more than {money.QUANTITY_PLACES_MAX} decimal places")
    _within(member, number, text)
    return number


def _instant(_member: Member, text: str, written: ScalarForm) -> datetime | date:
    """Return an instant, or a bare date, whose midnight waits for a time zone."""
    if written not in (ScalarForm.ANY, ScalarForm.STRING):
        raise InvalidValue(f'\'{shown(text)}\' is not a time: write "2022-05-01T00:00:00Z" or "2022-05-01"')
    try:
        instant = read_instant(text)
        bare = len(text.strip()) == _DATE_CHARS and "T" not in text
        return date.fromisoformat(text.strip()) if bare else instant
    except (ValueError, OverflowError):
        raise InvalidValue(f"'{shown(text)}' is not a time: write 2022-05-01T00:00:00Z or 2022-05-01") from None


def _within(member: Member, number: Decimal | int, text: str) -> None:
    least, most = member.least, member.most
    if (least is not None and number < least) or (most is not None and number > most):
        raise InvalidValue(f"'{shown(text)}' is not {_range_words(least, most)}")


def _range_words(least: Decimal | int | None, most: Decimal | int | None) -> str:
    if least is None:
        return f"at most {most}"
    return f"at least {least}" if most is None else f"between {least} and {most}"


_READERS: dict[MemberKind, Callable[[Member, str, ScalarForm], Any]] = {
    MemberKind.TEXT: _text,
    MemberKind.CHOICE: _choice,
    MemberKind.BOOL: _bool,
    MemberKind.INTEGER: _integer,
    MemberKind.PRICE: _price,
    MemberKind.QUANTITY: _quantity,
    MemberKind.INSTANT: _instant,
    MemberKind.REFERENCE: _text,
    MemberKind.REFERENCES: _text,
}
