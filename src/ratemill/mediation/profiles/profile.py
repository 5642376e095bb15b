"""Data profiles on the wire: read from a document's entry with every fault named, and written back.

Scalars may come as texts only (`false`, `12`), as from YAML read for its texts, or typed, as from JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ratemill.comparisons import MANY_VALUES, Comparison
from ratemill.mediation.profiles.declared import (
    Case,
    Combine,
    Condition,
    Conditional,
    DateForm,
    Field,
    Formula,
    Literal,
    MapValues,
    Match,
    Origin,
    Profile,
    Regex,
    Source,
    Substitute,
    TimeForm,
    Transform,
    Trim,
)
from ratemill.mediation.profiles.declared import Mapping as TargetMapping
from ratemill.mediation.profiles.reader import ProfileReader


class ProfileFaults(Exception):
    """What is wrong with a data profile: every fault as (path, message), at least one."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(f"{path}: {message}" if path else message for path, message in self.faults))


def read_profile(document: Mapping[str, Any]) -> Profile:
    """Return the profile that an entry of `dataProfiles` declares; raise ``ProfileFaults`` with every fault."""
    reader = ProfileReader()
    profile = reader.profile(document)
    if reader.faults or profile is None:
        raise ProfileFaults(reader.faults)
    return profile


def write_profile(profile: Profile) -> dict[str, Any]:
    """Return the wire document of a profile, members with their default left out; it reads back as the same profile."""
    document: dict[str, Any] = {"name": profile.name, "format": str(profile.format)}
    document["fields"] = [_write_field(field) for field in profile.fields]
    optional = {
        "delimiter": (profile.delimiter, ","),
        "quote": (profile.quote, '"'),
        "headerRow": (profile.header_row, False),
        "timeZone": (profile.time_zone, "UTC"),
        "mappings": ([_write_mapping(mapping) for mapping in profile.mappings], []),
        "filter": (_write_condition(profile.filter) if profile.filter else None, None),
        "duplicateKey": (None if profile.duplicate_key is None else list(profile.duplicate_key), None),
        "duplicateWindowDays": (profile.duplicate_window_days, None),
        "creditsAllowed": (profile.credits_allowed, False),
        "unknownKeys": ("refuse" if profile.unknown_keys_refused else "keep", "keep"),
        "envelope": ("request" if profile.request_envelope else "row", "row"),
        "requiredCharacteristics": (list(profile.required_characteristics), []),
    }
    return document | {name: value for name, (value, default) in optional.items() if value != default}


def _write_field(field: Field) -> dict[str, Any]:
    optional: dict[str, tuple[object, object]] = {
        "start": (field.start, None),
        "length": (field.length, None),
        "required": (field.required, False),
        "default": (field.default, None),
        "transforms": ([_write_transform(transform) for transform in field.transforms], []),
    }
    return {"name": field.name} | {name: value for name, (value, default) in optional.items() if value != default}


def _write_transform(transform: Transform) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    match transform:
        case Trim():
            return {"type": "trim"}
        case TimeForm():
            return {"type": "time"}
        case Case(to):
            return {"type": "case", "to": to}
        case Substitute(old, new):
            return {"type": "substitute", "from": old, "to": new}
        case Regex(pattern, replacement):
            return {"type": "regex", "pattern": pattern, "replacement": replacement}
        case DateForm(form, zone):
            return {"type": "date", "format": form} | ({"timeZone": zone} if zone else {})
        case Conditional(when, then, otherwise):
            branches = {"then": then, "else": otherwise}
            written = {name: [_write_transform(each) for each in branch] for name, branch in branches.items() if branch}
            return {"type": "conditional", "when": _write_condition(when), **written}


def _write_condition(condition: Condition) -> dict[str, Any]:
    search = [_write_term(term) for term in condition.terms]
    return {"condition": "or", "search": search} if condition.any_of else {"search": search}


def _write_term(term: Comparison[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": term.member, "operator": str(term.operator)}
    if term.operator in MANY_VALUES:
        written["value"] = list(term.values)
    elif term.values:
        written["value"] = term.values[0]
    return written


def _write_mapping(mapping: TargetMapping) -> dict[str, Any]:
    return {"target": mapping.target, **_write_origin(mapping.origin)}


def _write_origin(origin: Origin) -> dict[str, Any]:
    match origin:
        case Source(field):
            return {"source": field}
        case Literal(text):
            return {"literal": text}
        case Formula(text):
            return {"formula": text}
        case Combine(sources, separator):
            return {"combine": {"sources": list(sources)} | ({"separator": separator} if separator else {})}
        case MapValues(source, values, default):
            written = {"source": source, "values": dict(values)}
            return {"map": written if default is None else written | {"default": default}}
        case Match(source, name, member):
            return {"match": {"source": source, "list": name, "member": member}}
