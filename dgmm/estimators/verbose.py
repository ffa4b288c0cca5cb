"""What ``verbose`` prints: scikit-learn's lines, from the events of a fit."""

from __future__ import annotations

from time import perf_counter

from dgmm.passes.events import (
    Event,
    InitializationFinished,
    InitializationStarted,
    IterationFinished,
    Resumed,
    ValuesLacked,
)


class VerbosePrinter:
    """Prints the events of a fit as scikit-learn prints its iterations.

    Parameters
    ----------
    verbose : int
        0 prints nothing, 1 the iterations, 2 their times and changes too.
    interval : int
        Iterations between two lines.
    unit : float, default=1.0
        What nats a row are multiplied by.
    """

    def __init__(self, verbose: int, interval: int, unit: float = 1.0):
        self.verbose = int(verbose)
        self.interval = interval
        self.unit = unit
        self.started: dict[int, float] = {}
        self.last: dict[int, float] = {}

    def __call__(self, event: Event) -> None:
        """Print an event, if it is one of a fit."""
        if self.verbose < 1:
            return
        now = perf_counter()
        match event:
            case InitializationStarted(number):
                self.started[number] = self.last[number] = now
                print(f"Initialization {number}")
            case IterationFinished(number, n_iter, change=change) if n_iter % self.interval == 0:
                line = f"  Iteration {n_iter}"
                if self.verbose >= 2:
                    line += (
                        f"\t time lapse {now - self.last[number]:.5f}s\t ll change {self.unit * change:.5f}"
                    )
                    self.last[number] = now
                print(line)
            case ValuesLacked():
                print(event)
            case Resumed(place, what):
                print(f"Going on from {place}: {what}")
            case InitializationFinished(number, lower_bound, converged):
                line = f"Initialization {'converged' if converged else 'did not converge'}."
                if self.verbose >= 2:
                    elapsed = now - self.started[number]
                    line += f" time lapse {elapsed:.5f}s\t lower bound {self.unit * lower_bound:.5f}."
                print(line)
