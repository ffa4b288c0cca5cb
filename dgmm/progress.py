"""The progress display: live on a terminal, lines in logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dgmm.course import Course, reached
from dgmm.data.text import counted, printable
from dgmm.passes.events import (
    Event,
    IterationFinished,
    PassFinished,
    PassStarted,
    Resumed,
    StageStarted,
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
        with live, listening(display.handle(tell)), reporting_compilation(tell):
            yield
        return
    lines = Lines(Course(), tell := partial(say, console))
    with listening(lines.handle), reporting_compilation(tell):
        yield
    lines.finish()


@contextmanager
def reporting_compilation(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell when functions are compiled inside, which takes some seconds: `dgmm.model.numba_cache` logs it."""
    logger, handler = logging.getLogger("dgmm.model.numba_cache"), logging.Handler(logging.INFO)
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
        """Return what takes events; some are said in lines that stay."""

        def take(event: Event) -> None:
            self._course.take(event)
            match event:
                case PassStarted():
                    self._last = self._course.best
                case IterationFinished() if (best := self._course.best) is not None:
                    self._reached = reached(best, self._last, len(self._course.fits), self._course.iteration)
                case Resumed():
                    say(going_on(event))

        return take

    def __call__(self) -> Group:
        """Return the lines as they are now, none of which is wider than the terminal."""
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
                self._print(f"{event.purpose}: {counted(event.n_tasks, 'task')} in {event.seconds:.1f} s")
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
            line += f": {reached(best, self._last, len(course.fits), course.iteration)}"
            self._last = best
        line += f"; {course.n_total:,} rows in {course.seconds:.1f} s"
        details = [each for each in (course.speed, course.left if course.fits else "") if each]
        self._print(", ".join([line, *details]))

    def finish(self) -> None:
        """Tell of the last pass, and that a fit is done."""
        self.tell()
        course = self._course
        if course.stages:
            n_passes = counted(course.n_passes, "pass", "passes")
            self._print(f"done: {n_passes} in {course.clock() - self._began:.1f} s", with_step=False)

    def _print(self, line: str, *, with_step: bool = True) -> None:
        step = self._course.step if with_step else ""
        self._say(f"[{step}] {line}" if step else line)
        self._said_at = self._course.clock()


def going_on(event: Resumed) -> str:
    """Say what a fit takes from a checkpoint."""
    return f"going on from {printable(event.place)}: {event.what}"
