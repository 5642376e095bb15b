"""Time periods: the forms of their windows, and that no rate group can have one before they are rated."""

from __future__ import annotations

import json

import pytest
from tests.setup.rows import rows_of

from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def apply(database: Database, text: str):
    return apply_document(database, text, None, create_owner=True, created_by="test")


@pytest.mark.parametrize(
    ("windows", "kept"),
    [
        ("[{}]", [{"days": EVERY_DAY, "from": "00:00", "to": "24:00"}]),
        ("[{from: 22:00, to: 06:00}]", [{"days": EVERY_DAY, "from": "22:00", "to": "06:00"}]),
        ("[{from: 18:00, to: 00:00}]", [{"days": EVERY_DAY, "from": "18:00", "to": "24:00"}]),
        ("[{days: [sun, Sat], to: 24:00}]", [{"days": ["sat", "sun"], "from": "00:00", "to": "24:00"}]),
        (
            "[{days: [mon], dates: [2026-12-25, 02-29]}]",
            [{"days": ["mon"], "from": "00:00", "to": "24:00", "dates": ["02-29", "2026-12-25"]}],
        ),
        ('[{"from": "08:00", "to": null, "days": null}]', [{"days": EVERY_DAY, "from": "08:00", "to": "24:00"}]),
    ],
)
def test_windows_are_kept_in_one_form_and_applied_twice_are_the_same(database: Database, windows, kept):
    text = f"ratemill: 1\ntimePeriods: [{{name: T, timeZone: Europe/Paris, windows: {windows}}}]\n"
    assert apply(database, text).errors == []
    with database.worker() as connection:
        document = connection.exec_driver_sql("select document from time_periods where name = 'T'").scalar_one()
    assert document == {"windows": kept}
    assert apply(database, text).count("unchanged") == 1
    assert apply(database, export_document(database, "default")).count("updated") == 0


@pytest.mark.parametrize(
    ("windows", "path", "message"),
    [
        (None, "windows", "at least one window is required: {days, from, to, dates}"),
        ([], "windows", "at least one window is required: {days, from, to, dates}"),
        ("mon", "windows", "at least one window is required: {days, from, to, dates}"),
        ([{}] * 101, "windows", "there are 101 windows, at most 100 are taken"),
        ([5], "windows[0]", "a mapping of days, from, to, dates is expected"),
        ([{}, {"day": "mon"}], "windows[1].day", "there is no member 'day' in a window"),
        ([{"days": []}], "windows[0].days", "a list of days is expected"),
        ([{"days": ["mon", "may"]}], "windows[0].days[1]", f"'may' is none of {', '.join(EVERY_DAY)}"),
        ([{"days": ["mon", "MON"]}], "windows[0].days[1]", "'mon' stands here twice"),
        ([{"from": "8:00"}], "windows[0].from", "'8:00' is not a time of day: write \"08:30\""),
        ([{"from": "24:00"}], "windows[0].from", "'24:00' is not a time of day: write \"08:30\""),
        ([{"to": "24:30"}], "windows[0].to", "'24:30' is not a time of day: write \"08:30\""),
        ([{"to": 8}], "windows[0].to", "'8' is not a time of day: write \"08:30\""),
        ([{"from": "08:00", "to": "08:00"}], "windows[0].to", "the window ends at 08:00, when it begins"),
        (
            [{"dates": ["02-30"]}],
            "windows[0].dates[0]",
            "'02-30' is not a date: write 2026-12-25, or 12-25 for every year",
        ),
        (
            [{"dates": ["2026-02-29"]}],
            "windows[0].dates[0]",
            "'2026-02-29' is not a date: write 2026-12-25, or 12-25 for every year",
        ),
        ([{"dates": ["12-25"] * 1_001}], "windows[0].dates", "there are 1001 dates, at most 1000 are taken"),
    ],
)
def test_a_window_out_of_form_is_one_fault(database: Database, windows, path, message):
    before = rows_of(database)
    text = json.dumps({"ratemill": 1, "timePeriods": [{"name": "X", "windows": windows}]})
    applied = apply(database, text)
    assert [(fault.path, fault.message) for fault in applied.errors] == [(f"timePeriods[0].{path}", message)]
    assert rows_of(database) == before


def test_the_zone_is_a_named_one(database: Database):
    text = "ratemill: 1\ntimePeriods: [{name: X, timeZone: Paris, windows: [{}]}]\n"
    (fault,) = apply(database, text).errors
    assert (fault.path, fault.message) == ("timePeriods[0].timeZone", "'Paris' is no time zone")


def test_a_rate_group_cannot_have_a_time_period_before_they_are_rated(database: Database):
    text = """ratemill: 1
timePeriods: [{name: Night, windows: [{from: 22:00, to: 06:00}]}]
usageRateGroups: [{name: G, currencyName: USD, timePeriodName: Night}]
"""
    (fault,) = apply(database, text).errors
    assert fault.path == "usageRateGroups[0].timePeriodName"
    assert fault.message == "time periods are not rated yet: a rate group cannot have one"
    assert apply(database, text.replace(", timePeriodName: Night", "")).errors == []
