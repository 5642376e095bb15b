"""Which texts can be stored and written: those without a NUL and without half of a surrogate pair.

The database stores no NUL, and UTF-8 has no half of a surrogate pair. A text with either is refused where it enters, in the
words of its dialect. Where it is only shown or searched for, a replacement takes its place.
"""

from __future__ import annotations

import re

NUL = "\0"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HALF = re.compile("[\ud800-\udfff]")


def is_writable(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str, chars_max: int | None = None) -> bool:
    """Return whether the database can store a text, in ``chars_max`` characters if that is given."""
    return NUL not in text and is_writable(text) and (chars_max is None or len(text) <= chars_max)


def writable(text: str) -> str:
    """Return a text that may repeat what was sent, with a question mark for half a surrogate pair."""
    return text.encode(errors="replace").decode()


def readable(text: str) -> str:
    """Return a text with a replacement for each half of a surrogate pair; it is the same text if there is none."""
    return text if text.isascii() else _HALF.sub(REPLACEMENT, text)


def without_nul(text: str) -> str:
    """Return a text with a replacement for each NUL: no text that is stored has one, so a search finds nothing."""
    return text.replace(NUL, REPLACEMENT)


def storable(text: str) -> str:
    """Return a text that the database can store, or search for, in the place of any other."""
    return without_nul(writable(text))
