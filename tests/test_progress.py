"""What is shown while rows are read, from events made by hand and of real commands in a terminal."""

import io
import itertools

import numpy as np
import pytest
import zarr
from rich.console import Console

from dgmm.course import Course
from dgmm.passes.events import (
    ClusterBack,
    ClusterWaiting,
    InitializationFinished,
    InitializationStarted,
    IterationFinished,
    PassFinished,
    PassStarted,
    Resumed,
    SpanFinished,
    StageStarted,
    TaskFinished,
    TasksFinished,
    TasksStarted,
    emit,
)
from dgmm.progress import Display, Lines, showing_progress
from tests.terminal import COLUMNS, run_in_terminal
from tests.test_course import fitted, one_pass

TASKS = [
    TasksStarted("trying starts", 2),
    TaskFinished(),
    TaskFinished(),
    TasksFinished("trying starts", 2, 1.25),
]
FIT = [
    StageStarted("survey", ("search", "passes")),
    *one_pass(purpose="survey"),
    StageStarted("search", ("passes",)),
    *TASKS,
    StageStarted("passes"),
    *one_pass(fitted(1, -2.0, n_left=99)),
    *one_pass(fitted(2, -1.5, n_left=7)),
    *one_pass(fitted(3, -1.5, lost=0.25, n_left=6)),
    *one_pass(fitted(4, -1.25)),
]


def lines_of(events: list, clock=lambda: 0.0) -> list[str]:
    found = []
    lines = Lines(Course(clock=clock), found.append)
    for event in events:
        lines.handle(event)
    lines.finish()
    return found


def seconds(step: float):
    """Return a clock that goes on by so many seconds whenever it is asked."""
    return itertools.count(0.0, step).__next__


def test_a_log_of_a_fit_says_the_step_and_the_gain_since_the_last_line():
    survey, search, first, second, third, last, done = lines_of(FIT, seconds(3.0))
    assert survey == "[step 1 of 3] survey; 1,000 rows in 0.5 s, 2,000 rows/s, 0.03 GB/s"
    assert search == "[step 2 of 3] trying starts: 2 tasks in 1.2 s"
    assert first.startswith(
        "[step 3 of 3] pass 1 of at most 100: log-likelihood -2.000000 nats a row; 1,000 rows"
    )
    assert ", at most " in first  # nothing is known of what passes gain
    assert "log-likelihood -1.500000 nats a row, +5.0e-01 since pass 1; 1,000" in second
    assert ", about " in second
    assert "log-likelihood -1.500000 nats a row; pass 3 lost 2.5e-01: rejected; 1,000" in third
    assert "pass 4 of at most 100: log-likelihood -1.250000 nats a row, +2.5e-01 since pass 3" in last
    assert done.startswith("done: 5 passes in ")


def test_lines_that_are_left_out_are_in_the_gain_of_the_next():
    """Passes in a tenth of a second: what a rejected pass says is what was gained since the last line."""
    fast = [one_pass(fitted(i, -2.0 + i / 100)) for i in range(1, 60)]
    fast.append(one_pass(fitted(60, -1.41, lost=0.5)))
    found = lines_of([StageStarted("passes"), *itertools.chain(*fast)], seconds(0.02))
    assert 3 < len(found) < 12
    *_, before, last, done = found
    shown = int(before.split("pass ")[1].split()[0])
    assert f"-1.410000 nats a row, {0.59 - shown / 100:+.1e} since pass {shown}; pass 60 lost 5.0e-01" in last
    assert done.startswith("done: 60 passes")


def test_tasks_that_are_none_are_not_told():
    assert lines_of([TasksStarted("growing", 0), TasksFinished("growing", 0, 0.0)]) == []
    assert lines_of([TasksStarted("one", 1), TasksFinished("one", 1, 2.0)]) == ["one: 1 task in 2.0 s"]


