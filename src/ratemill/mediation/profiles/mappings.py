"""Mappings of a profile: what fills each target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ratemill.mediation.profiles.declared import Combine, Formula, Literal, MapValues, Match, Origin, Source
from ratemill.mediation.profiles.declared import Mapping as TargetMapping
from ratemill.mediation.profiles.formulas import FormulaFault, parse_formula
from ratemill.mediation.profiles.members import MemberReader
from ratemill.mediation.profiles.targets import target_named
from ratemill.visible import shown


def read_mappings(members: MemberReader, value: object) -> Iterator[TargetMapping]:
    """Read the mappings, each target once."""
    seen: set[str] = set()
    for path, each in members.items(value, "mappings"):
        kinds = ["source", "literal", "combine", "formula", "map", "match"]
        entry = members.entry(each, path, {"target", *kinds})
        if entry is None:
            continue
        target = target_named(members.text(entry, "target", path, required=True))
        if target in seen:
            members.fault(f"{path}.target", f"another mapping fills '{shown(target)}'")
        seen.add(target)
        given = [kind for kind in kinds if entry.get(kind) is not None]
        if len(given) != 1:
            members.fault(path, f"a mapping has exactly one of {', '.join(kinds)}")
            continue
        if origin := _origin(members, given[0], entry, path):
            yield TargetMapping(target, origin)


def _origin(members: MemberReader, kind: str, entry: Mapping[str, Any], path: str) -> Origin | None:  # noqa: PLR0911 - one for each kind
    """Read what fills a target."""
    if kind == "source":
        return Source(members.known_field(entry, "source", path))
    if kind == "literal":
        return Literal(members.text(entry, "literal", path, required=True))
    if kind == "formula":
        return _formula(members, members.text(entry, "formula", path, required=True), path)
    allowed = {"combine": {"sources", "separator"}, "map": {"source", "values", "default"}}
    inner = members.entry(entry[kind], f"{path}.{kind}", allowed.get(kind, {"source", "list", "member"}))
    if inner is None:
        return None
    path = f"{path}.{kind}"
    if kind == "combine":
        return _combine(members, inner, path)
    source = members.known_field(inner, "source", path)
    if kind == "map":
        default = members.text(inner, "default", path) if inner.get("default") is not None else None
        return MapValues(source, _map_values(members, inner, path), default)
    listed, member = (members.text(inner, name, path, required=True) for name in ("list", "member"))
    return Match(source, listed, member)


def _combine(members: MemberReader, entry: Mapping[str, Any], path: str) -> Combine:
    """Read the fields that are joined."""
    sources = [members.name_of_field(each, at) for at, each in members.items(entry.get("sources"), f"{path}.sources")]
    if not sources:
        members.fault(f"{path}.sources", "combine takes at least one field")
    return Combine(tuple(sources), members.text(entry, "separator", path))


def _map_values(members: MemberReader, entry: Mapping[str, Any], path: str) -> tuple[tuple[str, str], ...]:
    """Read a map's texts."""
    values = entry.get("values")
    if not isinstance(values, Mapping) or not values:
        members.fault(f"{path}.values", "a map has at least one value")
        return ()
    texts = (
        (members.scalar(key, f"{path}.values"), members.scalar(to, f"{path}.values.{key}"))
        for key, to in values.items()
    )
    return tuple(texts)


def _formula(members: MemberReader, text: str, path: str) -> Formula:
    """Check a formula; it is kept as it is written."""
    try:
        if text:
            parse_formula(text, members.find_field)
    except FormulaFault as fault:
        members.fault(f"{path}.formula", str(fault))
    return Formula(text)
