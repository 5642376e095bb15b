"""Rules for the names of owners and tokens: what is shown is what is stored, and no two names look the same."""

from __future__ import annotations

import re
import unicodedata

from ratemill.visible import shown, visible

NAME_CHARS_MAX = 255
# Scripts whose capitals and small letters can be mistaken for each other.
_LOOK_ALIKE_SCRIPTS = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK", "LATIN"})


def name_fault(name: str) -> str | None:
    """Return why a text cannot be the name of an owner or token, as the end of a sentence; None if it can."""
    if not name.strip():
        return "is required"
    if len(name) > NAME_CHARS_MAX:
        return f"must have at most {NAME_CHARS_MAX} characters, got {len(name)}"
    for position, character in enumerate(name, start=1):
        if visible(character) != character:
            return f"must not contain invisible characters, got U+{ord(character):04X} at character {position}"
    if name != name.strip() or "  " in name:
        return "must not begin or end with a space, or contain two in a row"
    if not unicodedata.is_normalized("NFC", name):
        return "must be in Unicode normal form C"
    return _mixed_scripts(name)


def likeness(name: str) -> str:
    """Return a text that is the same for names that differ only in letter case or in the form of their characters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _mixed_scripts(name: str) -> str | None:
    for word in re.findall(r"\w+", name):
        scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
        mixed = sorted(each.capitalize() for each in scripts & _LOOK_ALIKE_SCRIPTS)
        if len(mixed) > 1:
            return f"must not mix {' and '.join(mixed)} letters in one word, got '{shown(word)}'"
    return None
