"""Elements of a body's list that nest too deeply, set aside before any parser follows them: the others are read as usual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

from ratemill.nesting import NESTING_MAX

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_OUTER = [b"{", b"["]  # the body and its list
_ELEMENT_LEVEL = len(_OUTER) + 1
MARKS_MAX = 1_000_000  # take half a second


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
                elements[instead] = body[begin : token.end()].decode(errors="replace").replace("\0", "\ufffd")
                parts += [body[written:begin], instead.encode()]
                written = token.end()
            level -= 1
    return ShortenedBody(b"".join([*parts, body[written:]]), elements)
