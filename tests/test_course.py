"""Where the work is, from events made by hand."""

import pytest

from dgmm.course import Course, duration
from dgmm.passes.events import (
    InitializationStarted,
    IterationFinished,
    PassFinished,
    PassStarted,
    SpanFinished,
    SpansKept,
    StageStarted,
)


def one_pass(*fits: IterationFinished, purpose: str = "EM") -> list:
    started = PassStarted(purpose, 1000, 2, 16_000_000)
    return [started, SpanFinished(500), SpanFinished(500), PassFinished(purpose, 1000, 0.5), *fits]


def fitted(n_iter: int, bound: float, **more) -> IterationFinished:
    return IterationFinished(more.pop("number", 0), n_iter, 100, bound, 0.0, **more)


def test_starts_in_turn_begin_again():
    course = Course()
    for event in [*one_pass(fitted(9, -1.0)), InitializationStarted(1), PassStarted("EM", 10, 1)]:
        course.take(event)
    assert course.doing == "pass 1"
    assert course.left == ""


def test_the_time_left_is_of_the_fit_and_of_a_pass_where_that_is_not_known():
    now = [0.0]
    course = Course(clock=lambda: now[0])
    for event in (StageStarted("survey", ("passes",)), PassStarted("survey", 100, 2), SpansKept(50)):
        course.take(event)
    now[0] = 10.0
    course.take(SpanFinished(25))
    assert (course.left, course.left_here) == ("", "about 10 s left")  # rows that were kept took no time
    course.take(StageStarted("passes"))
    for n_iter in (1, 2):
        now[0] += 30.0
        for event in one_pass(fitted(n_iter, -1.0, n_left=8)):
            course.take(event)
    assert (course.left, course.left_here) == ("about 4 min left", "")
    now[0] += 60.0
    assert course.left == "about 3 min left"


SURVEY = [PassStarted("survey", 1000, 2), SpansKept(500), PassFinished("survey", 1000, 2.0)]


@pytest.mark.parametrize("before", [[], SURVEY[:1], SURVEY, one_pass(purpose="survey")])
def test_what_a_survey_took_is_told_of_whole_ones_that_take_a_second(before: list):
    course = Course()
    for event in [*before, StageStarted("search", ("passes",), 100)]:
        course.take(event)
    assert course.ahead == "then at most 100 passes"


def test_kept_rows_are_not_counted_as_read():
    now = [0.0]
    course = Course(clock=lambda: now[0])
    for event in (PassStarted("EM", 1000, 2, 8000), SpansKept(900), SpanFinished(100)):
        course.take(event)
    now[0] = 1.0
    assert course.speed.startswith("100 rows/s")
    assert course.share == 1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [(0.0, "1 s"), (119.0, "119 s"), (120.0, "2 min"), (7200.0, "2 h"), (1e6, "12 d")],
)
def test_durations(given, said):
    assert duration(given) == said
