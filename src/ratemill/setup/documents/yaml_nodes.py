"""YAML to nodes: composed, never constructed, so that every scalar stays the text that was written."""

from __future__ import annotations

import yaml

from ratemill.setup.documents.nodes import Items, Node, Pairs, Scalar, Unreadable

NODES_MAX = 20_000_000  # nodes of one document with its aliases followed: an alias of aliases grows without bound
NULLS = {"", "~", "null", "Null", "NULL"}
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_yaml(text: str) -> Node:
    """Return the one document in ``text``; raise ``Unreadable`` if it is none."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(f"this is not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Unreadable(f"this is not YAML: {error}".splitlines()[0], 1) from error
    if root is None:
        return Scalar(None, 1)
    return _Converter().convert(root)


class _Converter:
    def __init__(self) -> None:
        self._count = 0
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        line = node.start_mark.line + 1
        self._count += 1
        if self._count > NODES_MAX:
            raise Unreadable(f"the document has more than {NODES_MAX} values", line)
        if isinstance(node, yaml.ScalarNode):
            return Scalar(None if not node.style and node.value in NULLS else node.value, line)
        if id(node) in self._open:
            raise Unreadable("an alias stands inside what it names", line)
        self._open.add(id(node))
        converted = self._items(node, line) if isinstance(node, yaml.SequenceNode) else self._pairs(node, line)
        self._open.discard(id(node))
        return converted

    def _items(self, node: yaml.SequenceNode, line: int) -> Items:
        return Items([self.convert(item) for item in node.value], line)

    def _pairs(self, node: yaml.Node, line: int) -> Pairs:
        pairs = Pairs({}, {}, [], line)
        for key, value in node.value:
            key_line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise Unreadable("a key must be a text", key_line)
            pairs.add(key.value, self.convert(value), key_line)
        return pairs
