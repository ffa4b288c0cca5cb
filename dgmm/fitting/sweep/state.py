"""The settings of a sweep, and its state: what it has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dgmm.data.fingerprint import Fingerprint
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.fitting.pool import Candidate
from dgmm.fitting.sample import Sample
from dgmm.fitting.settings import Settings
from dgmm.fitting.sweep.neighbours import NeighbourComparison
from dgmm.model.criteria import Criterion
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.statistics import Moments
from dgmm.passes.events import DataChanged, Event, PassFinished


@dataclass(frozen=True, eq=False)
class SweepSettings:
    """What to fit, and how.

    Attributes
    ----------
    models : tuple of Settings
        One for each model; they differ in the covariance type and the number of components alone.
    criterion : Criterion
    prune : bool
        Let models leave that cannot be the best any more.
    held_out : float
        Share of the rows that is held out.
    seed : int
        Of every model's starts, of the sample, of what is held out, and of what is drawn to compare models.
    n_bootstrap : int
        Samples that are drawn to compare the best with its neighbours; 0 compares none.
    settles : bool
        Whether the last model in the race may end as `dgmm.fitting.sweep.race.settled` says.
    """

    models: tuple[Settings, ...]
    criterion: Criterion
    prune: bool
    held_out: float
    seed: int
    n_bootstrap: int = 0
    settles: bool = False

    def of_run(self, seed: int, known: KnownParts | None) -> SweepSettings:
        """Return them with the seed of a run, and what is known of its rows."""
        models = tuple(replace(each, known=known) for each in self.models)
        return replace(self, models=models, seed=seed)

    @property
    def common(self) -> Settings:
        """What all models have in common."""
        return self.models[0]


@dataclass(eq=False)
class Swept:
    """What a sweep has found so far; changed as it goes on, so that an interruption leaves what is there.

    Attributes
    ----------
    candidates : list of Candidate
        In the order of the settings.
    seconds_of_passes : list of float
        That each of them took.
    fingerprint : Fingerprint or None
        Of all rows; None before the survey.
    sample : Sample or None
        Of the rows that are fitted; all of them, where they are not more.
    moments : Moments or None
        Of the rows that are fitted.
    dtype : dtype or None
        Of the rows.
    n_dropped : int
        Rows that were left out, as they lack values.
    lacking : FeatureMoments or None
        Of the rows that lack values and are not left out; None before the survey.
    changes : list of str or None
        How rows changed during the sweep, where they were allowed to; None where they were not.
    comparisons : list of NeighbourComparison
        Of neighbouring numbers of components, where they are asked for.
    """

    candidates: list[Candidate]
    seconds_of_passes: list[float] = field(default_factory=list)
    fingerprint: Fingerprint | None = None
    sample: Sample | None = None
    moments: Moments | None = None
    dtype: np.dtype | None = None
    n_dropped: int = 0
    lacking: FeatureMoments | None = None
    changes: list[str] | None = None
    comparisons: list[NeighbourComparison] = field(default_factory=list)

    @property
    def n_passes(self) -> int:
        """Full passes over the data."""
        return len(self.seconds_of_passes)

    def take(self, event: Event) -> None:
        """Take note of a pass, or of rows that changed."""
        if isinstance(event, PassFinished):
            self.seconds_of_passes.append(event.seconds)
        elif isinstance(event, DataChanged) and self.changes is not None:
            self.changes = [*dict.fromkeys([*self.changes, event.message])]


def begin(settings: SweepSettings) -> Swept:
    """Return a sweep that has not begun."""
    methods = [each.method for each in settings.models]
    candidates = [Candidate(method.family, method.n_components) for method in methods]
    return Swept(candidates, changes=[] if settings.common.allow_changed_data else None)