def test_a_pass_after_the_last_is_none_of_the_fit():
    """Of rows in memory, whose sums are taken when the fit has ended: what that reached is told with them."""
    ended = [*one_pass(fitted(7, -1.5)), InitializationFinished(0, -1.5, True)]
    survey = [StageStarted("survey", ("iterations",), 100), *one_pass(purpose="survey")]
    _, line, done = lines_of([*survey, StageStarted("iterations"), *ended, *one_pass()])
    assert done.startswith("done: 1 pass in ")  # iterations in memory are none
    assert line.startswith("[step 2 of 2] sums of the fit: log-likelihood -1.500000 nats a row; 1,000 rows")
    course = Course()
    for event in survey:
        course.take(event)
    assert course.ahead == "then at most 100 iterations"
    course = Course()
    for event in [*ended, InitializationStarted(1), *one_pass()]:
        course.take(event)
    assert course.doing == "pass 1"  # of another start


def test_each_step_has_a_line_however_fast():
    found = lines_of(FIT)
    assert [line[:13] for line in found[:-1]] == ["[step 1 of 3]", "[step 2 of 3]", "[step 3 of 3]"]
    assert "pass 4 of at most 100" in found[2]


def test_what_is_no_fit_has_no_steps():
    score = one_pass(purpose="score")
    assert lines_of(score) == ["score; 1,000 rows in 0.5 s, 2,000 rows/s, 0.03 GB/s"]
    assert lines_of([Resumed("here", "3 passes")]) == ["going on from here: 3 passes"]


def test_a_second_fit_begins_its_own_steps():
    """As of the demo; but rows that are left out first are a step of the same fit."""
    first = [StageStarted("complete", ("survey", "passes")), *one_pass(purpose="count")]
    rest = [StageStarted("survey", ("passes",)), *one_pass(purpose="survey"), StageStarted("passes")]
    found = lines_of([*first, *rest, *one_pass(fitted(1, -1.0)), *rest, *one_pass(fitted(1, -1.0))])
    steps = [line.split("]")[0] for line in found[:-1]]
    assert steps == ["[step 1 of 3", "[step 2 of 3", "[step 3 of 3", "[step 1 of 2", "[step 2 of 2"]


def test_the_best_of_fits_that_share_passes_is_told():
    several = one_pass(fitted(1, -3.0), fitted(1, -2.0, number=1), fitted(1, -4.0, number=2))
    line, _ = lines_of([StageStarted("passes"), *several])
    assert "log-likelihood -2.000000 nats a row, best of 3" in line


def test_before_its_passes_a_fit_says_how_many_may_follow_and_what_one_took():
    now, said = [0.0], []
    course = Course(clock=lambda: now[0])
    lines = Lines(course, said.append)

    def take(*events):
        for event in events:
            lines.handle(event)

    take(StageStarted("survey", ("search", "passes"), 100), PassStarted("survey", 1000, 2), SpanFinished(500))
    assert course.ahead == "then search, then at most 100 passes"
    now[0] = 2.0
    take(SpanFinished(500), PassFinished("survey", 1000, 2.0))
    take(StageStarted("search", ("passes",), 100))
    assert course.ahead == "then at most 100 passes; the survey's took 2 s"
    assert said[-1] == "[step 2 of 3] search, then at most 100 passes; the survey's took 2 s"
    take(TasksStarted("trying starts", 8), TaskFinished())
    now[0] = 4.0
    assert (course.left, course.left_here) == ("", "about 14 s left")  # of these tasks: others may follow
    take(StageStarted("passes"), PassStarted("EM", 1000, 2))
    now[0] = 6.0
    take(SpanFinished(500))
    assert (course.left, course.left_here, course.ahead) == ("", "about 2 s left", "")


def shown(events: list, width: int = COLUMNS) -> str:
    """Return the lines of a display at the end of some events."""
    file = io.StringIO()
    console, display = Console(file=file, width=width, color_system=None), Display(Course())
    take = display.handle(lambda line: None)
    for event in events:
        take(event)
    console.print(display())
    return file.getvalue()


