"""What a person sees while rows are read: a display that lives on a terminal, else lines for logs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dgmm.data.text import printable
from dgmm.passes.events import (
    ClusterBack,
    ClusterWaiting,
    Event,
    InitializationFinished,
    InitializationStarted,
    IterationFinished,
    PassFinished,
    PassStarted,
    Resumed,
    SpanFinished,
    SpansKept,
    StageStarted,
    TaskFinished,
    TasksFinished,
    TasksStarted,
    listening,
)


@dataclass(frozen=True)
class DisplayTuning:
    """How often something is shown, and how wide.

    Attributes
    ----------
    seconds_between_lines : float
        Of a log, about.
    frames : float
        A second, on a terminal.
    bar : int
        Columns of a bar: with it no line has more than 80.
    """

    seconds_between_lines: float = 2.0
    frames: float = 8.0
    bar: int = 10


DISPLAY = DisplayTuning()


@contextmanager
def showing_progress(console: Console) -> Iterator[None]:
    """Show the passes and iterations that are run inside: live on a terminal, else in plain lines.

    Parameters
    ----------
    console : rich.console.Console
        Where to; standard error, so that results can be piped. What is printed on it meanwhile, by any
        means of Python's, appears above the display.
    """
    if console.is_terminal or console.is_jupyter:
        display = Display(Course())
        live = Live(
            console=console, get_renderable=display, transient=True, refresh_per_second=DISPLAY.frames
        )
        tell = partial(say, console)
        with live, listening(display.handle(tell)), telling_of_compiling(tell):
            yield
        return
    lines = Lines(Course(), tell := partial(say, console))
    with listening(lines.handle), telling_of_compiling(tell):
        yield
    lines.finish()


@contextmanager
def telling_of_compiling(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell when functions are compiled inside, which takes some seconds: `dgmm.model.kept` logs it."""
    logger, handler = logging.getLogger("dgmm.model.kept"), logging.Handler(logging.INFO)
    handler.emit = lambda record: tell(record.getMessage())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def say(console: Console, line: str) -> None:
    """Print a line as it is, however long."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@dataclass
class Course:
    """Where the work is, from its events, which other threads tell too.

    Attributes
    ----------
    stages : list of str
        Stages of a fit that were entered, the last one being at work; none where the work is no fit.
    following : tuple of str
        Those to come.
    most_passes : int
        The most passes of these; 0 where it is not known.
    survey_took : float
        Seconds that the fit's first pass took, which reads rows as they do; 0 where that is not known.
    purpose : str
        Of the pass, or of the tasks, in words.
    unit : str
        ``rows`` or ``tasks``.
    n_done, n_total : int
        Of these.
    n_bytes : int
        Of all rows of the pass, in memory.
    n_kept : int
        Rows of the pass that had been done before.
    began, ended : float or None
        The pass's times, by `clock`.
    is_waiting : bool
        For a cluster.
    fits : list of IterationFinished
        What the last pass that ended gave to each fit that was in it.
    n_ended : int
        Of these fits, those that go on no more.
    takes_fits : bool
        Whether these are of a pass that has ended, and the next one is at work.
    n_passes : int
        Passes over the rows so far.
    n_rounds : int
        Of these, those of the stage that gave something to fits.
    stage_began, told_at : float
        When the stage began, and when such a pass last ended.
    clock : callable
        Gives seconds.
    """

    stages: list[str] = field(default_factory=list)
    following: tuple[str, ...] = ()
    most_passes: int = 0
    survey_took: float = 0.0
    purpose: str = "starting"
    unit: str = "rows"
    n_done: int = 0
    n_total: int = 0
    n_bytes: int = 0
    n_kept: int = 0
    began: float | None = None
    ended: float | None = None
    is_waiting: bool = False
    fits: list[IterationFinished] = field(default_factory=list)
    n_ended: int = 0
    takes_fits: bool = True
    n_passes: int = 0
    n_rounds: int = 0
    stage_began: float = 0.0
    told_at: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    def take(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case StageStarted():
                if self.stages and not self.following:  # that was the last one of a fit before
                    self.stages, self.survey_took = [], 0.0
                self.stages.append(event.name)
                self.following, self.most_passes, self.fits = event.following, event.most_passes, []
                self.stage_began, self.n_rounds = self.clock(), 0
            case PassStarted():
                self._begin(event.purpose, "rows", event.n_rows)
                self.n_bytes, self.takes_fits = event.n_bytes, True
            case SpanFinished() | TaskFinished():
                self.n_done += event.n_rows if isinstance(event, SpanFinished) else 1
            case SpansKept():
                self.n_done += event.n_rows
                self.n_kept += event.n_rows
            case TasksStarted():
                self._begin(event.purpose, "tasks", event.n_tasks)
            case PassFinished() | TasksFinished():
                self.n_done, self.ended = self.n_total, self.clock()
                self.began = self.ended - event.seconds
                self.n_passes += isinstance(event, PassFinished)
                is_whole_survey = event.purpose == "survey" and not self.n_kept
                self.survey_took = event.seconds if is_whole_survey else self.survey_took
            case ClusterWaiting() | ClusterBack():
                self.is_waiting = isinstance(event, ClusterWaiting)
            case IterationFinished():
                if self.takes_fits:
                    self.fits, self.n_ended, self.takes_fits = [], 0, False
                    self.n_rounds += 1
                self.fits.append(event)
                self.told_at = self.clock()
            case InitializationFinished():
                self.n_ended += 1
            case InitializationStarted() if not any(each.n_left for each in self.fits):
                self.fits = []  # of starts that are fitted in turn

    def _begin(self, purpose: str, unit: str, n_total: int) -> None:
        self.purpose, self.unit, self.n_done, self.n_total = purpose, unit, 0, n_total
        self.n_bytes = self.n_kept = 0
        self.began, self.ended, self.is_waiting = self.clock(), None, False

    @property
    def best(self) -> IterationFinished | None:
        """Of the fits that shared the last pass, the one with the highest lower bound."""
        return max(self.fits, key=lambda each: each.lower_bound, default=None)

    @property
    def is_after_all(self) -> bool:
        """Whether the pass at work is after the last one of all fits."""
        return self.takes_fits and 0 < len(self.fits) <= self.n_ended

    @property
    def step(self) -> str:
        """Which step of the whole fit this is; empty where it is none."""
        n_steps = len(self.stages) + len(self.following)
        return f"step {len(self.stages)} of {n_steps}" if self.stages else ""

    @property
    def doing(self) -> str:
        """Say what is being done."""
        if self.is_waiting:
            return "waiting for workers"
        if self.unit == "tasks":
            return f"{self.purpose}, {self.n_done} of {self.n_total}"
        if self.purpose != "EM":
            return self.purpose
        longest = max(self.fits, key=lambda each: each.n_iter, default=None)
        if longest is None:
            return "pass 1"
        if self.is_after_all:
            return "sums of the fit"
        number = longest.n_iter + 1 if self.takes_fits else longest.n_iter
        return f"pass {min(number, longest.max_iter)} of at most {longest.max_iter}"

    @property
    def share(self) -> float:
        """The share of the pass, or of the tasks, that is done."""
        return min(1.0, self.n_done / self.n_total) if self.n_total else 0.0

    @property
    def seconds(self) -> float:
        """That the pass, or the tasks, took so far."""
        if self.began is None:
            return 0.0
        return (self.clock() if self.ended is None else self.ended) - self.began

    @property
    def speed(self) -> str:
        """Say how fast rows are read; empty where nothing was."""
        n_rows = self.n_done - self.n_kept
        if self.unit != "rows" or n_rows <= 0:
            return ""
        return speed(n_rows, self.n_bytes * n_rows / max(self.n_total, 1), self.seconds)

    @property
    def left(self) -> str:
        """Say how long the whole fit goes on; empty as long as that is not known: before its second pass."""
        running = [each for each in self.fits if each.n_left]
        if running:
            n_left = max(each.n_left for each in running)
            is_bound = any(each.n_left >= each.max_iter - each.n_iter for each in running)
            each_takes = (self.told_at - self.stage_began) / self.n_rounds
            seconds = max(0.0, n_left * each_takes - (self.clock() - self.told_at))
            return f"{'at most' if is_bound else 'about'} {duration(seconds)} left"
        return ""

    @property
    def left_here(self) -> str:
        """Say how long the pass or the tasks at work go on, where no more is known."""
        n_new = self.n_done - self.n_kept
        if self.left or self.ended is not None or n_new <= 0 or not self.n_total:
            return ""
        return f"about {duration(self.seconds * (self.n_total - self.n_done) / n_new)} left"

    @property
    def ahead(self) -> str:
        """Say what comes after a step of a fit, while nobody can know how long that will take."""
        if not self.following or not self.most_passes:
            return ""
        took = f"; the survey's took {duration(self.survey_took)}" if self.survey_took >= 1.0 else ""
        before = "".join(f"{name}, then " for name in self.following[:-1])
        return f"then {before}at most {self.most_passes} passes{took}"


def reached(event: IterationFinished, last: IterationFinished | None, n_fits: int = 1) -> str:
    """Say what a fit has reached.

    Parameters
    ----------
    event : IterationFinished
    last : IterationFinished or None
        What was said before: the gain is since then.
    n_fits : int
        That it is the best of.
    """
    text = f"{event.quantity} {event.lower_bound:.6f} nats a row"
    if n_fits > 1:
        text += f", best of {n_fits}"
    if last is not None and last.initialization == event.initialization and last.n_iter < event.n_iter:
        gain = event.lower_bound - last.lower_bound
        if gain or event.lost is None:
            text += f", {gain:+.1e} since pass {last.n_iter}"
    if event.lost is not None:
        how = f"lost {event.lost:.1e}" if np.isfinite(event.lost) else "failed"
        text += f"; pass {event.n_iter} {how}: rejected"
    return text


class Display:
    """The lines of a terminal: steps and time left; the pass; what the fit has reached.

    Parameters
    ----------
    course : Course
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._last: IterationFinished | None = None
        self._reached = ""
        self._spinner = Spinner("dots")

    def handle(self, say: Callable[[str], None]) -> Callable[[Event], None]:
        """Give what takes events; some are said in lines that stay."""

        def take(event: Event) -> None:
            self._course.take(event)
            match event:
                case PassStarted():
                    self._last = self._course.best
                case IterationFinished() if (best := self._course.best) is not None:
                    self._reached = reached(best, self._last, len(self._course.fits))
                case Resumed():
                    say(going_on(event))

        return take

    def __call__(self) -> Group:
        """Give the lines as they are now, none of which is wider than the terminal."""
        course = self._course
        found: list[Text | Table] = []
        if course.stages:
            found.append(_line(_trail(course.stages, course.following), course.left))
        table = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=1.0, completed=course.share, width=DISPLAY.bar)
        cells = [self._spinner, Text(course.doing), bar, Text(f"{course.share:4.0%}"), Text(course.speed)]
        cells.append(Text(course.left_here))
        for _ in cells:
            table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_row(*cells)
        found.append(table)
        if below := self._reached or course.ahead:
            found.append(_line(Text(below)))
        return Group(*found)


