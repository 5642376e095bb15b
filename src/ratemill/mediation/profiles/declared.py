"""A data profile as it is declared: how a raw row of a feed becomes a usage record.

The types here are what the rest of the stage works by. `reader.py` makes them from the wire document, naming every
fault, and `profile.py` writes them back. No tables here: a process that only stores profiles need not load them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from ratemill.comparisons import Comparison
from ratemill.mediation.profiles.targets import automatic_target, position


class Format(StrEnum):
    """How a row is cut into fields."""

    CSV = "csv"
    COLUMNAR = "columnar"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Condition:
    """Terms, all of which (``and``) or one of which (``or``) must hold."""

    terms: tuple[Comparison[str], ...]
    any_of: bool = False


@dataclass(frozen=True, slots=True)
class Trim:
    """Take white space off both ends."""


@dataclass(frozen=True, slots=True)
class Case:
    """Change letters: ``to`` is upper, lower or title."""

    to: str


@dataclass(frozen=True, slots=True)
class Substitute:
    """Replace every occurrence of a text."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Regex:
    """Replace every match of a pattern; ``$1`` or ``${1}`` in the replacement is the first group."""

    pattern: str
    replacement: str


@dataclass(frozen=True, slots=True)
class DateForm:
    """Read a date by a format of strftime letters in a zone (none: the profile's) and make it ISO 8601 in UTC."""

    format: str
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class TimeForm:
    """Read a time of day, with or without am and pm, and make it ``HH:MM:SS`` of 24 hours."""


@dataclass(frozen=True, slots=True)
class Conditional:
    """Do the first transforms where the condition holds, the others where it does not."""

    when: Condition
    then: tuple[Transform, ...]
    otherwise: tuple[Transform, ...]


Transform: TypeAlias = "Trim | Case | Substitute | Regex | DateForm | TimeForm | Conditional"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row; ``start`` (from 1) and ``length`` place it in a columnar row, in characters."""

    name: str
    start: int | None = None
    length: int | None = None
    required: bool = False
    default: str | None = None
    transforms: tuple[Transform, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a field as its transforms left it."""

    field: str


@dataclass(frozen=True, slots=True)
class Literal:
    """The same text for every record."""

    text: str


@dataclass(frozen=True, slots=True)
class Combine:
    """The texts of several fields, joined; absent ones are left out."""

    sources: tuple[str, ...]
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Formula:
    """Exact arithmetic over fields; the grammar is in `formulas.py`."""

    text: str


@dataclass(frozen=True, slots=True)
class MapValues:
    """A text for each text of a field; ``default`` for all others, or they are refused."""

    source: str
    values: tuple[tuple[str, str], ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """The name of the entry of a list whose ``member`` is the text of a field."""

    source: str
    list: str
    member: str


Origin: TypeAlias = Source | Literal | Combine | Formula | MapValues | Match


@dataclass(frozen=True, slots=True)
class Mapping:
    """What fills one target."""

    target: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Profile:
    """A data profile. ``duplicate_key`` None means all mapped targets, an empty one that nothing is checked.

    ``required_characteristics`` are the targets whose items must exist.
    """

    name: str
    format: Format
    fields: tuple[Field, ...]
    delimiter: str = ","
    quote: str = '"'
    header_row: bool = False
    time_zone: str = "UTC"
    mappings: tuple[Mapping, ...] = ()
    filter: Condition | None = None
    duplicate_key: tuple[str, ...] | None = None
    duplicate_window_days: int | None = None
    credits_allowed: bool = False
    unknown_keys_refused: bool = False
    request_envelope: bool = False
    required_characteristics: tuple[str, ...] = ()
    # Fields by their name in small letters: names are found whatever their case.
    names: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Collect the names of the fields once."""
        object.__setattr__(self, "names", tuple(each.name for each in self.fields))

    def field_named(self, name: str) -> str | None:
        """Return the field of that name as the profile spells it, whatever the case of ``name``."""
        return next((own for own in self.names if own.lower() == name.lower()), None)

    def mapped(self) -> tuple[Mapping, ...]:
        """Return what fills each target, the declared mappings and those unasked, in the order of the usage record."""
        found = {mapping.target: mapping for mapping in self.mappings}
        for name in self.names:
            target = automatic_target(name)
            # A field that bears the target's own name goes before `DateTime`.
            if target and (target not in found or (found[target] not in self.mappings and target == name.lower())):
                found[target] = Mapping(target, Source(name))
        return tuple(sorted(found.values(), key=lambda mapping: position(mapping.target)))