@pytest.mark.parametrize("cut", range(1, len(FIT)))
@pytest.mark.parametrize("width", [20, COLUMNS, 160])
def test_no_line_is_wider_than_the_terminal(cut, width):
    lines = shown(FIT[:cut], width).splitlines()
    assert len(lines) <= 3
    assert all(len(line) <= width for line in lines)


def test_eighty_columns_have_room_for_large_numbers():
    last = IterationFinished(0, 998, 1000, -1234.567891, 1e-5, "lower bound", n_left=2)
    large = [
        StageStarted("complete", ("survey", "search", "passes")),
        StageStarted("survey", ("search", "passes")),
        StageStarted("search", ("passes",)),
        StageStarted("passes"),
        *one_pass(IterationFinished(0, 997, 1000, -1234.5679, 1e-5, "lower bound", n_left=3)),
        PassStarted("EM", 9_999_999_999, 2, 10**13),
        PassFinished("EM", 9_999_999_999, 99.0),
        last,
    ]
    lines = shown(large)
    assert "…" not in lines
    for part in (
        "step 4 of 4",
        "complete · survey · search · passes · done",
        "pass 998 of at most 1,000",
        "100%",
    ):
        assert part in lines
    assert "101,010,101 rows/s, 101.01 GB/s" in lines
    assert "lower bound -1234.567891 nats a row, +9.0e-06 since pass 997" in lines


def test_a_wait_for_workers_is_shown_until_it_ends():
    waiting = ClusterWaiting("EM", "it has no worker", 30.0, 870.0)
    assert "waiting for workers" in shown([one_pass()[0], waiting])
    assert "waiting for workers" not in shown([one_pass()[0], waiting, ClusterBack("EM")])


def test_what_is_printed_meanwhile_is_above_the_display():
    file = io.StringIO()
    with showing_progress(Console(file=file, force_terminal=True, width=COLUMNS, color_system=None)):
        emit(Resumed("here", "3 passes"))
        emit(StageStarted("passes"))
        print("a line")
    said = file.getvalue()
    assert "going on from here: 3 passes" in said
    assert said.index("a line") < said.rindex("passes · done")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    generator = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("rows")
    values = np.concatenate([generator.normal(size=(3000, 2)), generator.normal(3.0, 2.0, (2000, 2))])
    stored = zarr.create_array(folder / "rows.zarr", shape=(5000, 2), chunks=(1000, 2), dtype="f8")
    stored[:] = generator.permutation(values)
    return folder


def test_a_command_in_a_terminal_shows_steps_and_leaves_warnings_whole(rows):
    out = rows / "model.npz"
    command = (
        f"dgmm fit {rows / 'rows.zarr'} -k 2 --sample-rows 600 --max-iter 3 --tol 0 --seed 0 --out {out}"
    )
    found = run_in_terminal(*command.split())
    assert found.code == 0
    assert found.ever("step 3 of 3  survey · search · passes · done")
    assert found.ever("pass 3 of at most 3")
    assert found.ever("log-likelihood -")
    left = " ".join(found.left)
    warning = "warning: Best performing initialization did not converge. Try different init parameters, "
    assert f"{warning}or increase max_iter, tol, or check for degenerate data." in " ".join(left.split())
    assert any(line.startswith("warning: ") for line in found.left)  # one that compiles says so before
    assert not any(part in left for part in ("step 3", "━", "rows/s, "))
    # No line of the display has been wrapped: each begins where it should in all frames.
    for frame in found.frames:
        for above, line in itertools.pairwise(frame):
            if above.startswith("step "):
                assert "pass" in line or "starting" in line or "survey" in line or "%" in line or not line


def test_a_command_that_fails_leaves_one_line(rows):
    command = f"dgmm fit {rows / 'rows.zarr'} -k 4000 --sample-rows 600 --seed 0 --out {rows / 'many.npz'}"
    found = run_in_terminal(*command.split())
    assert found.code == 2
    left = [line for line in found.left if line]
    assert left[0].startswith("error: ")
    assert not any("━" in line or "step " in line for line in left)
