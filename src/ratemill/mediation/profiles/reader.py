"""Reading a data profile: the wire document's entry, checked member by member, with every fault named by its path."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ratemill.mediation.profiles.declared import (
    Case,
    Combine,
    Condition,
    Conditional,
    DateForm,
    Field,
    Format,
    Formula,
    Literal,
    MapValues,
    Match,
    Operator,
    Origin,
    Profile,
    Regex,
    Source,
    Substitute,
    Term,
    TimeForm,
    Transform,
    Trim,
)
from ratemill.mediation.profiles.declared import Mapping as TargetMapping
from ratemill.mediation.profiles.formulas import FormulaFault, parse_formula
from ratemill.mediation.profiles.patterns import date_format_fault, pattern_fault, zone_fault
from ratemill.mediation.profiles.targets import CHARACTERISTICS, REQUIRED, target_named
from ratemill.nesting import NESTING_MAX, TOO_DEEP
from ratemill.visible import shown

FIELDS_MAX = 1_000
COLUMNAR_CHARS_MAX = 1_000_000  # the furthest column of a columnar row

_MEMBERS = {
    "name",
    "format",
    "fields",
    "delimiter",
    "quote",
    "headerRow",
    "timeZone",
    "mappings",
    "filter",
    "duplicateKey",
    "duplicateWindowDays",
    "creditsAllowed",
    "unknownKeys",
    "envelope",
    "requiredCharacteristics",
}
_NO_VALUE = (Operator.IS_NULL, Operator.IS_NOT_NULL)
_MANY_VALUES = (Operator.IN, Operator.NOT_IN)


class ProfileReader:
    """Reads one entry and collects what is wrong with it; what cannot be read becomes a stand-in and a fault."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self.fields: tuple[Field, ...] = ()

    def fault(self, path: str, message: str) -> None:
        """Keep what is wrong, and where."""
        self.faults.append((path, message))

    def profile(self, document: Mapping[str, Any]) -> Profile | None:
        """Read the whole entry; nothing if it is no object."""
        entry = self.entry(document, "", _MEMBERS)
        if entry is None:
            return None
        name = self.text(entry, "name", "", required=True)
        form = Format(self.choice(entry, "format", "", [str(each) for each in Format], required=True, default="csv"))
        self.read_fields(entry.get("fields"), form)
        profile = Profile(
            name=name,
            format=form,
            fields=self.fields,
            delimiter=self.text(entry, "delimiter", "", default=","),
            quote=self.text(entry, "quote", "", default='"', empty=True),
            header_row=self.flag(entry, "headerRow", ""),
            time_zone=self.zone(entry, "timeZone", "") or "UTC",
            mappings=tuple(self.mappings(entry.get("mappings"))),
            filter=self.condition(entry["filter"], "filter") if entry.get("filter") is not None else None,
            duplicate_key=self.duplicate_key(entry.get("duplicateKey")),
            duplicate_window_days=self.whole(entry, "duplicateWindowDays", "", most=36_500),
            credits_allowed=self.flag(entry, "creditsAllowed", ""),
            unknown_keys_refused=self.choice(entry, "unknownKeys", "", ["keep", "refuse"], default="keep") == "refuse",
            request_envelope=self.choice(entry, "envelope", "", ["row", "request"], default="row") == "request",
            required_characteristics=self.targets(entry.get("requiredCharacteristics"), "requiredCharacteristics"),
        )
        self.check_separators(profile)
        self.check_targets(profile)
        return profile

    # the parts of a profile

    def read_fields(self, value: object, form: Format) -> None:
        """Read the fields, their names first: everything else refers to them."""
        entries = list(self.items(value, "fields"))
        if not entries and not self.faults:
            self.fault("fields", "a profile has at least one field")
        if len(entries) > FIELDS_MAX:
            self.fault("fields", f"a profile has at most {FIELDS_MAX} fields")
            entries = entries[:FIELDS_MAX]
        names = [self.field_name(each, path) for path, each in entries]
        self.fields = tuple(Field(name) for name in names if name)
        seen: set[str] = set()
        for (path, _), name in zip(entries, names, strict=True):
            if name and name.lower() in seen:
                self.fault(f"{path}.name", f"another field is called '{shown(name)}', whatever the case")
            seen.add(name.lower())
        self.fields = tuple(self.field(each, path, form) for path, each in entries)

    def field_name(self, value: object, path: str) -> str:
        """Read the name of a field; empty if it has none."""
        members = {"name", "start", "length", "required", "default", "transforms"}
        entry = self.entry(value, path, members)
        return "" if entry is None else self.text(entry, "name", path, required=True)

    def field(self, value: object, path: str, form: Format) -> Field:
        """Read one field."""
        if not isinstance(value, Mapping):
            return Field("")
        columnar = form is Format.COLUMNAR
        for member in ("start", "length"):
            if columnar and value.get(member) is None:
                self.fault(f"{path}.{member}", "a field of a columnar profile has a start and a length")
            if not columnar and value.get(member) is not None:
                self.fault(f"{path}.{member}", "only a field of a columnar profile has a start and a length")
        return Field(
            name=str(value.get("name", "")),
            start=self.whole(value, "start", path, most=COLUMNAR_CHARS_MAX) if columnar else None,
            length=self.whole(value, "length", path, most=COLUMNAR_CHARS_MAX) if columnar else None,
            required=self.flag(value, "required", path),
            default=self.text(value, "default", path) or None,
            transforms=self.transforms(value.get("transforms"), f"{path}.transforms"),
        )

    def transforms(self, value: object, path: str, depth: int = 0) -> tuple[Transform, ...]:
        """Read a list of transforms."""
        if depth > NESTING_MAX:
            self.fault(path, f"conditional transforms are {TOO_DEEP}")
            return ()
        found = [self.transform(each, at, depth) for at, each in self.items(value, path)]
        return tuple(each for each in found if each)

    def transform(self, value: object, path: str, depth: int) -> Transform | None:
        """Read one transform by its type."""
        kinds: dict[str, Callable[[Mapping[str, Any]], Transform]] = {
            "trim": lambda _: Trim(),
            "time": lambda _: TimeForm(),
            "case": lambda entry: Case(self.choice(entry, "to", path, ["upper", "lower", "title"], required=True)),
            "substitute": lambda entry: Substitute(
                self.text(entry, "from", path, required=True), self.text(entry, "to", path)
            ),
            "regex": lambda entry: self.regex(entry, path),
            "date": lambda entry: self.date_form(entry, path),
            "conditional": lambda entry: Conditional(
                self.condition(entry.get("when"), f"{path}.when"),
                self.transforms(entry.get("then"), f"{path}.then", depth + 1),
                self.transforms(entry.get("else"), f"{path}.else", depth + 1),
            ),
        }
        members = {
            "case": {"to"},
            "substitute": {"from", "to"},
            "regex": {"pattern", "replacement"},
            "date": {"format", "timeZone"},
            "conditional": {"when", "then", "else"},
        }
        entry = self.entry(value, path)
        if entry is None:
            return None
        kind = self.choice(entry, "type", path, list(kinds), required=True)
        if kind not in kinds:
            return None
        self.entry(entry, path, {"type", *members.get(kind, set())})
        return kinds[kind](entry)

    def regex(self, entry: Mapping[str, Any], path: str) -> Regex:
        """Read a replacement of matches."""
        pattern = self.text(entry, "pattern", path, required=True)
        if fault := pattern_fault(pattern):
            self.fault(f"{path}.pattern", fault)
        return Regex(pattern, self.text(entry, "replacement", path))

    def date_form(self, entry: Mapping[str, Any], path: str) -> DateForm:
        """Read a date's format and zone."""
        form = self.text(entry, "format", path, required=True)
        if form and (fault := date_format_fault(form)):
            self.fault(f"{path}.format", fault)
        return DateForm(form, self.zone(entry, "timeZone", path))

    def condition(self, value: object, path: str) -> Condition:
        """Read a condition."""
        entry = self.entry(value, path, {"condition", "search"})
        if entry is None:
            return Condition(())
        any_of = self.choice(entry, "condition", path, ["and", "or"], default="and") == "or"
        terms = [self.term(each, at) for at, each in self.items(entry.get("search"), f"{path}.search")]
        if not terms:
            self.fault(f"{path}.search", "a condition compares at least one field")
        return Condition(tuple(term for term in terms if term), any_of)

    def term(self, value: object, path: str) -> Term | None:
        """Read one comparison."""
        entry = self.entry(value, path, {"name", "operator", "value"})
        if entry is None:
            return None
        name = self.known_field(entry, "name", path)
        operators = [str(each) for each in Operator]
        operator = self.choice(entry, "operator", path, operators, required=True, default=Operator.EQ)
        return Term(name, Operator(operator), self.values(entry, Operator(operator), path))

    def values(self, entry: Mapping[str, Any], operator: Operator, path: str) -> tuple[str, ...]:
        """Read what a field is compared with: one value, several, or none."""
        value = entry.get("value")
        if operator in _NO_VALUE:
            if value is not None:
                self.fault(f"{path}.value", f"{operator} takes no value")
            return ()
        if operator in _MANY_VALUES and isinstance(value, list):
            if not value:
                self.fault(f"{path}.value", "a list has at least one value")
            return tuple(self.scalar(each, f"{path}.value[{at}]") for at, each in enumerate(value))
        if value is None:
            self.fault(f"{path}.value", "a value is required")
            return ("",)
        return (self.scalar(value, f"{path}.value"),)

    def mappings(self, value: object) -> Iterator[TargetMapping]:
        """Read the mappings, each target once."""
        seen: set[str] = set()
        for path, each in self.items(value, "mappings"):
            kinds = ["source", "literal", "combine", "formula", "map", "match"]
            entry = self.entry(each, path, {"target", *kinds})
            if entry is None:
                continue
            target = target_named(self.text(entry, "target", path, required=True))
            if target in seen:
                self.fault(f"{path}.target", f"another mapping fills '{shown(target)}'")
            seen.add(target)
            given = [kind for kind in kinds if entry.get(kind) is not None]
            if len(given) != 1:
                self.fault(path, f"a mapping has exactly one of {', '.join(kinds)}")
                continue
            if origin := self.origin(given[0], entry, path):
                yield TargetMapping(target, origin)

    def origin(self, kind: str, entry: Mapping[str, Any], path: str) -> Origin | None:  # noqa: PLR0911 - one for each kind
        """Read what fills a target."""
        if kind == "source":
            return Source(self.known_field(entry, "source", path))
        if kind == "literal":
            return Literal(self.text(entry, "literal", path, required=True))
        if kind == "formula":
            return self.formula(self.text(entry, "formula", path, required=True), path)
        members = {"combine": {"sources", "separator"}, "map": {"source", "values", "default"}}
        inner = self.entry(entry[kind], f"{path}.{kind}", members.get(kind, {"source", "list", "member"}))
        if inner is None:
            return None
        path = f"{path}.{kind}"
        if kind == "combine":
            return self.combine(inner, path)
        source = self.known_field(inner, "source", path)
        if kind == "map":
            default = self.text(inner, "default", path) if inner.get("default") is not None else None
            return MapValues(source, self.map_values(inner, path), default)
        listed, member = (self.text(inner, name, path, required=True) for name in ("list", "member"))
        return Match(source, listed, member)

    def combine(self, entry: Mapping[str, Any], path: str) -> Combine:
        """Read the fields that are joined."""
        sources = [self.name_of_field(each, at) for at, each in self.items(entry.get("sources"), f"{path}.sources")]
        if not sources:
            self.fault(f"{path}.sources", "combine takes at least one field")
        return Combine(tuple(sources), self.text(entry, "separator", path))

    def map_values(self, entry: Mapping[str, Any], path: str) -> tuple[tuple[str, str], ...]:
        """Read a map's texts."""
        values = entry.get("values")
        if not isinstance(values, Mapping) or not values:
            self.fault(f"{path}.values", "a map has at least one value")
            return ()
        texts = (
            (self.scalar(key, f"{path}.values"), self.scalar(to, f"{path}.values.{key}")) for key, to in values.items()
        )
        return tuple(texts)

    def formula(self, text: str, path: str) -> Formula:
        """Check a formula; it is kept as it is written."""
        try:
            if text:
                parse_formula(text, self.find_field)
        except FormulaFault as fault:
            self.fault(f"{path}.formula", str(fault))
        return Formula(text)

    def duplicate_key(self, value: object) -> tuple[str, ...] | None:
        """Read the names of a duplicate key; none is not the same as an empty list."""
        return None if value is None else self.targets(value, "duplicateKey")

    def targets(self, value: object, member: str) -> tuple[str, ...]:
        """Read a list of names of targets, each of them once."""
        return tuple(dict.fromkeys(target_named(self.scalar(each, path)) for path, each in self.items(value, member)))

    # what must hold for the profile as a whole

    def check_separators(self, profile: Profile) -> None:
        """Check delimiter and quote."""
        for name, text, least in (("delimiter", profile.delimiter, 1), ("quote", profile.quote, 0)):
            if not least <= len(text) <= 1 or text in {"\r", "\n"}:
                self.fault(name, "one character, and no line break, is expected")
        if profile.delimiter == profile.quote:
            self.fault("quote", "delimiter and quote must be different")

    def check_targets(self, profile: Profile) -> None:
        """Check that the targets are filled that must be, and those that lists name; only if nothing else is wrong."""
        if self.faults:
            return
        mapped = {each.target for each in profile.mapped()}
        for target in REQUIRED:
            if target not in mapped:
                self.fault("mappings", f"no field and no mapping fills '{shown(target)}'")
        for at, name in enumerate(profile.duplicate_key or ()):
            if name not in mapped:
                self.fault(f"duplicateKey[{at}]", f"'{shown(name)}' is not a target that a field or a mapping fills")
        for at, name in enumerate(profile.required_characteristics):
            if name not in CHARACTERISTICS:
                said = f"{CHARACTERISTICS[0]} to {CHARACTERISTICS[-1]} is expected, not '{shown(name)}'"
                self.fault(f"requiredCharacteristics[{at}]", said)
            elif name not in mapped:
                self.fault(f"requiredCharacteristics[{at}]", f"no field and no mapping fills '{shown(name)}'")

    # scalars, lists and names

    def entry(self, value: object, path: str, members: Collection[str] | None = None) -> Mapping[str, Any] | None:
        """Return an object, with a fault for each member that it may not have."""
        if not isinstance(value, Mapping):
            self.fault(path, "an object is expected")
            return None
        for name in value:
            if members is not None and name not in members:
                self.fault(f"{path}.{name}".lstrip("."), "there is no such member")
        return value

    def items(self, value: object, path: str) -> Iterator[tuple[str, object]]:
        """Yield the entries of a list with their paths; an absent list is empty."""
        if value is None:
            return
        if not isinstance(value, list | tuple):
            self.fault(path, "a list is expected")
            return
        for at, each in enumerate(value):
            yield f"{path}[{at}]", each

    def scalar(self, value: object, path: str) -> str:
        """Return a scalar as text, whichever way it came."""
        if isinstance(value, bool):
            return str(value).lower()
        if value is None or isinstance(value, Mapping | list | tuple | float):
            # A float has lost its digits: numbers come as texts, whole ones or exact decimals.
            self.fault(path, "a text is expected")
            return ""
        text = str(value)
        if "\x00" in text or (not text.isascii() and text != text.encode("utf-8", "replace").decode()):
            self.fault(path, "the text has a character that cannot be kept")
        return text

    def text(
        self,
        entry: Mapping[str, Any],
        name: str,
        path: str,
        *,
        required: bool = False,
        default: str = "",
        empty: bool = False,
    ) -> str:
        """Return a member as text."""
        at = f"{path}.{name}".lstrip(".")
        value = entry.get(name)
        if value is None:
            if required:
                self.fault(at, "a value is required")
            return default
        text = self.scalar(value, at)
        if required and not text:
            self.fault(at, "a value is required")
        return text if text or empty else default

    def choice(
        self,
        entry: Mapping[str, Any],
        name: str,
        path: str,
        of: list[str],
        *,
        required: bool = False,
        default: str = "",
    ) -> str:
        """Return a member that is one of a few words."""
        text = self.text(entry, name, path, required=required, default=default)
        if text in of or text == default:
            return text
        self.fault(f"{path}.{name}".lstrip("."), f"'{shown(text)}' is none of {', '.join(of)}")
        return default

    def flag(self, entry: Mapping[str, Any], name: str, path: str) -> bool:
        """Return a member that is true or false."""
        text = self.text(entry, name, path, default="false").lower()
        if text not in {"true", "false"}:
            self.fault(f"{path}.{name}".lstrip("."), "true or false is expected")
        return text == "true"

    def whole(self, entry: Mapping[str, Any], name: str, path: str, *, most: int) -> int | None:
        """Return a member that is a whole number from 1 to ``most``."""
        text = self.text(entry, name, path)
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most:
            return int(text)
        self.fault(f"{path}.{name}".lstrip("."), f"a whole number from 1 to {most} is expected")
        return None

    def zone(self, entry: Mapping[str, Any], name: str, path: str) -> str | None:
        """Return a member that is a time zone."""
        zone = self.text(entry, name, path)
        if zone and (fault := zone_fault(zone)):
            self.fault(f"{path}.{name}".lstrip("."), fault)
        return zone or None

    def find_field(self, name: str) -> str | None:
        """Return the field of a name, whatever its case, as the profile spells it."""
        return next((field.name for field in self.fields if field.name.lower() == name.lower()), None)

    def known_field(self, entry: Mapping[str, Any], member: str, path: str) -> str:
        """Return a member that names a field."""
        return self.name_of_field(entry.get(member), f"{path}.{member}")

    def name_of_field(self, value: object, path: str) -> str:
        """Return the field of a name, with a fault if there is none."""
        name = self.scalar(value, path)
        found = self.find_field(name)
        if found is None and name:
            self.fault(path, f"'{shown(name)}' is not a field of the profile")
        return found or name
