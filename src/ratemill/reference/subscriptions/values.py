"""The forms of values in subscription objects: each says what is wrong with a value, and nothing where all is well.

A form takes the value and where it stands (``name``, ``products[0].price.USD.amount``). Messages repeat no value of which
the form does not say that it is harmless: ids of payments stand in no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from ratemill.money import decimal_within
from ratemill.periods import read_instant
from ratemill.reference.currencies import CODES
from ratemill.reference.json_text import Number, Value
from ratemill.reference.subscriptions.lines import EXTERNAL_REF_CHARS_MAX, shown, value_kind
from ratemill.texts import NUL

Form: TypeAlias = "Callable[[Value, str], Sequence[str]]"

TEXT_CHARS_MAX = 1_024
NAME_CHARS_MIN = 3
CURRENCIES_MAX = 10
_INT64_MAX = 2**63 - 1

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_WHOLE = re.compile(r"-?[0-9]{1,19}\Z")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?\Z", re.ASCII | re.IGNORECASE)


def text(chars_min: int = 0, chars_max: int = TEXT_CHARS_MAX) -> Form:
    """Return the form of a text of so many characters."""
    span = f"{chars_min} to {chars_max}" if chars_min else f"at most {chars_max}"

    def check(value: Value, at: str) -> Sequence[str]:
        if type(value) is not str:
            return (f'"{at}" must be a text, not {value_kind(value)}',)
        if not chars_min <= len(value) <= chars_max:
            return (f'"{at}" must be {span} characters long, not {len(value)}',)
        return (f'"{at}" holds the character U+0000',) if NUL in value else ()

    return check


def _like(pattern: re.Pattern[str], what: str, of_length: Form) -> Form:
    def check(value: Value, at: str) -> Sequence[str]:
        wrong = of_length(value, at)
        if wrong or (type(value) is str and pattern.match(value)):
            return wrong
        return (f'"{at}" must be {what}, not {shown(value)}',)

    return check


def one_of(*values: str) -> Form:
    """Return the form of a text that is one of some."""

    def check(value: Value, at: str) -> Sequence[str]:
        if type(value) is str and value in values:
            return ()
        return (f'"{at}" must be one of {", ".join(values)}, not {shown(value)}',)

    return check


def whole(least: int, most: int = _INT64_MAX) -> Form:
    """Return the form of a whole number, written without point or exponent."""

    def check(value: Value, at: str) -> Sequence[str]:
        if not isinstance(value, Number) or not _WHOLE.match(value):
            return (f'"{at}" must be a whole number, not {shown(value)}',)
        if least <= int(value) <= most:
            return ()
        bound = f"{least} or more" if int(value) < least else f"at most {most}"
        return (f'"{at}" must be {bound}, not {value}',)

    return check


def boolean(value: Value, at: str) -> Sequence[str]:
    """Check true or false."""
    return () if isinstance(value, bool) else (f'"{at}" must be true or false, not {shown(value)}',)


def percentage(value: Value, at: str) -> Sequence[str]:
    """Check a number from 0 to 100."""
    number = decimal_within(value) if isinstance(value, Number) else None
    if number is not None and Decimal(0) <= number <= Decimal(100):
        return ()
    return (f'"{at}" must be a number from 0 to 100, not {shown(value)}',)


def currency(value: Value, at: str) -> Sequence[str]:
    """Check a currency of ISO 4217."""
    if type(value) is str and value in CODES:
        return ()
    return (f'"{at}" must be a currency code of ISO 4217 in capital letters, not {shown(value)}',)


def date_time(value: Value, at: str) -> Sequence[str]:
    """Check an instant such as ``2026-10-01T00:00:00Z``."""
    if type(value) is str and instant_of(value) is not None:
        return ()
    return (f'"{at}" must be a date and time such as 2026-10-01T00:00:00Z, not {shown(value)}',)


def instant_of(value: Value) -> datetime | None:
    """Return the instant that a date-time names; without a zone it is UTC."""
    if type(value) is not str or not _DATE_TIME.match(value):
        return None
    try:
        return read_instant(value.upper())
    except (ValueError, OverflowError):
        return None


def is_uuid(value: Value) -> bool:
    """Return whether a value is the text of a UUID."""
    return type(value) is str and _UUID.match(value) is not None


def price(value: Value, at: str) -> Sequence[str]:
    """Check amounts by currency: ``{"USD": {"amount": 1299, "includes_tax": false}}``, in the smallest unit."""
    if not isinstance(value, dict):
        return (f'"{at}" must be an object of amounts by currency, not {value_kind(value)}',)
    found: list[str] = []
    if len(value) > CURRENCIES_MAX:
        found.append(f'"{at}" may hold up to {CURRENCIES_MAX} currencies, not {len(value)}')
    for code, each in value.items():
        if not _CURRENCY.match(code):
            found.append(f'"{at}" holds {shown(code)}, which is no currency code such as USD')
        else:
            found += _amount(each, f"{at}.{code}")
    return found


def _amount(value: Value, at: str) -> Iterable[str]:
    return members(value, at, (("amount", _AMOUNT, True), ("includes_tax", boolean, False)))


def price_units(value: Value, at: str) -> Sequence[str]:
    """Check what a price is for: ``{"unit": "month", "amount": 1}``."""
    return members(value, at, (("unit", _UNIT, True), ("amount", _COUNT, True)))


def payment_authority(value: Value, at: str) -> Sequence[str]:
    """Check who takes payments, and under which ids."""
    found = members(value, at, (("type", _AUTHORITY, True),))
    if isinstance(value, dict):
        for name in _AUTHORITIES.get(str(value.get("type")), ()):
            if value.get(name) is not None:
                found += _NAME(value[name], f"{at}.{name}")
    return found


def members(value: Value, at: str, rules: Iterable[tuple[str, Form, bool]]) -> list[str]:
    """Check the members of an object; each rule is a name, a form, and whether the member must be there."""
    if not isinstance(value, dict):
        return [f'"{at}" must be an object, not {value_kind(value)}']
    found: list[str] = []
    for name, form, required in rules:
        member = value.get(name)
        if member is not None:
            found += form(member, f"{at}.{name}")
        elif required:
            found.append(f'"{at}.{name}" is required')
    return found


name = text(NAME_CHARS_MIN)
external_ref = text(chars_max=EXTERNAL_REF_CHARS_MAX)
uuid = _like(_UUID, "a UUID", text(chars_max=EXTERNAL_REF_CHARS_MAX))
uri = _like(_URI, "a URI", text())
email = _like(_EMAIL, "an e-mail address", name)

_NAME = name
_AMOUNT = whole(-_INT64_MAX - 1)
_COUNT = whole(1)
_UNIT = one_of("day", "month")
_AUTHORITIES = {
    "elastic_path_payments_stripe": ("customer_id", "card_id"),
    "authorize_net": ("customer_profile_id", "payment_profile_id"),
}
_AUTHORITY = one_of(*_AUTHORITIES)
