r"""The filter of the lists under ``/v2/subscriptions``: ``op(field,value)``, several joined by ``:``, all must hold.

``eq(external_ref,abc):ge(created_at,2026-01-01T00:00:00Z)``. A value may stand in ``'`` or ``"``; ``\`` takes the special
meaning from the character after it.
"""

from __future__ import annotations

from ratemill.comparisons import Comparison, Operator
from ratemill.visible import shown

FILTERS_MAX = 10
FILTER_BYTES_MAX = 8 * 1024
OPERATORS = {
    "eq": Operator.EQ,
    "like": Operator.LIKE,
    "in": Operator.IN,
    "gt": Operator.GT,
    "ge": Operator.GT_EQ,
    "lt": Operator.LT,
    "le": Operator.LT_EQ,
    "is_null": Operator.IS_NULL,
}
_QUOTES = "'\""
_ENDS = ",)"
_SPECIAL = "(,):"


class SubscriptionFilterFault(ValueError):
    """Why a filter cannot be read."""


def parse(text: str) -> list[Comparison[str]]:
    """Return the comparisons of a filter; raise ``SubscriptionFilterFault``."""
    if len(text.encode(errors="replace")) > FILTER_BYTES_MAX:
        raise SubscriptionFilterFault(f"the filter has more than {FILTER_BYTES_MAX} bytes")
    reader, found = _FilterReader(text), []
    while True:
        found.append(_comparison(reader))
        if reader.is_at_end:
            break
        reader.take(":")
    if len(found) > FILTERS_MAX:
        raise SubscriptionFilterFault(f"{len(found)} comparisons, at most {FILTERS_MAX} may be joined")
    return found


def _comparison(reader: _FilterReader) -> Comparison[str]:
    operator = reader.word()
    if operator not in OPERATORS:
        raise SubscriptionFilterFault(f"'{shown(operator)}' is no operator: {', '.join(OPERATORS)}")
    reader.take("(")
    field = reader.word()
    if not field:
        raise SubscriptionFilterFault(f"{operator} names no field")
    values = []
    while reader.next_is(","):
        reader.take(",")
        values.append(reader.operand())
    reader.take(")")
    fits = {"is_null": not values, "in": bool(values)}.get(operator, len(values) == 1)
    if not fits:
        raise SubscriptionFilterFault(f"{operator}({field}) does not take {len(values)} values")
    return Comparison(field, OPERATORS[operator], tuple(values))


class _FilterReader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._text)

    def next_is(self, character: str) -> bool:
        return self._text[self._at : self._at + 1] == character

    def take(self, character: str) -> None:
        if not self.next_is(character):
            found = self._text[self._at : self._at + 1] or "the end"
            raise SubscriptionFilterFault(f"'{shown(character)}' was expected at character {self._at + 1}, not {found}")
        self._at += 1

    def word(self) -> str:
        """Return a name: letters, digits, ``_`` and ``.``."""
        start = self._at
        while not self.is_at_end and self._text[self._at] not in _SPECIAL:
            self._at += 1
        return self._text[start : self._at].strip()

    def operand(self) -> str:
        """Return a value, quoted or not; blanks round it belong to it only inside quotes."""
        while self.next_is(" "):
            self._at += 1
        quote = self._text[self._at : self._at + 1]
        if quote and quote in _QUOTES:
            self._at += 1
            value = self._until(quote)
            self.take(quote)
            while self.next_is(" "):
                self._at += 1
            return value
        return self._until(_ENDS).strip()

    def _until(self, ends: str) -> str:
        parts: list[str] = []
        while not self.is_at_end:
            character = self._text[self._at]
            if character in ends:
                return "".join(parts)
            if character == "\\":
                self._at += 1
                character = self._text[self._at : self._at + 1]
            parts.append(character)
            self._at += 1
        raise SubscriptionFilterFault(f"the filter ends where {' or '.join(ends)} was expected")
