"""What a document is made of, whichever notation it was written in: scalars as text, lists, mappings, each with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ratemill.errors import Fault


class ScalarForm(Enum):
    """How a scalar was written; YAML and CSV leave the type to the member, JSON has said it."""

    ANY = "any"
    STRING = "a text"
    NUMBER = "a number"
    BOOL = "true or false"


@dataclass(slots=True)
class Scalar:
    """One value as its text; ``None`` is null."""

    text: str | None
    line: int
    written: ScalarForm = ScalarForm.ANY


@dataclass(slots=True)
class Items:
    """A list."""

    items: list[Node]
    line: int


@dataclass(slots=True)
class Pairs:
    """A mapping; ``twice`` are the keys that it had more than once, with their lines."""

    pairs: dict[str, Node]
    lines: dict[str, int]
    twice: list[tuple[str, int]]
    line: int

    def add(self, key: str, value: Node, line: int) -> None:
        """Take in one pair, or remember that its key came before."""
        if key in self.pairs:
            self.twice.append((key, line))
            return
        self.pairs[key] = value
        self.lines[key] = line


Node = Scalar | Items | Pairs


class Unreadable(Exception):
    """The text is no document at all; says where and why."""

    def __init__(self, message: str, line: int) -> None:
        self.message, self.line = message, line
        super().__init__(message)


@dataclass(slots=True)
class DocumentFaults:
    """Every fault found so far."""

    found: list[Fault]

    def add(self, code: int, path: str, line: int | None, message: str) -> None:
        """Note one fault."""
        self.found.append(Fault(code, message, path=path, line=line))


def plain(node: Node) -> object:
    """Return lists, dictionaries, texts, and what JSON said to be a truth value or a whole number."""
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    if isinstance(node, Pairs):
        return {key: plain(value) for key, value in node.pairs.items()}
    if node.written is ScalarForm.BOOL and node.text is not None:
        return node.text == "true"
    if node.written is ScalarForm.NUMBER and node.text is not None and node.text.lstrip("-").isdigit():
        return int(node.text)
    return node.text


_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def line_within(node: Node, path: str) -> int:
    """Return the line of what ``path`` (``[2].transforms[0].type``) leads to, as deep as it leads."""
    for step in _STEP.finditer(path):
        name, index = step.groups()
        following = _follow(node, name, int(index) if index else 0)
        if following is None:
            break
        node = following
    return node.line


def _follow(node: Node, name: str | None, index: int) -> Node | None:
    if name is not None:
        return node.pairs.get(name) if isinstance(node, Pairs) else None
    return node.items[index] if isinstance(node, Items) and index < len(node.items) else None
