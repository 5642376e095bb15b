"""Windows of a time period: days, hours and dates. An instant is inside if its wall clock is inside all three.

Hours that end at or before their beginning go over midnight and belong to the day on which they begin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from ratemill.setup.declaration import Entry
from ratemill.setup.rules.findings import Findings
from ratemill.setup.world import World
from ratemill.visible import shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX = 100  # windows of a time period: a record is held to each of them
DATES_MAX = 1_000  # dates of a window: the holidays of half a century
MIDNIGHT, DAY_END = "00:00", "24:00"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z", re.ASCII)
_DATE = re.compile(r"(\d{4}-)?\d{2}-\d{2}\Z", re.ASCII)
_LEAP_YEAR = "2000-"  # of a date without a year: every year that has the day

Json = dict[str, Any]


class _WindowFault(ValueError):
    """A part of a window cannot be read; carries where, within the window, and why."""

    def __init__(self, message: str, at: str = "") -> None:
        self.at = at
        super().__init__(message)


def check_windows(entry: Entry, _world: World) -> Findings:
    """Hold the windows of a time period to their form, and keep them in one form."""
    windows = entry.row["document"].get("windows")
    if not isinstance(windows, list) or not windows:
        yield "windows", "at least one window is required: {days, from, to, dates}"
        return
    if len(windows) > WINDOWS_MAX:
        yield "windows", f"there are {len(windows)} windows, at most {WINDOWS_MAX} are taken"
        return
    found = [(at, list(_faults(window))) for at, window in enumerate(windows)]
    yield from ((f"windows[{at}]{fault.at}", str(fault)) for at, faults in found for fault in faults)
    if not any(faults for _, faults in found):
        entry.row["document"] = {"windows": [_written(window) for window in windows]}


def _faults(window: object) -> Iterator[_WindowFault]:
    if not isinstance(window, dict):
        yield _WindowFault("a mapping of days, from, to, dates is expected")
        return
    for name, value in window.items():
        if name not in _PARTS:
            yield _WindowFault(f"there is no member '{shown(name)}' in a window", f".{name}")
            continue
        try:
            _PARTS[name](value)
        except _WindowFault as error:
            yield _WindowFault(str(error), f".{name}{error.at}")
    if window.get("from") is not None and window["from"] == window.get("to"):
        yield _WindowFault(f"the window ends at {window['to']}, when it begins", ".to")


def _written(window: Json) -> Json:
    """Return a window that is sound in its one form: days in the order of the week, and hours, always; dates if given."""
    begin = _from(window.get("from"))
    end = _to(window.get("to"))
    dates = _dates(window.get("dates"))
    return {
        "days": _days(window.get("days")),
        "from": begin,
        "to": DAY_END if end == MIDNIGHT else end,
        **({"dates": dates} if dates else {}),
    }


def _days(value: object) -> list[str]:
    if value is None:
        return list(DAYS)
    return sorted(_texts(value, _day, "days"), key=DAYS.index)


def _day(text: str) -> str:
    if text.lower() not in DAYS:
        raise _WindowFault(f"'{shown(text)}' is none of {', '.join(DAYS)}")
    return text.lower()


def _from(value: object) -> str:
    return MIDNIGHT if value is None else _clock(value)


def _to(value: object) -> str:
    return DAY_END if value is None else _clock(value, DAY_END)


def _clock(value: object, beside: str = "") -> str:
    if not isinstance(value, str) or not (_CLOCK.match(value) or value == beside):
        raise _WindowFault(f"'{shown(value)}' is not a time of day: write \"08:30\"")
    return value


def _dates(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list) and len(value) > DATES_MAX:
        raise _WindowFault(f"there are {len(value)} dates, at most {DATES_MAX} are taken")
    return sorted(_texts(value, _date, "dates"))


def _date(text: str) -> str:
    try:
        if _DATE.match(text):
            date.fromisoformat(text if len(text) > len("12-25") else _LEAP_YEAR + text)
            return text
    except ValueError:
        pass
    raise _WindowFault(f"'{shown(text)}' is not a date: write 2026-12-25, or 12-25 for every year")


def _texts(value: object, read: Callable[[str], str], noun: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise _WindowFault(f"a list of {noun} is expected")
    texts: list[str] = []
    for at, each in enumerate(value):
        try:
            text = read(str(each))
        except _WindowFault as error:
            raise _WindowFault(str(error), f"[{at}]") from None
        if text in texts:
            raise _WindowFault(f"'{shown(text)}' stands here twice", f"[{at}]")
        texts.append(text)
    return texts


_PARTS: dict[str, Callable[[object], object]] = {"days": _days, "from": _from, "to": _to, "dates": _dates}
