"""What a set-up object is, said once: reading, checking, writing, export and the reference page all follow it.

A ``SetupObject`` names its list in the document, its HTTP path, its table and its members. A ``Member`` has the name that
the wire uses, the column that keeps it, and a kind that makes the type of what was written as text. A reference is made by
name in the member ``…Name``; ``Member.id_name`` is the one that may stand instead over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any

from ratemill.money import AMOUNT_PLACES_MAX
from ratemill.setup.nodes import Node, line_within
from ratemill.setup.world import Row, World

NAME_CHARS_MAX = 255  # characters of a name or another key: an index entry must hold several
TEXT_CHARS_MAX = 4_000  # characters of any other text


class MemberKind(Enum):
    """How a member is written and what it becomes."""

    TEXT = "text"
    INTEGER = "whole number"
    BOOL = "true or false"
    CHOICE = "choice"
    PRICE = "price"
    QUANTITY = "quantity"
    INSTANT = "time"
    REFERENCE = "name of another object"
    REFERENCES = "names of other objects"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Link:
    """The table that keeps a list of references in its order."""

    table: str
    parent: str
    child: str


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a set-up object.

    ``target`` is the list that a reference points to, ``within`` the column of the same entry that the target's key begins
    with (a service belongs to an account). A ``virtual`` member helps to find something and has no column of its own. An
    ``inner`` member is kept inside the object's document column. A ``frozen`` one cannot change after creation. A ``parent``
    is the object that this one is a part of.
    """

    name: str
    column: str
    kind: MemberKind = MemberKind.TEXT
    required: bool = False
    default: Any = None
    default_words: str = ""
    choices: tuple[str, ...] = ()
    target: str = ""
    within: str = ""
    link: Link | None = None
    frozen: bool = False
    parent: bool = False
    virtual: bool = False
    inner: bool = False
    least: Decimal | int | None = None
    most: Decimal | int | None = None
    check: Callable[[Any], str | None] | None = None
    chars_max: int = TEXT_CHARS_MAX

    @property
    def is_reference(self) -> bool:
        """Whether it points to another object or to several."""
        return self.kind in (MemberKind.REFERENCE, MemberKind.REFERENCES)

    @property
    def id_name(self) -> str:
        """Return the member that may stand instead over HTTP: ``usageClassId`` for ``usageClassName``."""
        if not self.is_reference:
            return ""
        stem, ending = (self.name[:-5], "Ids") if self.name.endswith("Names") else (self.name[:-4], "Id")
        return stem + ending


class Identity(int):
    """What was written in a reference's ``…Id`` member, and not yet looked up; a name is a text."""


