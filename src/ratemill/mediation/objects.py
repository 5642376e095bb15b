"""JSON objects become fields, every number by its digits.

The table engine reads numbers as floats or 64-bit integers, so the objects are read one by one by a parser that leaves
fractions as text and whole numbers whole. This also keeps one row from ending another: rows are never joined.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NoReturn

import msgspec
import polars as pl

from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.profiles.targets import COLUMN_OF
from ratemill.mediation.working import EXTRA, UNKNOWN, FaultTables, absent_if_empty, field_column
from ratemill.nesting import NESTING_MAX, is_too_deep
from ratemill.texts import is_writable


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = msgspec.json.Decoder(float_hook=str)
# The slow one takes what the quick one does not: half surrogate pairs (to name them), whole numbers of any length.
_SLOW_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NO_OBJECT = "row_must_be_a_json_object"
_ABSENT = "\x00"  # stands for a field that an object lacks: no name has a NUL
_SHAPES_MAX = 1_000
_TEXTS = {str, type(None)}
_TOO_DEEP = "row_must_not_be_nested_too_deeply"
_SURROGATE = "row_must_not_contain_lone_surrogates"

# The values of the fields of an object, what is left of it, and the first name of that.
_Values = tuple[Any, ...]
_Getter = Callable[[dict[str, Any]], _Values]


def read_objects(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    """Return the fields of rows that are one JSON object each, found by name whatever its case.

    Members that are no fields become the inside of a JSON object in `extra`. Note the rows that are no objects.
    """
    reader = _ObjectReader(profile)
    read = [reader.read(text) for text in rows["raw"]]
    reasons = pl.Series([each if isinstance(each, str) else None for each in read], dtype=pl.String)
    for reason in reasons.drop_nulls().unique().sort():
        bound = pl.lit(str(NESTING_MAX)) if reason == _TOO_DEEP else None
        faults.note(reason, rows, (reasons == reason).fill_null(value=False), value=bound)
    whole = rows.filter(reasons.is_null())
    found = [each for each in read if not isinstance(each, str)]
    names = [*(field_column(name) for name in profile.names), EXTRA, UNKNOWN]
    columns = zip(*found, strict=True) if found else ([] for _ in names)
    texts = [
        pl.Series(name, reader.texts(place, column, whole["raw"]), pl.String)
        for place, (name, column) in enumerate(zip(names, columns, strict=True))
    ]
    return whole.hstack(pl.DataFrame(texts).with_columns(absent_if_empty(pl.all())))


class _ObjectReader:
    """Reads the objects of one profile."""

    def __init__(self, profile: Profile) -> None:
        self.exact = {name: place for place, name in enumerate(profile.names)}
        self.lower = {name.lower(): place for place, name in enumerate(profile.names)}
        self.count = len(profile.names)
        # Objects of one sender have the same names in the same order: by these, what takes the fields out.
        self.getters: dict[tuple[str, ...], _Getter] = {}
        # An extension target goes before a member of the same name that is no field.
        self.taken = {each.target for each in profile.mapped() if each.target not in COLUMN_OF}

    def read(self, text: str) -> _Values | str:
        """Return the values of the fields, the rest and its first name; or the reason why there are none."""
        if is_too_deep(text):
            return _TOO_DEEP
        try:
            members = _DECODER.decode(text)
        except (msgspec.DecodeError, RecursionError):
            try:
                members = _SLOW_DECODER.decode(text)
            except (ValueError, RecursionError):
                return _NO_OBJECT
        if not isinstance(members, dict):
            return _NO_OBJECT
        if "\\u" in text and (reason := _unkeepable(members)):
            return reason
        shape = tuple(members)
        getter = self.getters.get(shape) or self.getter(shape)
        if getter is None:
            return self.name_by_name(members, text)
        members[_ABSENT] = None
        return getter(members)

    def getter(self, shape: tuple[str, ...]) -> _Getter | None:
        """Return what takes the fields out of an object of these names at once, if they are fields alone."""
        names = self.in_order(shape)
        if names is None:
            return None
        getter: _Getter = itemgetter(*names)
        if len(self.getters) < _SHAPES_MAX:
            self.getters[shape] = getter
        return getter

    def texts(self, place: int, column: Sequence[Any], raw: pl.Series) -> Sequence[str | None]:
        """Return the values of the field at ``place`` as texts; ``raw`` has the objects that they are from."""
        if _TEXTS.issuperset(map(type, column)):
            return column
        return [value if type(value) is str else self.text(value, place, raw, at) for at, value in enumerate(column)]

    def text(self, value: object, place: int, raw: pl.Series, at: int) -> str | None:
        """Return one value as text; an object or a list is looked up in its row."""
        if not isinstance(value, dict | list):
            return _scalar(value)
        names = self.in_order(tuple(_RAW_MEMBERS.decode(raw[at])))
        return _compact(raw[at], names[place] if names else "")

    def in_order(self, shape: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the names of members in the order of the fields; none if one is no field, or two are one field."""
        names = [_ABSENT] * (self.count + 2)
        for name in shape:
            place = self.exact.get(name, self.lower.get(name.lower()))
            if place is None or names[place] != _ABSENT:
                return None
            names[place] = name
        return tuple(names)

    def name_by_name(self, members: dict[str, Any], text: str) -> _Values:
        """Take the fields out one by one: some members are no fields, or several mean one."""
        found: list[str | None] = [None] * (self.count + 2)
        holders: list[str] = [""] * self.count
        rest: dict[str, str] = {}
        for name, value in members.items():
            shown = _compact(text, name) if isinstance(value, dict | list) else _scalar(value)
            if not shown:
                continue
            place = self.exact.get(name)
            if place is None:
                place = self.lower.get(name.lower())
            if place is None:
                rest[name] = shown
            elif found[place] is None or self.before(name, holders[place]):
                if rival := found[place]:
                    rest[holders[place]] = rival
                found[place], holders[place] = shown, name
            else:
                rest[name] = shown
        if rest:
            found[-1] = min(rest)
            kept = {name: rest[name] for name in sorted(rest) if name not in self.taken}
            found[-2] = _ENCODER.encode(kept)[1:-1]
        return tuple(found)

    def before(self, name: str, rival: str) -> bool:
        """Tell which of two members holds that mean one field: the profile's spelling, or else the first by letters."""
        return (name not in self.exact, name) < (rival not in self.exact, rival)


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _compact(text: str, name: str) -> str:
    """Return an object or a list as it stands in a row, less the white space: its numbers keep their digits."""
    return msgspec.json.format(bytes(_RAW_MEMBERS.decode(text)[name]), indent=-1).decode()


def _unkeepable(members: dict[str, Any]) -> str | None:
    """Return the reason why escaped characters of an object cannot be kept; called only where there are escapes."""
    written = _ENCODER.encode(members)
    if not is_writable(written):
        return _SURROGATE
    # The encoder writes NUL as an escape, and a backslash before it as two.
    return "row_must_not_contain_nul" if "\\u0000" in written.replace("\\\\", "") else None
