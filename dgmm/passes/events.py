"""What happens during passes, as events for whoever listens.

Passes and fits `emit` events; a progress display listens:

>>> seen = []
>>> with listening(seen.append):
...     emit(SpanFinished(n_rows=10))
>>> seen
[SpanFinished(n_rows=10)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data.text import listed


@dataclass(frozen=True)
class StageStarted:
    """A fit enters a stage, in a word for a person; ``following`` are the names of those that come after it.

    Stages with nothing following are the last of a fit: what comes after one begins another fit. The last one
    is ``passes``, where each iteration reads all rows, or ``iterations``, where these are in memory. A fit
    makes ``most_iterations`` at the most when it has its starts; 0 where that is not known.
    """

    name: str
    following: tuple[str, ...] = ()
    most_iterations: int = 0


@dataclass(frozen=True)
class PassStarted:
    """A trip over the data begins; ``purpose`` is a word or two for a person.

    ``n_bytes`` are those of all rows as they are in memory.
    """

    purpose: str
    n_rows: int
    n_spans: int
    n_bytes: int = 0


@dataclass(frozen=True)
class SpanFinished:
    """A span of ``n_rows`` rows is done. May come from another thread than the pass itself."""

    n_rows: int


@dataclass(frozen=True)
class SpansKept:
    """Spans of ``n_rows`` rows were done before the fit was ended, and are not done again."""

    n_rows: int


@dataclass(frozen=True)
class PassFinished:
    """The trip over the data ended well, after ``seconds``."""

    purpose: str
    n_rows: int
    seconds: float


@dataclass(frozen=True)
class DataChanged:
    """Rows are others than in an earlier pass, as they were allowed to be: a sentence that says which."""

    message: str


@dataclass(frozen=True, eq=False)
class RowsDrawn:
    """Rows were drawn at random, of those that are fitted: shape (n_drawn, n_features), in row order."""

    rows: NDArray[np.floating]


@dataclass(frozen=True)
class ValuesLacked:
    """A survey found rows that lack values, of which what is observed is fitted.

    Attributes
    ----------
    n_rows, n_incomplete : int
        Rows, and those of them that lack values.
    n_missing : tuple of int
        Rows that lack each feature.
    feature_names : tuple of str or None
    """

    n_rows: int
    n_incomplete: int
    n_missing: tuple[int, ...]
    feature_names: tuple[str, ...] | None

    def __str__(self) -> str:
        by_feature = lacked_by_feature(self.n_missing, self.feature_names)
        return f"{self.n_incomplete:,} of {self.n_rows:,} rows lack values: {by_feature}"


def lacked_by_feature(n_missing: Sequence[int], feature_names: Sequence[str] | None) -> str:
    """Say how many rows lack each feature that some do, the most first.

    >>> lacked_by_feature([3, 0, 1200], None)
    'column 2 (1,200), column 0 (3)'
    """
    named = [f"column {each}" for each in range(len(n_missing))] if feature_names is None else feature_names
    order = sorted(range(len(n_missing)), key=lambda each: (-n_missing[each], each))
    return listed(f"{named[each]} ({n_missing[each]:,})" for each in order if n_missing[each])


@dataclass(frozen=True)
class TasksStarted:
    """Tasks apart from passes begin, side by side."""

    purpose: str
    n_tasks: int


@dataclass(frozen=True)
class TaskFinished:
    """One of these tasks is done. May come from another thread."""


@dataclass(frozen=True)
class TasksFinished:
    """All of these tasks ended well, after ``seconds``."""

    purpose: str
    n_tasks: int
    seconds: float


@dataclass(frozen=True)
class ClusterWaiting:
    """Work has waited for a cluster for ``seconds``, and will for ``left`` more: ``reason`` says why."""

    purpose: str
    reason: str
    seconds: float
    left: float


@dataclass(frozen=True)
class ClusterBack:
    """The cluster that work has waited for is at work again."""

    purpose: str


@dataclass(frozen=True)
class InitializationStarted:
    """A fit begins from a start of its own; counted from 0."""

    initialization: int


@dataclass(frozen=True)
class InitializationFinished:
    """A fit ended, at this lower bound in nats a row."""

    initialization: int
    lower_bound: float
    converged: bool


@dataclass(frozen=True)
class IterationFinished:
    """An iteration of a fit: its lower bound and the change of it, in nats a row.

    ``change`` is infinite in the first iteration. ``max_iter`` is where the fit ends at the latest.
    ``quantity`` is the name of the bound. ``lost`` is by how much the parameters of this pass were worse than
    the best, to which the fit went back; None where they were accepted. ``n_left`` estimates the iterations
    to come.
    """

    initialization: int
    n_iter: int
    max_iter: int
    lower_bound: float
    change: float
    quantity: str = "log-likelihood"
    lost: float | None = None
    n_left: int = 0


@dataclass(frozen=True)
class Resumed:
    """A fit goes on from what a checkpoint at ``place`` has; ``what`` says how much that is."""

    place: str
    what: str


Event = (
    StageStarted
    | PassStarted
    | SpanFinished
    | SpansKept
    | PassFinished
    | DataChanged
    | RowsDrawn
    | ValuesLacked
    | TasksStarted
    | TaskFinished
    | TasksFinished
    | ClusterWaiting
    | ClusterBack
    | InitializationStarted
    | IterationFinished
    | InitializationFinished
    | Resumed
)
Listener = Callable[[Event], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` with every event of the passes that are run inside this context."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def listeners() -> tuple[Listener, ...]:
    """Return the listeners of this context: callbacks that other threads run take them along."""
    return _listeners.get()


def emit(event: Event, to: tuple[Listener, ...] | None = None) -> None:
    """Tell an event to the listeners of this context, or to the given ones."""
    for listener in _listeners.get() if to is None else to:
        listener(event)
