"""JSON to nodes: with lines, with duplicate keys seen, numbers as their digits, and each scalar's type as it was written."""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from ratemill.nesting import NESTING_MAX, TOO_DEEP
from ratemill.setup.nodes import Items, Node, Pairs, Scalar, ScalarForm, Unreadable
from ratemill.visible import shown

_STRINGS = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z_.+-])")
_WORD = re.compile(r"(true|false|null)\b")


def looks_like_json(text: str) -> bool:
    """Whether the text begins as a JSON object with a quoted key does; YAML may too, and is tried where JSON fails."""
    return re.match(r'[ \t\r\n]*\{[ \t\r\n]*["}]', text) is not None


def read_json(text: str) -> Node:
    """Return the nodes of a JSON text; raise ``Unreadable`` if it is none."""
    reader = _JsonReader(text)
    node, end = reader.value(reader.skip(0), 0)
    end = reader.skip(end)
    if end != len(text):
        raise reader.unreadable("something follows the end of the document", end)
    return node


class _JsonReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, at: int) -> int:
        return bisect_right(self._starts, at)

    def skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def unreadable(self, message: str, at: int) -> Unreadable:
        return Unreadable(f"this is not JSON: {message}", self.line(at))

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        first = self.text[at : at + 1]
        if depth == NESTING_MAX and first in {"{", "["}:
            raise Unreadable(TOO_DEEP, self.line(at))
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        if first == '"':
            string, end = self._string(at)
            return Scalar(string, self.line(at), ScalarForm.STRING), end
        return self._bare(at)

    def _bare(self, at: int) -> tuple[Node, int]:
        if word := _WORD.match(self.text, at):
            text = word.group()
            return Scalar(None if text == "null" else text, self.line(at), ScalarForm.BOOL), word.end()
        if number := _NUMBER.match(self.text, at):
            return Scalar(number.group(), self.line(at), ScalarForm.NUMBER), number.end()
        raise self.unreadable("a value is expected here", at)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            string, end = _STRINGS.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self.unreadable(error.msg, error.pos) from error
        return str(string), end

    def _object(self, at: int, depth: int) -> tuple[Node, int]:
        pairs = Pairs({}, {}, [], self.line(at))
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "}":
            return pairs, at + 1
        while True:
            if self.text[at : at + 1] != '"':
                raise self.unreadable("a key in double quotes is expected here", at)
            line = self.line(at)
            key, at = self._string(at)
            at = self._expect(":", self.skip(at))
            value, at = self.value(self.skip(at), depth + 1)
            pairs.add(key, value, line)
            at = self.skip(at)
            if self.text[at : at + 1] == "}":
                return pairs, at + 1
            at = self.skip(self._expect(",", at))

    def _array(self, at: int, depth: int) -> tuple[Node, int]:
        items = Items([], self.line(at))
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "]":
            return items, at + 1
        while True:
            value, at = self.value(at, depth + 1)
            items.items.append(value)
            at = self.skip(at)
            if self.text[at : at + 1] == "]":
                return items, at + 1
            at = self.skip(self._expect(",", at))

    def _expect(self, character: str, at: int) -> int:
        if self.text[at : at + 1] != character:
            raise self.unreadable(f"'{shown(character)}' is expected here", at)
        return at + 1
