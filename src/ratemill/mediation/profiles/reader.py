"""Reading a data profile: the wire document's entry, checked member by member, with every fault named by its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratemill.mediation.profiles.conditions import read_condition
from ratemill.mediation.profiles.declared import Field, Format, Profile
from ratemill.mediation.profiles.mappings import read_mappings
from ratemill.mediation.profiles.members import MemberReader
from ratemill.mediation.profiles.targets import CHARACTERISTICS, REQUIRED, target_named
from ratemill.mediation.profiles.transforms import read_transforms
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


class ProfileReader:
    """Reads one entry; ``faults`` are all that is wrong with it."""

    def __init__(self) -> None:
        self._members = MemberReader()

    @property
    def faults(self) -> list[tuple[str, str]]:
        """Return what is wrong, each fault with its path."""
        return self._members.faults

    def profile(self, document: Mapping[str, Any]) -> Profile | None:
        """Read the whole entry; nothing if it is no object."""
        entry = self._members.entry(document, "", _MEMBERS)
        if entry is None:
            return None
        name = self._members.text(entry, "name", "", required=True)
        form = Format(
            self._members.choice(entry, "format", "", [str(each) for each in Format], required=True, default="csv")
        )
        self._read_fields(entry.get("fields"), form)
        profile = Profile(
            name=name,
            format=form,
            fields=self._members.fields,
            delimiter=self._members.text(entry, "delimiter", "", default=","),
            quote=self._members.text(entry, "quote", "", default='"', empty=True),
            header_row=self._members.flag(entry, "headerRow", ""),
            time_zone=self._members.zone(entry, "timeZone", "") or "UTC",
            mappings=tuple(read_mappings(self._members, entry.get("mappings"))),
            filter=read_condition(self._members, entry["filter"], "filter")
            if entry.get("filter") is not None
            else None,
            duplicate_key=self._duplicate_key(entry.get("duplicateKey")),
            duplicate_window_days=self._members.whole(entry, "duplicateWindowDays", "", most=36_500),
            credits_allowed=self._members.flag(entry, "creditsAllowed", ""),
            unknown_keys_refused=self._members.choice(entry, "unknownKeys", "", ["keep", "refuse"], default="keep")
            == "refuse",
            request_envelope=self._members.choice(entry, "envelope", "", ["row", "request"], default="row")
            == "request",
            required_characteristics=self._targets(entry.get("requiredCharacteristics"), "requiredCharacteristics"),
        )
        self._check_separators(profile)
        self._check_targets(profile)
        return profile

    def _read_fields(self, value: object, form: Format) -> None:
        """Read the fields, their names first: everything else refers to them."""
        entries = list(self._members.items(value, "fields"))
        if not entries and not self.faults:
            self._members.fault("fields", "a profile has at least one field")
        if len(entries) > FIELDS_MAX:
            self._members.fault("fields", f"a profile has at most {FIELDS_MAX} fields")
            entries = entries[:FIELDS_MAX]
        names = [self._field_name(each, path) for path, each in entries]
        self._members.fields = tuple(Field(name) for name in names if name)
        seen: set[str] = set()
        for (path, _), name in zip(entries, names, strict=True):
            if name and name.lower() in seen:
                self._members.fault(f"{path}.name", f"another field is called '{shown(name)}', whatever the case")
            seen.add(name.lower())
        self._members.fields = tuple(self._field(each, path, form) for path, each in entries)

    def _field_name(self, value: object, path: str) -> str:
        """Read the name of a field; empty if it has none."""
        allowed = {"name", "start", "length", "required", "default", "transforms"}
        entry = self._members.entry(value, path, allowed)
        return "" if entry is None else self._members.text(entry, "name", path, required=True)

    def _field(self, value: object, path: str, form: Format) -> Field:
        """Read one field."""
        if not isinstance(value, Mapping):
            return Field("")
        columnar = form is Format.COLUMNAR
        for member in ("start", "length"):
            if columnar and value.get(member) is None:
                self._members.fault(f"{path}.{member}", "a field of a columnar profile has a start and a length")
            if not columnar and value.get(member) is not None:
                self._members.fault(f"{path}.{member}", "only a field of a columnar profile has a start and a length")
        return Field(
            name=str(value.get("name", "")),
            start=self._members.whole(value, "start", path, most=COLUMNAR_CHARS_MAX) if columnar else None,
            length=self._members.whole(value, "length", path, most=COLUMNAR_CHARS_MAX) if columnar else None,
            required=self._members.flag(value, "required", path),
            default=self._members.text(value, "default", path) or None,
            transforms=read_transforms(self._members, value.get("transforms"), f"{path}.transforms"),
        )

    def _duplicate_key(self, value: object) -> tuple[str, ...] | None:
        """Read the names of a duplicate key; none is not the same as an empty list."""
        return None if value is None else self._targets(value, "duplicateKey")

    def _targets(self, value: object, member: str) -> tuple[str, ...]:
        """Read a list of names of targets, each of them once."""
        return tuple(
            dict.fromkeys(
                target_named(self._members.scalar(each, path)) for path, each in self._members.items(value, member)
            )
        )

    def _check_separators(self, profile: Profile) -> None:
        """Check delimiter and quote."""
        for name, text, least in (("delimiter", profile.delimiter, 1), ("quote", profile.quote, 0)):
            if not least <= len(text) <= 1 or text in {"\r", "\n"}:
                self._members.fault(name, "one character, and no line break, is expected")
        if profile.delimiter == profile.quote:
            self._members.fault("quote", "delimiter and quote must be different")

    def _check_targets(self, profile: Profile) -> None:
        """Check that the targets are filled that must be, and those that lists name; only if nothing else is wrong."""
        if self.faults:
            return
        mapped = {each.target for each in profile.mapped()}
        for target in REQUIRED:
            if target not in mapped:
                self._members.fault("mappings", f"no field and no mapping fills '{shown(target)}'")
        for at, name in enumerate(profile.duplicate_key or ()):
            if name not in mapped:
                self._members.fault(
                    f"duplicateKey[{at}]", f"'{shown(name)}' is not a target that a field or a mapping fills"
                )
        for at, name in enumerate(profile.required_characteristics):
            if name not in CHARACTERISTICS:
                said = f"{CHARACTERISTICS[0]} to {CHARACTERISTICS[-1]} is expected, not '{shown(name)}'"
                self._members.fault(f"requiredCharacteristics[{at}]", said)
            elif name not in mapped:
                self._members.fault(f"requiredCharacteristics[{at}]", f"no field and no mapping fills '{shown(name)}'")