Finding = tuple["Entry", str, str]  # the entry at fault, the member (or "" for the whole), the message


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of one entry: what it says is wrong, if all the columns that it reads could be read."""

    reads: tuple[str, ...]
    check: Callable[[Entry, World], Iterable[tuple[str, str]]]


@dataclass(frozen=True, eq=False)
class SetupObject:
    """One kind of set-up object.

    ``key`` are the columns that tell two of them apart; ``lookup`` those by which stored ones are read for a document (a
    rule may need neighbours of the key; none means all). ``list_rules`` look at all entries of the list together,
    ``warnings`` at what is allowed and likely a mistake. A ``read_only`` one is made by the product alone. The details of
    one with ``detail_first`` are those of its first child, the others beside it. ``finish`` may alter the row of
    an entry whose members could all be read, before the rules. Each document of a ``versioned`` one is kept.
    A ``singular`` one is there once for every owner: it is neither made nor deleted, and no list of a document. ``keyless``
    is what the one is called that has none of the members of its key.
    """

    list_name: str
    path: str
    dto_type_key: str
    noun: str
    table: str
    identity: str
    members: tuple[Member, ...]
    key: tuple[str, ...] = ("name",)
    lookup: tuple[str, ...] = ("name",)
    rules: tuple[Rule, ...] = ()
    list_rules: tuple[Callable[[list[Entry], World], Iterable[Finding]], ...] = ()
    warnings: tuple[Callable[[list[Entry], World], Iterable[Finding]], ...] = ()
    zone: Callable[[Entry, World], str] | None = None
    document: str = ""
    finish: Callable[[Entry, World], Iterable[tuple[str, str]]] | None = None
    owned: bool = True
    read_only: bool = False
    detail_first: bool = False
    versioned: bool = False
    singular: bool = False
    keyless: str = ""

    def member(self, name: str) -> Member | None:
        """Return the member of that wire name."""
        return self._by_name.get(name)

    def by_column(self, column: str) -> Member:
        """Return the member that a column keeps."""
        return self._by_column[column]

    @cached_property
    def a_noun(self) -> str:
        """One of them, in words: ``an account``, ``a usage class``."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @cached_property
    def nouns(self) -> str:
        """Several of them, in words: ``rows of a bucket base``, ``base units``."""
        one, of, whole = self.noun.partition(" of ")
        ending = "ies" if one.endswith("y") else "es" if one.endswith("s") else "s"
        return f"{one.removesuffix('y') if ending == 'ies' else one}{ending}{of}{whole}"

    @cached_property
    def _by_name(self) -> dict[str, Member]:
        return {member.name: member for member in self.members}

    @cached_property
    def _by_column(self) -> dict[str, Member]:
        return {member.column: member for member in self.members}

    @cached_property
    def key_members(self) -> tuple[Member, ...]:
        """The members of the key."""
        return tuple(self.by_column(column) for column in self.key)

    @cached_property
    def name_column(self) -> str | None:
        """The column that another object's ``…Name`` shows; None if only an identity tells them apart."""
        if "name" in self._by_column:
            return "name"
        return next((key_member.column for key_member in self.key_members if key_member.kind is MemberKind.TEXT), None)

    @cached_property
    def references(self) -> tuple[Member, ...]:
        """The members that point to other objects."""
        return tuple(member for member in self.members if member.is_reference)

    @cached_property
    def required(self) -> tuple[Member, ...]:
        """The members without which no object is made; those of a document are for its own reader to ask for."""
        return tuple(member for member in self.members if member.required and not member.inner)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of its own table, without identity, owner and revision."""
        own = [m.column for m in self.members if not (m.virtual or m.link or m.inner)]
        return tuple(own + ([self.document] if self.document else []))


# Most of many entries have nothing wrong: they share this.
NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Entry:
    """One object as a document names it.

    ``given`` are the values by column, of what was named; ``bad`` the columns of what could not be read or found; ``row``
    is the whole object as it will be, ``stored`` as it was (None: it will be made). ``file`` and ``index`` place it, or
    ``place`` does. An ``addressed`` one is the stored object of that identity, whatever its key; a ``fresh`` one must not
    be there yet.
    """

    object: SetupObject
    index: int
    line: int
    file: str = ""
    given: Row = field(default_factory=dict)
    bad: frozenset[str] = NOTHING
    lines: dict[str, int] | None = None
    nodes: dict[str, Node] | None = None
    stored: Row | None = None
    row: Row = field(default_factory=dict)
    changes: frozenset[str] = NOTHING
    identity: int = 0
    addressed: int = 0
    fresh: bool = False
    place: str = ""

    def current(self, column: str) -> Any:  # noqa: ANN401 - the member makes the type
        """Return what a column will hold as far as it is known: what was named, else what is stored."""
        if column in self.given:
            return self.given[column]
        return None if self.stored is None else self.stored.get(column)

    def key_of(self, columns: tuple[str, ...]) -> tuple[Any, ...]:
        """Return what some columns will hold, each as ``current`` says."""
        if self.stored is None:
            return tuple([self.given.get(column) for column in columns])
        return tuple([self.current(column) for column in columns])

    def path(self, member: str = "") -> str:
        """Return where a member of this entry stands: ``usageRates[0].amount``, ``rates.csv:17.amount``."""
        place = self.place or (f"{self.file}:{self.line}" if self.file else f"{self.object.list_name}[{self.index}]")
        return f"{place}.{member}" if member else place

    def line_of(self, member: str) -> int:
        """Return the line of a member, or of what is inside it, as far as it is known."""
        first = member.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
        node = (self.nodes or {}).get(first)
        if node is not None and member != first:
            return line_within(node, member[len(first) :])
        return (self.lines or {}).get(first, self.line)


def name_member(name: str = "name", column: str = "name") -> Member:
    """Return a required name."""
    return Member(name, column, required=True, chars_max=NAME_CHARS_MAX)


def reference(name: str, column: str, target: str, **more: Any) -> Member:  # noqa: ANN401 - members of many types
    """Return a reference to one object of the list ``target``."""
    return Member(name, column, MemberKind.REFERENCE, target=target, **more)


def span() -> tuple[Member, Member]:
    """Return the two ends of a span, both open unless set."""
    return Member("start", "start_at", MemberKind.INSTANT), Member("end", "end_at", MemberKind.INSTANT)


def precision(words: str) -> Member:
    """Return the places that amounts are rounded to."""
    return Member(
        "amountPrecision", "amount_places", MemberKind.INTEGER, least=0, most=AMOUNT_PLACES_MAX, default_words=words
    )
