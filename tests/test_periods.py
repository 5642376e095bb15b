"""Instants are written in one form, whatever their year."""

from datetime import datetime

import pytest

from ratemill.periods import growing_pause, read_instant, write_instant


@pytest.mark.parametrize(
    "text",
    ["0250-05-19T04:08:39.000Z", "2021-04-26T15:25:27.587Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z"],
)
def test_an_instant_is_written_as_it_is_read(text: str):
    assert write_instant(read_instant(text)) == text


def test_microseconds_are_cut_off():
    assert write_instant(datetime.fromisoformat("2021-04-26T15:25:27.587999+02:00")) == "2021-04-26T13:25:27.587Z"


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (1_000, 5.0), (100_000, 5.0)]
)
def test_a_pause_doubles_with_each_failure_up_to_its_bound(failures: int, pause_s: float):
    assert growing_pause(0.5, 5.0, failures) == pause_s
