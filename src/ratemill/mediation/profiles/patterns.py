"""What a profile hands to the table engine and must not fail there: regular expressions, date formats, time zones.

The engine is loaded only for a profile that needs its word: processes that hold no tables stay small.
"""

from __future__ import annotations

import re
from typing import NoReturn

from ratemill.periods import read_zone
from ratemill.visible import shown

# The letters of formats that are spelled out, and what the engine calls them.
_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%m",
    "dd": "%d",
    "d": "%d",
    "HH": "%H",
    "H": "%H",
    "hh": "%I",
    "h": "%I",
    "mm": "%M",
    "m": "%M",
    "ss": "%S",
    "s": "%S",
    "tt": "%p",
    "a": "%p",
    "zzz": "%z",
    "XXX": "%z",
}
# A quoted text, a point with the letters of a fraction, a run of one letter, anything else.
_SPELLED = re.compile(r"'([^']*)'|(\.[fS]+|([A-Za-z])\3*)|[^A-Za-z']", re.DOTALL)


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a regular expression of the engine's kind (no look-around, no back-references)."""
    from ratemill.mediation.profiles import engine

    return engine.pattern_fault(pattern)


def engine_format(form: str) -> str:
    """Return a date format in the engine's letters: one without a per cent sign is spelled out, ``dd.MM.yyyy HH:mm``.

    Raises ``ValueError`` for a letter that means nothing.
    """
    if "%" in form:
        return form
    return "".join(_engine_letters(found) for found in _SPELLED.finditer(form))


def _engine_letters(match: re.Match[str]) -> str:
    quoted, run, _ = match.groups()
    if quoted is not None:
        return str(quoted)
    if run is None or run == "T":
        return match.group()
    if run.startswith("."):
        return "%.f"
    return _LETTERS[run] if run in _LETTERS else _no_letter(run)


def _no_letter(run: str) -> NoReturn:
    raise ValueError(f"'{shown(run)}' means nothing in a date format")


def date_format_fault(form: str) -> str | None:
    """Return what is wrong with a date format: it must give a date, and read what it writes."""
    from ratemill.mediation.profiles import engine

    try:
        letters = engine_format(form)
    except ValueError:
        return f"'{shown(form)}' is no date format"
    return None if "%" in letters and engine.reads_what_it_writes(letters) else f"'{shown(form)}' is no date format"


def zone_fault(zone: str) -> str | None:
    """Return what is wrong with the name of a time zone."""
    if zone == "UTC":
        return None
    from ratemill.mediation.profiles import engine

    try:
        read_zone(zone)
    except ValueError:
        return f"'{shown(zone)}' is no time zone"
    return None if engine.knows_zone(zone) else f"'{shown(zone)}' is no time zone"
