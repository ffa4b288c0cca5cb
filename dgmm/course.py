"""The progress of a fit in words, from events: its step, the time left, the gain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dgmm.data.text import counted
from dgmm.passes.events import (
    ClusterBack,
    ClusterWaiting,
    Event,
    InitializationFinished,
    InitializationStarted,
    IterationFinished,
    PassFinished,
    PassStarted,
    SpanFinished,
    SpansKept,
    StageStarted,
    TaskFinished,
    TasksFinished,
    TasksStarted,
)


@dataclass
class Course:
    """Where the work is, from its events, which other threads tell too.

    Attributes
    ----------
    stages : list of str
        Stages of a fit that were entered, the last one being at work; none where the work is no fit.
    following : tuple of str
        Those to come.
    most_iterations : int
        The most iterations of EM in these; 0 where it is not known.
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
        Passes over the data so far: without those over rows in memory that iterations make.
    n_rounds : int
        Of these, those of the stage that gave something to fits.
    stage_began, round_ended : float
        When the stage began, and when such a pass last ended.
    clock : callable
        Gives seconds.
    """

    stages: list[str] = field(default_factory=list)
    following: tuple[str, ...] = ()
    most_iterations: int = 0
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
    round_ended: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    def take(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case StageStarted():
                if self.stages and not self.following:  # that was the last one of a fit before
                    self.stages, self.survey_took = [], 0.0
                self.stages.append(event.name)
                self.following, self.most_iterations, self.fits = event.following, event.most_iterations, []
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
                self.n_passes += isinstance(event, PassFinished) and self.stages[-1:] != ["iterations"]
                is_whole_survey = event.purpose == "survey" and not self.n_kept
                self.survey_took = event.seconds if is_whole_survey else self.survey_took
            case ClusterWaiting() | ClusterBack():
                self.is_waiting = isinstance(event, ClusterWaiting)
            case IterationFinished():
                if self.takes_fits:
                    self.fits, self.n_ended, self.takes_fits = [], 0, False
                    self.n_rounds += 1
                self.fits.append(event)
                self.round_ended = self.clock()
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
    def iteration(self) -> str:
        """What an iteration of the fit is called: a pass, unless the rows are in memory."""
        return "iteration" if "iterations" in (*self.stages[-1:], *self.following) else "pass"

    @property
    def doing(self) -> str:
        """Say what is being done."""
        if self.is_waiting:
            return "waiting for workers"
        if self.unit == "tasks":
            return f"{self.purpose}, {self.n_done:,} of {self.n_total:,}"
        if self.purpose != "EM":
            return self.purpose
        longest = max(self.fits, key=lambda each: each.n_iter, default=None)
        if longest is None:
            return f"{self.iteration} 1"
        if self.is_after_all:
            return "sums of the fit"
        number = longest.n_iter + 1 if self.takes_fits else longest.n_iter
        return f"{self.iteration} {min(number, longest.max_iter):,} of at most {longest.max_iter:,}"

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
            each_takes = (self.round_ended - self.stage_began) / self.n_rounds
            seconds = max(0.0, n_left * each_takes - (self.clock() - self.round_ended))
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
        if not self.following or not self.most_iterations:
            return ""
        took = f"; the survey's took {duration(self.survey_took)}" if self.survey_took >= 1.0 else ""
        before = "".join(f"{name}, then " for name in self.following[:-1])
        most = counted(self.most_iterations, self.iteration, self.following[-1])
        return f"then {before}at most {most}{took}"


def reached(
    event: IterationFinished, last: IterationFinished | None, n_fits: int = 1, iteration: str = "pass"
) -> str:
    """Say what a fit has reached.

    Parameters
    ----------
    event : IterationFinished
    last : IterationFinished or None
        What was said before: the gain is since then.
    n_fits : int
        That it is the best of.
    iteration : str
        See `Course.iteration`.
    """
    text = f"{event.quantity} {event.lower_bound:.6f} nats a row"
    if n_fits > 1:
        text += f", best of {n_fits:,}"
    if last is not None and last.initialization == event.initialization and last.n_iter < event.n_iter:
        gain = event.lower_bound - last.lower_bound
        if gain or event.lost is None:
            text += f", {gain:+.1e} since {iteration} {last.n_iter:,}"
    if event.lost is not None:
        how = f"lost {event.lost:.1e}" if np.isfinite(event.lost) else "failed"
        text += f"; {iteration} {event.n_iter:,} {how}: rejected"
    return text


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
