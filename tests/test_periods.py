"""Instants are written in one form, whatever their year."""

from datetime import datetime

import pytest

from ratemill.periods import read_instant, write_instant


@pytest.mark.parametrize(
    "text",
    ["0250-05-19T04:08:39.000Z", "2021-04-26T15:25:27.587Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z"],
)
def test_an_instant_is_written_as_it_is_read(text: str):
    assert write_instant(read_instant(text)) == text


def test_microseconds_are_cut_off():
    assert write_instant(datetime.fromisoformat("2021-04-26T15:25:27.587999+02:00")) == "2021-04-26T13:25:27.587Z"
