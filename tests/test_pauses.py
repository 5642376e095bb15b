"""A pause grows with each failure in a row, up to its bound, however many failures there are."""

import pytest

from ratemill.pauses import growing


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (1_000, 5.0), (100_000, 5.0)]
)
def test_a_pause_doubles_with_each_failure_up_to_its_bound(failures: int, pause_s: float):
    assert growing(0.5, 5.0, failures) == pause_s
