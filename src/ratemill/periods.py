"""Time: how instants and spans are read and written, and how pauses grow.

Every span is [start, end), kept in UTC; an absent end is open.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratemill.visible import shown

_DOUBLINGS_MAX = 10  # the bound of every pause is reached by then, and the power stays small


def write_instant(instant: datetime) -> str:
    """Write an instant in UTC with milliseconds and ``Z``: ``2021-04-26T15:25:27.587Z``."""
    # Not strftime, whose %Y gives a year before 1000 fewer than four digits.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def read_instant(text: str, zone: str = "UTC") -> datetime:
    """Return the instant that an ISO 8601 text names.

    A time without a zone is UTC; a bare date is midnight in ``zone``. Raises ``ValueError`` for anything else.
    """
    text = text.strip()
    if len(text) == len("2022-05-01") and "T" not in text:
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=read_zone(zone)).astimezone(UTC)
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def read_zone(name: str) -> ZoneInfo:
    """Return the time zone of that name; raise ``ValueError`` if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"'{shown(name)}' is no time zone") from error


def growing_pause(first_s: float, longest_s: float, failures: int) -> float:
    """Return the pause in seconds: the first one doubled for each failure in a row, and never longer than the bound."""
    doubled: float = first_s * 2 ** min(failures, _DOUBLINGS_MAX)
    return min(longest_s, doubled)
