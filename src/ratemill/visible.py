r"""How text from outside is shown: on one line, with every invisible character spelled out, and cut where it is long.

A name, a row or an answer may hold what a terminal obeys (escape sequences, a carriage return) or what a reader cannot see
(zero-width and direction marks). What is stored stays as it came; only what is shown is changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

SHOWN_CHARS_MAX = 100
"""Characters of one value that a message repeats."""

# Drawn as nothing or as a blank, though Unicode counts them as letters, marks or symbols.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def escape_invisible(text: str, escape: Callable[[str], str]) -> str:
    """Return ``text`` with ``escape`` in the place of each invisible character, a line break included."""
    if text.isascii() and text.isprintable():
        return text
    if not text.isprintable():
        text = "".join(c if c.isprintable() else escape(c) for c in text)
    return _BLANK.sub(lambda match: escape(match[0]), text)


def visible(text: str) -> str:
    r"""Return ``text`` on one line, each invisible character spelled out as Python writes it: ``\x1b``, ``\u202e``."""
    return escape_invisible(text, _python_escape)


def visible_lines(text: str) -> str:
    """Return ``text`` as ``visible`` does, its line breaks kept: for text of ours that has several lines."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """Return JSON text, its line breaks kept and each invisible character in it escaped as JSON does: the value stays."""
    return "\n".join(escape_invisible(line, _json_escape) for line in text.split("\n"))


def _python_escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    code = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[at : at + 4]}" for at in range(0, len(code), 4))


def shown(value: object, chars_max: int = SHOWN_CHARS_MAX) -> str:
    """Return a value as a message repeats it: visible, and cut after ``chars_max`` characters, with its length."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= chars_max:
        return visible(text)
    return f"{visible(text[:chars_max])}… ({len(text)} characters)"
