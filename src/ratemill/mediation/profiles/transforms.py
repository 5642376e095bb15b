"""Transforms of a field: read by their type, conditional ones with what they contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ratemill.mediation.profiles.conditions import read_condition
from ratemill.mediation.profiles.declared import (
    Case,
    Conditional,
    DateForm,
    Regex,
    Substitute,
    TimeForm,
    Transform,
    Trim,
)
from ratemill.mediation.profiles.members import MemberReader
from ratemill.mediation.profiles.patterns import date_format_fault, pattern_fault
from ratemill.nesting import NESTING_MAX, TOO_DEEP


def read_transforms(members: MemberReader, value: object, path: str, depth: int = 0) -> tuple[Transform, ...]:
    """Read a list of transforms."""
    if depth > NESTING_MAX:
        members.fault(path, f"conditional transforms are {TOO_DEEP}")
        return ()
    found = [_transform(members, each, at, depth) for at, each in members.items(value, path)]
    return tuple(each for each in found if each)


def _transform(members: MemberReader, value: object, path: str, depth: int) -> Transform | None:
    """Read one transform by its type."""
    kinds: dict[str, Callable[[Mapping[str, Any]], Transform]] = {
        "trim": lambda _: Trim(),
        "time": lambda _: TimeForm(),
        "case": lambda entry: Case(members.choice(entry, "to", path, ["upper", "lower", "title"], required=True)),
        "substitute": lambda entry: Substitute(
            members.text(entry, "from", path, required=True), members.text(entry, "to", path)
        ),
        "regex": lambda entry: _regex(members, entry, path),
        "date": lambda entry: _date_form(members, entry, path),
        "conditional": lambda entry: Conditional(
            read_condition(members, entry.get("when"), f"{path}.when"),
            read_transforms(members, entry.get("then"), f"{path}.then", depth + 1),
            read_transforms(members, entry.get("else"), f"{path}.else", depth + 1),
        ),
    }
    allowed = {
        "case": {"to"},
        "substitute": {"from", "to"},
        "regex": {"pattern", "replacement"},
        "date": {"format", "timeZone"},
        "conditional": {"when", "then", "else"},
    }
    entry = members.entry(value, path)
    if entry is None:
        return None
    kind = members.choice(entry, "type", path, list(kinds), required=True)
    if kind not in kinds:
        return None
    members.entry(entry, path, {"type", *allowed.get(kind, set())})
    return kinds[kind](entry)


def _regex(members: MemberReader, entry: Mapping[str, Any], path: str) -> Regex:
    """Read a replacement of matches."""
    pattern = members.text(entry, "pattern", path, required=True)
    if fault := pattern_fault(pattern):
        members.fault(f"{path}.pattern", fault)
    return Regex(pattern, members.text(entry, "replacement", path))


def _date_form(members: MemberReader, entry: Mapping[str, Any], path: str) -> DateForm:
    """Read a date's format and zone."""
    form = members.text(entry, "format", path, required=True)
    if form and (fault := date_format_fault(form)):
        members.fault(f"{path}.format", fault)
    return DateForm(form, members.zone(entry, "timeZone", path))
