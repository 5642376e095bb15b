"""When a subscription ends: by its plan's length, in the calendar of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ratemill.reference.subscriptions.offerings import ends_at

START = datetime(2024, 1, 31, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "length", "end"),
    [
        ("day", 10, datetime(2024, 2, 10, 10, 30, tzinfo=UTC)),
        ("week", 2, datetime(2024, 2, 14, 10, 30, tzinfo=UTC)),
        ("month", 1, datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("month", 2, datetime(2024, 3, 31, 10, 30, tzinfo=UTC)),
        ("month", 11, datetime(2024, 12, 31, 10, 30, tzinfo=UTC)),
        ("month", 12, datetime(2025, 1, 31, 10, 30, tzinfo=UTC)),
        ("year", 1, datetime(2025, 1, 31, 10, 30, tzinfo=UTC)),
        ("year", 7975, datetime(9999, 1, 31, 10, 30, tzinfo=UTC)),
        ("year", 7976, None),
        ("day", 10**18, None),
        ("month", 1_000, datetime(2107, 5, 31, 10, 30, tzinfo=UTC)),
        ("day", 3652059, None),
        ("month", 0, None),
    ],
)
def test_a_plan_that_closes_ends_so_many_intervals_after_the_start(interval: str, length: int, end: datetime | None):
    assert ends_at(START, "close", interval, length) == end


def test_the_calendar_is_that_of_utc():
    start = datetime(2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=5)))  # still February in UTC
    assert ends_at(start, "close", "month", 1) == datetime(2024, 3, 29, 20, tzinfo=UTC)


@pytest.mark.parametrize(("end_behavior", "interval"), [("roll", "month"), ("close", "fortnight")])
def test_any_other_runs_on(end_behavior: str, interval: str):
    assert ends_at(START, end_behavior, interval, 12) is None
