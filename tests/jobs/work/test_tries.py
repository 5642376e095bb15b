"""The next table of a job: halved after failures, refused only where the row that is alone failed often enough."""

import pytest

from ratemill.jobs.work.tries import TableTry

ERROR, DEATH = "ValueError()", None


@pytest.mark.parametrize(
    ("attempts", "errors", "rows_max", "refuses"),
    [
        (0, [], 8, False),
        (0, [ERROR], 8, False),
        (0, [ERROR] * 2, 4, False),
        (0, [ERROR] * 4, 1, False),
        (0, [ERROR] * 5, 1, False),
        (0, [ERROR] * 6, 1, True),
        (0, [DEATH] * 13, 1, False),
        (0, [DEATH] * 14, 1, True),
        (0, [*[DEATH] * 13, ERROR], 1, False),
        (4, [], 1, False),
        (4, [ERROR] * 2, 1, True),
    ],
)
def test_a_row_is_refused_after_two_errors_or_ten_deaths_alone(
    attempts: int, errors: list[str | None], rows_max: int, refuses: bool
):
    tried = TableTry(attempts, errors, 8)
    assert (tried.rows_max, tried.refuses) == (rows_max, refuses)


def test_the_row_after_a_refused_one_has_not_been_tried():
    left = TableTry(0, [ERROR] * 20, 8).attempts_left
    assert TableTry(left, [], 8).rows_max == 1
    assert not TableTry(left, [ERROR], 8).refuses


def test_a_step_that_cannot_be_halved_is_given_up_after_errors_and_not_after_as_many_deaths():
    assert not TableTry(0, [DEATH] * 5, 8).breaks_step
    assert TableTry(0, [ERROR] * 5, 8).breaks_step
