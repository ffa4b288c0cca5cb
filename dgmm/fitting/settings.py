"""What to fit, and how: the settings of one mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Goal


@dataclass(frozen=True)
class SampleLimits:
    """Rows that are fitted in memory by default.

    Attributes
    ----------
    n_rows : int
    n_bytes : int
        As float64: with many features, fewer rows.
    split_features : int
        With more, components without covariances between features are not split, and no starts are searched
        for: matrices of all features would take more memory than all else.
    """

    n_rows: int = 250_000
    n_bytes: int = 2**28
    split_features: int = 2048


SAMPLE = SampleLimits()


def default_sample_rows(n_features: int) -> int:
    """Rows that are fitted in memory by default: 250,000, less where they take more than 256 MiB."""
    return min(SAMPLE.n_rows, SAMPLE.n_bytes // (8 * n_features))


@dataclass(frozen=True, eq=False)
class Settings:
    """What to fit, and how.

    Attributes
    ----------
    method : StartMethod
        The mixture's covariance type and number of components, and how a start is found.
    given : GivenStart
    algorithm : str
        ``em``, ``corrected`` (EM), or ``auto``: corrected with more than ``sample_rows`` rows, and where they
        are measured with errors, as EM is slow then.
    tol : float or None
        See `dgmm.fitting.loop.stopping` and `Goal.tolerance`; None for the default.
    max_iter : int
    n_init : int
        Number of starts; the best is kept.
    sample_rows : int
        At most this many rows are gathered and fitted in memory; from more, a sample of this many is drawn
        to find starts, and for corrected EM.
    goal : Goal
        What the fit climbs.
    missing : str
        ``error``, ``drop`` or ``marginalize``: see `dgmm.fitting.survey.MISSING`.
    allow_changed_data : bool
        Tell of rows that change between passes, rather than refuse them.
    known : KnownParts or None
        What is known of the components of rows.
    n_errors : int
        Columns of measurement errors after the features, before what is known: see `dgmm.kernels.measured`.
    search : str
        How much is searched: see `dgmm.fitting.starts.plans`.
    moves : bool
        Whether components are moved too, as `dgmm.fitting.starts.bayesian_moves` does; of variational Bayes
        only.
    """

    method: StartMethod
    given: GivenStart
    algorithm: str
    tol: float | None
    max_iter: int
    n_init: int
    sample_rows: int
    goal: Goal
    moves: bool = False
    missing: str = "error"
    allow_changed_data: bool = False
    known: KnownParts | None = None
    n_errors: int = 0
    search: str = "auto"

    def splits(self, n_features: int) -> bool:
        """Return whether components may be split: that takes matrices of all features, which may be large."""
        return self.method.family.has_products or n_features <= SAMPLE.split_features

    def most_iterations(self, n_rows: int) -> int:
        """Return the most iterations that follow the starts, of so many rows; 0 if moves may ask for any."""
        n_in_turn = self.n_init if n_rows <= self.sample_rows else 1
        return 0 if self.moves else n_in_turn * self.max_iter

    def method_for(self, n_rows: int, n_features: int = 1) -> StartMethod:
        """Return the start method: ``auto`` searches where there are more rows than the sample."""
        if self.method.init_params != "auto":
            return self.method
        searches = n_rows > self.sample_rows and not self.given and self.splits(n_features)
        return replace(self.method, init_params="search" if searches else "kmeans")