def _trail(stages: list[str], following: tuple[str, ...]) -> Text:
    """Lay out the steps of a fit, with the one at work in bold."""
    n_steps = len(stages) + len(following)
    text = Text(f"step {len(stages)} of {n_steps}  ")
    for index, name in enumerate((*stages, *following, "done")):
        text.append(" · " if index else "", style="dim")
        text.append(name, style="bold" if index == len(stages) - 1 else "dim")
    return text


def _line(text: Text, more: str = "") -> Text:
    if more:
        text.append(f"  {more}")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


class Lines:
    """Lines for logs: one for each pass, with what the fit has reached, but at most about one in two seconds.

    Each step of a fit has one at least.

    Parameters
    ----------
    course : Course
    say : callable
        Takes a line.
    """

    def __init__(self, course: Course, say: Callable[[str], None]) -> None:
        self._course, self._say = course, say
        self._last: IterationFinished | None = None
        self._said_at = -np.inf
        self._began = course.clock()
        self._waits = False

    def handle(self, event: Event) -> None:
        """Take note of an event; a pass is told when the next one starts."""
        course = self._course
        match event:
            case StageStarted():
                self.tell()
            case PassStarted() if course.clock() - self._said_at >= DISPLAY.seconds_between_lines:
                self.tell()
            case TasksStarted():
                self.tell()
        course.take(event)
        match event:
            case StageStarted() if course.ahead and len(course.stages) > 1:
                self._print(f"{event.name}, {course.ahead}")
            case PassFinished():
                self._waits = True
            case TasksFinished() if event.n_tasks:
                tasks = "task" if event.n_tasks == 1 else "tasks"
                self._print(f"{event.purpose}: {event.n_tasks} {tasks} in {event.seconds:.1f} s")
            case Resumed():
                self._print(going_on(event), with_step=False)

    def tell(self) -> None:
        """Tell of the last pass."""
        course, best = self._course, self._course.best
        if not self._waits:
            return
        self._waits = False
        line = course.doing
        if best is not None and best is not self._last and (not course.takes_fits or course.is_after_all):
            line += f": {reached(best, self._last, len(course.fits))}"
            self._last = best
        line += f"; {course.n_total:,} rows in {course.seconds:.1f} s"
        details = [each for each in (course.speed, course.left if course.fits else "") if each]
        self._print(", ".join([line, *details]))

    def finish(self) -> None:
        """Tell of the last pass, and that a fit is done."""
        self.tell()
        course = self._course
        if course.stages:
            n_passes = f"{course.n_passes} {'pass' if course.n_passes == 1 else 'passes'}"
            self._print(f"done: {n_passes} in {course.clock() - self._began:.1f} s", with_step=False)

    def _print(self, line: str, *, with_step: bool = True) -> None:
        step = self._course.step if with_step else ""
        self._say(f"[{step}] {line}" if step else line)
        self._said_at = self._course.clock()


def going_on(event: Resumed) -> str:
    """Say what a fit takes from a checkpoint."""
    return f"going on from {printable(event.place)}: {event.what}"


def speed(n_rows: float, n_bytes: float, seconds: float) -> str:
    """Say how many rows and bytes a second that was."""
    seconds = max(seconds, 1e-9)
    text = f"{n_rows / seconds:,.0f} rows/s"
    if not n_bytes:
        return text
    rate = n_bytes / seconds / 1e9
    return f"{text}, {rate:.2f} GB/s" if rate >= 0.1 else f"{text}, {rate:.1g} GB/s"


def duration(seconds: float) -> str:
    """Say how long something takes, in one unit."""
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1.0):.0f} s"
