"""The members of a profile's entry: scalars, lists and names of fields, with every fault named by its path."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ratemill.mediation.profiles.declared import Field
from ratemill.mediation.profiles.patterns import zone_fault
from ratemill.texts import is_storable
from ratemill.visible import shown


class MemberReader:
    """Reads members and collects what is wrong with them; what cannot be read becomes a stand-in and a fault."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self.fields: tuple[Field, ...] = ()

    def fault(self, path: str, message: str) -> None:
        """Keep what is wrong, and where."""
        self.faults.append((path, message))

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
        if not is_storable(text):
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
