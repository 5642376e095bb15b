"""How long a subscription runs: from its start for the length of its plan, or for ever."""

from __future__ import annotations

from calendar import monthrange
from datetime import MAXYEAR, UTC, datetime, timedelta

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}
_MONTHS_OF_YEAR = 12
_INTERVALS_MAX = 366 * MAXYEAR  # days of the whole calendar: no length beyond it has an end


def ends_at(started_at: datetime, end_behavior: str, interval: str, length: int) -> datetime | None:
    """Return when a subscription ends whose plan has this ``plan_length`` and this end; None if it runs on.

    A plan that closes ends ``plan_length`` intervals of ``billing_interval_type`` after the start, in the calendar of UTC;
    where the month has no such day, on its last. A plan that rolls never ends, nor does one whose end is no date.
    """
    if end_behavior != "close" or not 0 < length <= _INTERVALS_MAX:
        return None
    start = started_at.astimezone(UTC)
    try:
        if interval in _DAYS:
            return start + timedelta(days=length * _DAYS[interval])
        return _months_later(start, length * _MONTHS[interval]) if interval in _MONTHS else None
    except OverflowError:
        return None


def _months_later(start: datetime, months: int) -> datetime | None:
    years, month = divmod(start.month - 1 + months, _MONTHS_OF_YEAR)
    if start.year + years > MAXYEAR:
        return None
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
