"""The default mixture of an outlier detector, fitted to its inliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from dgmm.data import Source
from dgmm.data.memory import MemorySource
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.parameters import parameters_of
from dgmm.estimators.predictor import Seed
from dgmm.estimators.standardized import centre_and_widths, in_units, without_concerns
from dgmm.estimators.sweep import GaussianMixtureSweep
from dgmm.fitting.dropping import complete_cases
from dgmm.fitting.filling import filled
from dgmm.fitting.survey import survey
from dgmm.kernels.densities import expected_log_densities
from dgmm.model.matrices import Array


@dataclass(frozen=True)
class InlierTuning:
    """How rows are found that a mixture is fitted to, and which mixtures are tried.

    Attributes
    ----------
    n_rows : int
        Rows of the sample that all of it is done on.
    farthest : float
        Share of the rows that a robust normal distribution does without.
    n_steps : int
        How often they are found anew.
    ridge_of_distances, ridge : float
        Added to the variances of standardized features, for the normal distribution and for mixtures: no
        feature is known by the others as surely as few rows, or values that are mostly the same, say.
    margin : float
        Share of the rows that are left out, and the weight of components that are, as multiples of the
        contamination.
    most_components : int
        Of mixtures that are tried.
    rows_of_component : int
        Rows for each component that is tried, as a multiple of the number of features and one.
    covariance_types : tuple of str
        Families that are tried.
    """

    n_rows: int = 50_000
    farthest: float = 0.25
    n_steps: int = 4
    ridge_of_distances: float = 0.03
    ridge: float = 1e-3
    margin: float = 2.0
    most_components: int = 5
    rows_of_component: int = 3
    covariance_types: tuple[str, ...] = ("full", "tied")


INLIERS = InlierTuning()


def robust_distances(rows: NDArray[np.floating], weights: Array) -> Array:
    """Return squared distances of rows from the middle of most of them, in covariances of these.

    Mean and covariance are of the rows that are nearest by the last ones, again and again (the steps of the
    minimum covariance determinant of Rousseeuw and Van Driessen, 1999, from all rows). The covariance is
    shrunk as Ledoit and Wolf do, so that it is one where rows are few for their features, too.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,)
        As how many rows each counts, more than 0.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    is_near, distances = np.ones(len(rows), dtype=bool), np.zeros(len(rows))
    for _ in range(INLIERS.n_steps):
        own = weights[is_near]
        centre, widths = centre_and_widths(rows[is_near], own)
        standardized = (rows - centre) / widths
        factor = np.linalg.cholesky(np.linalg.inv(shrunk_covariance(standardized[is_near], own)))
        distances = np.square(standardized @ factor).sum(axis=1)
        is_near = _nearest(distances, weights, INLIERS.farthest)
    return distances


def shrunk_covariance(rows: Array, weights: Array) -> Array:
    """Return the covariance of centred rows as Ledoit and Wolf (2004) shrink it, and with a ridge.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_features, n_features)
    """
    n, n_features = weights.sum(), rows.shape[1]
    covariance = (rows.T * weights) @ rows / n
    mean = np.trace(covariance) / n_features
    size = np.square(covariance).sum()
    errors = (weights @ np.square(np.square(rows).sum(axis=1)) / n - size) / n
    apart = size - n_features * mean**2
    shrinkage = np.clip(errors / apart, 0.0, 1.0) if apart > 0.0 else 0.0
    unit = np.eye(n_features)
    return (1.0 - shrinkage) * covariance + (shrinkage * mean + INLIERS.ridge_of_distances) * unit


def held_out_log_densities(
    rows: Array, is_first: NDArray[np.bool_], fitted: Callable[[NDArray[np.bool_]], GaussianMixture]
) -> Array:
    """Return the log density of each row by the mixture of the half of the rows that it is not in.

    By a component that they have drawn to themselves, few rows that are far out are likely: not by one that
    was fitted without them.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.
    is_first : ndarray of shape (n_rows,), bool
        Which rows are the first half.
    fitted : callable
        Fits a mixture to the rows of a mask.

    Returns
    -------
    ndarray of shape (n_rows,)
        In nats; of rows that lack values, what is to be expected of the complete row.
    """
    found = np.empty(len(rows))
    for half in (is_first, ~is_first):
        found[~half] = expected_log_densities(parameters_of(fitted(half)), rows[~half])
    return found


def _nearest(distances: Array, weights: Array, farthest: float) -> NDArray[np.bool_]:
    """Say which rows are not among the farthest, a share of their weight."""
    return distances <= np.quantile(distances, 1.0 - farthest, weights=weights, method="inverted_cdf")


def fit_to_inliers(
    source: Source,
    weights: Source | None,
    contamination: float,
    random_state: Seed,
    missing: str = "error",
) -> GaussianMixture:
    """Fit a mixture to a sample of rows but for those that are farthest out; BIC chooses among some sizes.

    Which these are says first a normal distribution, which a cluster of them cannot draw far; then mixtures,
    of halves of the rows that it leaves: what is not normal, but common, is likely by these.

    How far out a row is that lacks values is told with these drawn, given what is observed
    (`dgmm.fitting.filling`); the mixture is fitted to what is observed.

    Parameters
    ----------
    source : Source
    weights : Source or None
        Row weights.
    contamination : float
        Share of the rows that are outliers.
    random_state : int, RandomState instance or None
    missing : {'error', 'drop', 'marginalize'}, default='error'
        What to do with rows that lack values.
    """
    if missing == "drop":
        cases = complete_cases(source, weights)
        source, weights = cases.source, cases.weights
    generator = check_random_state(random_state)
    surveyed = survey(
        source,
        INLIERS.n_rows,
        int(generator.randint(2**31 - 1)),
        weights,
        products=False,
        takes_nan=missing == "marginalize",
    )
    sample, counts = surveyed.sample.informative  # a warning has named rows without values
    completed = filled(sample, surveyed.filling).values
    farthest = min(INLIERS.margin * contamination, INLIERS.farthest)
    is_near = _nearest(robust_distances(completed, counts), counts, farthest)
    centre, widths = centre_and_widths(completed, counts)
    rows, seed = (sample.values - centre) / widths, int(generator.randint(2**31 - 1))

    def fitted(which: NDArray[np.bool_]) -> GaussianMixture:
        most = max(1, min(INLIERS.most_components, _components_of(counts[which], rows.shape[1])))
        candidates = GaussianMixtureSweep(
            range(1, most + 1),
            covariance_type=INLIERS.covariance_types,
            reg_covar=INLIERS.ridge,
            missing=missing,
            random_state=seed,
        )
        some = MemorySource(rows[which], source.feature_names, source.name)
        own = None if sample.weights is None else counts[which]
        with without_concerns():
            return candidates.fit(some, sample_weight=own).best_estimator_

    is_first = sample.hashes <= np.median(sample.hashes)  # drawn at random
    if all(_components_of(counts[is_near & half], rows.shape[1]) for half in (is_first, ~is_first)):
        densities = held_out_log_densities(rows, is_first, lambda half: fitted(is_near & half))
        is_near = _nearest(-densities, counts, farthest)
    return in_units(fitted(is_near), centre, widths, source.dtype)


def _components_of(counts: Array, n_features: int) -> int:
    """Return the components of the largest mixture of so many rows; 0 where they are too few for any."""
    return int(counts.sum()) // (INLIERS.rows_of_component * (n_features + 1))
