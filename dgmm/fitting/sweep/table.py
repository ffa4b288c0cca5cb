"""The models of a sweep side by side, as columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.pool import Candidate
from dgmm.model.criteria import CRITERIA, Scores


def table_of(candidates: Sequence[Candidate]) -> dict[str, NDArray[Any]]:
    """Lay out models as columns, those of `GaussianMixtureSweep.results_`.

    Returns
    -------
    dict of ndarray of shape (n_models,)
        Figures are NaN of a model that failed or has no scores.
    """

    def figures(of: Callable[[Scores], float]) -> NDArray[np.float64]:
        return np.array(
            [np.nan if each.scores is None or each.failure else of(each.scores) for each in candidates],
            float,
        )

    states = [candidate.state for candidate in candidates]
    counts = [candidate.scores.n_parameters if candidate.scores else 0 for candidate in candidates]
    return {
        "n_components": np.array([candidate.n_components for candidate in candidates]),
        "covariance_type": np.array([candidate.family.name for candidate in candidates]),
        **{name: figures(attrgetter(name)) for name in ("log_likelihood", "entropy")},
        **{criterion.column: figures(criterion.value) for criterion in CRITERIA.values()},
        "held_out_error": figures(attrgetter("held_out_error")),
        "n_parameters": np.array(counts),
        "n_iter": np.array([0 if state is None else state.n_iter for state in states]),
        "passes": np.array([candidate.n_passes for candidate in candidates]),
        "converged": np.array([state is not None and state.converged for state in states]),
        "dropped": np.array([bool(candidate.dropped) for candidate in candidates]),
        "failed": np.array([bool(candidate.failure) for candidate in candidates]),
        "message": np.array([candidate.message for candidate in candidates]),
    }
