"""The heartbeat: moved by the working loop, read by another process, and the end of work that takes too long."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ratemill import heartbeat

CHILD = """
import sys
from ratemill import heartbeat
heartbeat.share(int(sys.argv[1]))
for _ in range(3):
    heartbeat.beat()
"""


@pytest.fixture(autouse=True)
def _no_heart_of_another_test() -> Iterator[None]:
    yield
    heartbeat._heart.stop_at = None  # the tests share one process


def test_a_counter_is_read_from_outside_the_process_that_moves_it():
    file = heartbeat.new_file()
    counter = heartbeat.Counter(file)
    assert counter.read() == 0
    subprocess.run([sys.executable, "-c", CHILD, str(file)], pass_fds=[file], check=True)
    os.close(file)
    assert counter.read() == 3
    counter.close()


def test_a_process_that_nobody_supervises_beats_all_the_same():
    heartbeat.beat()


def test_once_the_time_is_over_work_is_ended_and_what_cleans_up_has_time():
    heartbeat.stop_within(60)
    heartbeat.beat()
    heartbeat.stop_within(0)
    with pytest.raises(heartbeat.Stopping):
        heartbeat.beat()
    heartbeat.beat()
