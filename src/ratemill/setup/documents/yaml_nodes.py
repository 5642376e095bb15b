"""YAML to nodes: read event by event, never constructed, so that every scalar stays the text that was written.

The levels and what aliases add are counted as they come, by no recursion: a parser that calls itself for each level would
end the process where its stack ends, and a few aliases of aliases stand for more values than any memory holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import yaml

from ratemill.nesting import NESTING_MAX
from ratemill.setup.nodes import Items, Node, Pairs, Scalar, Unreadable
from ratemill.visible import shown

ALIAS_NODES_MAX = 1_000_000
"""Values that the aliases of one document stand for, in total."""
NULLS = {"", "~", "null", "Null", "NULL"}
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_yaml(text: str) -> Node:
    """Return the one document in ``text``; raise ``Unreadable`` if it is none."""
    try:
        return _Composer().compose(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(f"this is not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise Unreadable(f"this is not YAML: {error}".splitlines()[0], 1) from error


@dataclass(slots=True)
class _Anchor:
    """A value that aliases may name: how many values it is, its levels, and whether its end has been read."""

    node: Node
    size: int = 1
    levels: int = 0
    is_whole: bool = False


@dataclass(slots=True)
class _Level:
    """A list or a mapping that has begun: what it holds so far, and how a value joins it."""

    anchored: _Anchor
    add: Callable[[Node], None]
    keys: _Keys | None = None


@dataclass(slots=True)
class _Keys:
    """A mapping's keys and values, which come in turns."""

    pairs: Pairs
    key: Scalar | None = None

    def add(self, node: Node) -> None:
        """Take a key, or the value of the key before it."""
        if self.key is not None:
            self.pairs.add(self.key.text or "", node, self.key.line)
            self.key = None
        elif isinstance(node, Scalar):
            self.key = node
        else:
            raise Unreadable("a key must be a text", node.line)


@dataclass(slots=True)
class _Composer:
    """Makes nodes of events."""

    open: list[_Level] = field(default_factory=list)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    alias_nodes: int = 0
    root: Node | None = None

    def compose(self, events: Iterator[yaml.Event]) -> Node:
        """Return the node of the one document."""
        documents = 0
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor, line)
            elif isinstance(event, yaml.SequenceStartEvent):
                items = Items([], line)
                self._begin(event, _Level(_Anchor(items), items.items.append), line)
            elif isinstance(event, yaml.MappingStartEvent):
                keys = _Keys(Pairs({}, {}, [], line))
                self._begin(event, _Level(_Anchor(keys.pairs), keys.add, keys), line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable("this is not YAML: expected a single document in the stream", line)
        return self.root or Scalar(None, 1)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        is_key = bool(self.open) and self.open[-1].keys is not None and self.open[-1].keys.key is None
        is_null = not is_key and not event.style and event.value in NULLS
        anchored = _Anchor(Scalar(None if is_null else event.value, line), is_whole=True)
        if event.anchor:
            self.anchors[event.anchor] = anchored
        self._put(anchored)

    def _begin(self, event: yaml.CollectionStartEvent, level: _Level, line: int) -> None:
        if len(self.open) == NESTING_MAX:
            _too_deep(line)
        if event.anchor:
            self.anchors[event.anchor] = level.anchored
        self.open.append(level)

    def _end(self) -> None:
        ended = self.open.pop().anchored
        ended.is_whole = True
        ended.levels += 1
        self._put(ended)

    def _alias(self, name: str | None, line: int) -> None:
        named = self.anchors.get(name or "")
        if named is None:
            raise Unreadable(f"this is not YAML: found undefined alias '{shown(name)}'", line)
        if not named.is_whole:
            raise Unreadable("an alias stands inside what it names", line)
        if len(self.open) + named.levels > NESTING_MAX:
            _too_deep(line)
        self.alias_nodes += named.size
        if self.alias_nodes > ALIAS_NODES_MAX:
            message = f"the aliases stand for more than {ALIAS_NODES_MAX:,} values; write fewer aliases of aliases"
            raise Unreadable(message, line)
        self._put(named)

    def _put(self, anchored: _Anchor) -> None:
        """Let a value that is whole join what is open."""
        if not self.open:
            self.root = anchored.node
            return
        level = self.open[-1]
        level.add(anchored.node)
        level.anchored.size += anchored.size
        level.anchored.levels = max(level.anchored.levels, anchored.levels)


def _too_deep(line: int) -> None:
    raise Unreadable(f"nested too deeply: at most {NESTING_MAX} levels of lists and mappings are allowed", line)
