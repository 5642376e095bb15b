"""How deeply a text nests objects and lists, found without parsing it: before any parser can run out of stack.

A parser calls itself for each level. One written in C ends the process where its stack ends, so the levels are counted
first, and by no recursion. Elements of a body's list that nest too deeply are set aside first: the others are read as usual.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from uuid import uuid4

from ratemill.texts import without_nul

NESTING_MAX = 100
"""Levels of objects and lists in a document: far below what any parser's stack holds. People and programs write ten."""

TOO_DEEP = f"nested too deeply: at most {NESTING_MAX} levels of objects and lists are allowed"

_CHUNK_BYTES = 64 * 1024  # what is held besides the text
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: one level down, one level up
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_OUTER = [b"{", b"["]  # the body and its list
_ELEMENT_LEVEL = len(_OUTER) + 1
MARKS_MAX = 1_000_000  # take half a second


def is_too_deep(text: bytes | str, levels_max: int = NESTING_MAX) -> bool:
    """Return whether a JSON text nests deeper than ``levels_max``; brackets inside strings do not count.

    Takes a second for 16 MB of brackets, and microseconds for a text that has few. The text need not be valid JSON.
    """
    if isinstance(text, str):
        if text.count("[") + text.count("{") <= levels_max:
            return False
        text = text.encode(errors="replace")
    if text.count(b"[") + text.count(b"{") <= levels_max:
        return False
    level = 0
    for steps in _steps(text):
        levels = list(accumulate(steps, initial=level))
        if max(levels) > levels_max:
            return True
        level = levels[-1]
    return False


def _steps(text: bytes) -> Iterator[array[int]]:
    """Yield the brackets outside strings, 1 for one that opens and -1 for one that closes."""
    is_inside = False
    for chunk in _chunks(text):
        bare = _ESCAPE.sub(b"", chunk) if b"\\" in chunk else chunk
        # An empty pair of quotes changes nothing about what is inside a string.
        parts = bare.translate(None, _OTHERS).replace(b'""', b"").split(b'"')
        yield array("b", b"".join(parts[is_inside::2]).translate(_STEPS))
        is_inside ^= len(parts) % 2 == 0


def _chunks(text: bytes) -> Iterator[bytes]:
    """Yield the text in chunks, none of which ends between a backslash and what it escapes."""
    at = 0
    while at < len(text):
        chunk = text[at : at + _CHUNK_BYTES]
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:
            chunk = text[at : at + _CHUNK_BYTES + 1]
        yield chunk
        at += len(chunk)


# Bodies whose elements nest too deeply


@dataclass(frozen=True, slots=True)
class ShortenedBody:
    """A body whose deep elements are replaced by small objects, and the texts of these elements by what replaces them."""

    body: bytes
    elements: dict[str, str]

    def restored(self, texts: list[str]) -> list[str]:
        """Return elements of the shortened body, the deep ones as they were sent."""
        return [self.elements.get(text, text) for text in texts]


def shortened(body: bytes) -> ShortenedBody:
    """Return a body without the objects of its list by which it nests too deeply.

    What is set aside is not checked to be JSON: mediation counts its levels before it parses it. Nothing is set aside
    of a body with more than ``MARKS_MAX`` quotes and brackets.
    """
    if sum(map(body.count, (b'"', b"[", b"{"))) > MARKS_MAX:
        return ShortenedBody(body, {})
    name = uuid4().hex
    parts: list[bytes] = []
    elements: dict[str, str] = {}
    outer: list[bytes] = []
    level = deepest = begin = written = 0
    is_object = False
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in {b"[", b"{"}:
            level += 1
            deepest = max(deepest, level)
            if level < _ELEMENT_LEVEL:
                outer[level - 1 :] = [mark]
            elif level == _ELEMENT_LEVEL:
                begin, deepest = token.start(), level
                is_object = mark == b"{" and outer == _OUTER
        elif mark in {b"]", b"}"}:
            if level == _ELEMENT_LEVEL and is_object and deepest > NESTING_MAX:
                instead = f'{{"{name}":{len(elements)}}}'
                elements[instead] = without_nul(body[begin : token.end()].decode(errors="replace"))
                parts += [body[written:begin], instead.encode()]
                written = token.end()
            level -= 1
    return ShortenedBody(b"".join([*parts, body[written:]]), elements)
