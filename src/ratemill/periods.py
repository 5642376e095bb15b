"""Instants and spans: how they are read and written. Every span is [start, end), kept in UTC; an absent end is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratemill.visible import shown


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
