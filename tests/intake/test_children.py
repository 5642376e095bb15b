"""Children of the supervisor: how long one that dies before its loop begins waits for its next start."""

import sys

import pytest
from tests.fixtures.processes import wait_until

from ratemill.intake.children import Child


def test_one_that_fails_to_begin_waits_twice_as_long_each_time_up_to_half_a_minute():
    pauses = [Child(["worker"], failures=failures).pause_s for failures in range(8)]
    assert pauses == [0, 2, 4, 8, 16, 30, 30, 30]


def test_one_that_dies_before_its_loop_begins_has_failed():
    child = Child(["no-such-command"])

    def has_failed() -> bool:
        child.keep_running(silent_s_max=60)
        return child.failures == 1

    wait_until(has_failed)
    assert child.process is None
    assert child.start_at > child.started_at + 2


def test_one_that_the_system_cannot_start_is_tried_again_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    child = Child(["worker"])
    child.keep_running(silent_s_max=60)
    assert (child.process, child.failures) == (None, 1)
    assert child.start_at > child.started_at
    child.keep_running(silent_s_max=60)
    assert child.failures == 1, "not before its time"
