"""The loop of a worker and a runner: pauses without work, waits for a database that is away, settles at the end."""

from threading import Event

import pytest

from ratemill import heartbeat
from ratemill.errors import DatabaseAway, Unavailable
from ratemill.intake import loop


class Waits(Event):
    """The stop of a process, which notes each pause and is set at the end of the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return self.is_set()


class Planned:
    """Steps that end as planned; ``settled`` counts how often the attempts were settled."""

    pause_s = 0.25

    def __init__(self, stopping: Event, *ends: bool | Exception, at_settle: Exception | None = None) -> None:
        self.stopping, self.ends, self.at_settle, self.settled = stopping, list(ends), at_settle, 0

    def step(self) -> bool:
        end = self.ends.pop(0)
        if not self.ends:
            self.stopping.set()
        if isinstance(end, Exception):
            raise end
        return end

    def settle(self) -> None:
        self.settled += 1
        if self.at_settle is not None:
            raise self.at_settle


def ran(*ends: bool | Exception, at_settle: Exception | None = None) -> tuple[list[float | None], int]:
    """Return the pauses between steps that ended so, and how often the attempts were settled."""
    stopping = Waits()
    planned = Planned(stopping, *ends, at_settle=at_settle)
    loop.run(planned, stopping)
    return stopping.pauses, planned.settled


def test_a_step_that_found_work_is_followed_by_the_next_without_a_pause():
    assert ran(True, True, False, True) == ([0.25], 1)


def test_a_database_that_is_away_is_waited_for_longer_than_work():
    assert ran(DatabaseAway("away"), DatabaseAway("away"), False) == ([loop.AWAY_S, loop.AWAY_S, 0.25], 1)


def test_a_step_that_is_put_off_is_logged_and_tried_again_after_the_pause(capsys: pytest.CaptureFixture[str]):
    assert ran(Unavailable("every connection is in use"), True) == ([0.25], 1)
    said = "".join(capsys.readouterr())
    assert said.count("step_put_off") == said.count("every connection is in use") == 1


def test_a_process_that_stops_has_settled_even_if_the_database_is_away():
    assert ran(True, at_settle=DatabaseAway("away")) == ([], 1)


def test_each_step_moves_the_heartbeat(monkeypatch: pytest.MonkeyPatch):
    beats: list[bool] = []
    monkeypatch.setattr(heartbeat, "beat", lambda: beats.append(True))
    ran(True, False, Unavailable("no"), DatabaseAway("away"))
    assert len(beats) == 4


def test_an_error_that_is_not_the_worlds_ends_the_process():
    with pytest.raises(ZeroDivisionError):
        ran(ZeroDivisionError(), True)
