"""Dates are read strictly; what has no zone is local time of the profile's."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratemill.mediation.dates import read_dates


def instant(text: str, zone: str = "UTC") -> str | None:
    """Return the instant of a text in UTC, read between two usual ones."""
    read = read_dates(pl.Series(["2022-05-01T01:01:00", text, None, "2022-05-01T01:01:00.5"]), zone)
    assert read.null_count() in {1, 2}
    found = read[1]
    assert found is None or isinstance(found, datetime)
    alone = read_dates(pl.Series([text]), zone)
    assert alone[0] == found, "a date does not depend on its neighbours"
    return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if found else None


GOOD = {
    "2022-05-01T01:01:00": "2022-05-01 01:01:00.000000",
    "2022-05-01T01:01:00.01": "2022-05-01 01:01:00.010000",
    "2022-05-01T01:01:00.1": "2022-05-01 01:01:00.100000",
    "2022-05-01T01:01:00.123456": "2022-05-01 01:01:00.123456",
    "2022-05-01T01:01:00.123456789": "2022-05-01 01:01:00.123456",
    "2022-05-01T01:01:00.01Z": "2022-05-01 01:01:00.010000",
    "2022-05-01T01:01:00Z": "2022-05-01 01:01:00.000000",
    "2022-05-01T01:01:00.123456Z": "2022-05-01 01:01:00.123456",
    "2022-05-01 01:01:00": "2022-05-01 01:01:00.000000",
    "2022-05-01t01:01:00z": "2022-05-01 01:01:00.000000",
    "2022-05-01T01:01": "2022-05-01 01:01:00.000000",
    "2022-05-01T01:01:00+02:00": "2022-04-30 23:01:00.000000",
    "2022-05-01T01:01:00.5-0530": "2022-05-01 06:31:00.500000",
    "2022-05-01T01:01:00+02": "2022-04-30 23:01:00.000000",
    "2022-05-01T01:01:00,25 +02:00": "2022-04-30 23:01:00.250000",
    "2022-05-01": "2022-05-01 00:00:00.000000",
    "2024-02-29": "2024-02-29 00:00:00.000000",
    "2022-12-31T23:59:59.999999": "2022-12-31 23:59:59.999999",
}


@pytest.mark.parametrize(("text", "found"), GOOD.items())
def test_iso_dates_are_read(text: str, found: str):
    assert instant(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "2022-02-30T00:00:00",
        "2022-02-29",
        "2022-13-01",
        "2022-00-10",
        "2022-05-00",
        "2022-05-01T24:00:00",
        "2022-05-01T25:00:00",
        "2022-05-01T01:60:00",
        "2022-05-01T01:01:60",
        "2022-05-01T01:01:00.",
        "2022-05-01T01:01:00.1234567890",
        "2022-05-01T01:01:00.5x",
        "2022-05-01T01",
        "2022-05-01T01:01:00+24:00",
        "2022-05-01T01:01:00+02:60",
        "2022-05-01Z",
        "2022-5-1",
        "20220501",
        "01/05/2022",
        " 2022-05-01",
        "2022-05-01T01:01:00\n",
        "0000-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2022",
        "now",
        "٢٠٢٢-05-01",
    ],
)
def test_what_is_no_date_is_never_made_one(text: str):
    assert instant(text) is None
    assert instant(text, "Europe/Berlin") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2022-07-01T12:00:00", "2022-07-01 10:00:00.000000"),
        ("2022-01-01T12:00:00.5", "2022-01-01 11:00:00.500000"),
        ("2022-07-01", "2022-06-30 22:00:00.000000"),
        ("2022-07-01T12:00:00Z", "2022-07-01 12:00:00.000000"),
        ("2022-07-01T12:00:00.25Z", "2022-07-01 12:00:00.250000"),
        ("2022-07-01T12:00:00+05:00", "2022-07-01 07:00:00.000000"),
        ("2022-10-30T02:30:00", "2022-10-30 00:30:00.000000"),
        ("2022-10-30T03:00:00", "2022-10-30 02:00:00.000000"),
        ("2022-03-27T02:30:00", "2022-03-27 01:30:00.000000"),
        ("2022-03-27T01:59:59", "2022-03-27 00:59:59.000000"),
        ("2022-03-27T03:00:00", "2022-03-27 01:00:00.000000"),
    ],
)
def test_local_times_of_days_on_which_clocks_change(text: str, found: str):
    assert instant(text, "Europe/Berlin") == found


def first_of(year: int) -> datetime:
    """Return the first instant of a year, without a zone: a bound for local times."""
    return datetime(year, 1, 1)  # noqa: DTZ001


@given(
    st.datetimes(first_of(1971), first_of(2037)),
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
)
@settings(deadline=None)
def test_local_times_agree_with_the_standard_library(local: datetime, zone: str):
    expected = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert read_dates(pl.Series([local.isoformat()]), zone)[0] == expected


OFFSETS = [UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=3, minutes=30))]


@given(st.datetimes(first_of(2), first_of(9999), timezones=st.sampled_from(OFFSETS)), st.sampled_from("T "))
@settings(deadline=None)
def test_written_instants_come_back(written: datetime, separator: str):
    assert read_dates(pl.Series([written.isoformat(separator)]), "Asia/Tokyo")[0] == written
