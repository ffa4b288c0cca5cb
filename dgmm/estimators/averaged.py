"""The default mixture of an imputer: the mean of several.

Which number of components errs least only shows by values that are known, and hardly where rows are few. The
mean of the densities of several mixtures is a mixture again, and errs less than the one that a criterion
chooses. How much is added to its variances is decided by values that are hidden for it; with much, it is of
more components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from dgmm.data import Source
from dgmm.data.memory import MemorySource
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.imputing import Imputation, Method
from dgmm.estimators.parameters import parameters_of
from dgmm.estimators.predictor import Seed
from dgmm.estimators.standardized import centre_and_widths, in_units, without_concerns
from dgmm.estimators.sweep import GaussianMixtureSweep
from dgmm.estimators.validation import remember_features
from dgmm.fitting.survey import survey
from dgmm.kernels.densities import log_densities
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters


@dataclass(frozen=True)
class AveragingTuning:
    """Which mixtures are averaged, and what is added to their variances: chosen by benchmarks/imputing.py.

    Attributes
    ----------
    n_rows : int
        Rows of the sample that all of it is done on.
    n_values : int
        Of the rows of it that the choice is made on.
    few_components, most_components : int
        Of the largest mixture; and where rows are many.
    ridged_components : int
        Of the largest one with a ridge of ``least_ridge`` or more, which keeps components from collapsing.
    rows_of_component, many_rows_of_component : int
        Rows for each component of the largest mixture, as multiples of the number of features and one: of
        fewer, components collapse onto them; and what many are.
    covariance_types : tuple of str
        Families: without covariances, what a row has would hardly tell of what it lacks.
    max_iter : int
        EM iterations of each mixture.
    ridges : tuple of float
        What may be added to the variances, in those of the features; ascending.
    least_ridge : float
        From which on there are ``ridged_components``.
    usual_ridge : float
        Where too few values can be hidden to choose.
    hidden : float
        Share of the values that are hidden for that.
    fewest_hidden : int
        Of fewer values nothing is chosen.
    least_width : float
        Width of a feature that does not vary, in its mean.
    """

    n_rows: int = 50_000
    n_values: int = 50_000
    few_components: int = 3
    most_components: int = 5
    ridged_components: int = 9
    rows_of_component: int = 3
    many_rows_of_component: int = 30
    covariance_types: tuple[str, ...] = ("full", "tied")
    max_iter: int = 30
    ridges: tuple[float, ...] = (1e-3, 0.03, 0.1, 0.3)
    least_ridge: float = 0.03
    usual_ridge: float = 1e-2
    hidden: float = 0.1
    fewest_hidden: int = 20
    least_width: float = 1e-3


AVERAGING = AveragingTuning()


def fit_average(
    source: Source, weights: Source | None, method: Method, random_state: Seed
) -> GaussianMixture:
    """Fit mixtures of some sizes to a sample of rows, and give the mean of their densities.

    Parameters
    ----------
    source : Source
        Rows may lack values.
    weights : Source or None
        Row weights.
    method : str
        What values are filled with: the ridge is that of the least squared error of hidden values where that
        is the mean, else of the highest density of these.
    random_state : int, RandomState instance or None
    """
    generator = check_random_state(random_state)
    of_rows, of_hidden, of_mixtures = (int(each) for each in generator.randint(2**31 - 1, size=3))
    surveyed = survey(source, AVERAGING.n_rows, of_rows, weights, products=False, takes_nan=True)
    sample, counts = surveyed.sample.informative  # a warning has named rows without values
    centre, widths = centre_and_widths(sample.values, counts, AVERAGING.least_width)
    rows = (sample.values - centre) / widths
    own = None if sample.weights is None else counts
    some = np.argsort(sample.hashes)[: AVERAGING.n_values // source.n_features]  # drawn at random
    ridge = _chosen_ridge(rows[some], None if own is None else own[some], method, of_hidden, of_mixtures)
    named = MemorySource(rows, source.feature_names, source.name)
    mean = _averaged(named, own, ridge, of_mixtures)
    mixture = GaussianMixture(
        mean.n_components, reg_covar=ridge, missing="marginalize", random_state=random_state
    )
    mixture._set_parameters(mean, np.dtype(np.float64))
    remember_features(mixture, source)
    return in_units(mixture, centre, widths, source.dtype)


def _chosen_ridge(
    rows: Array, counts: Array | None, method: Method, of_hidden: int, of_mixtures: int
) -> float:
    """Return the ridge that fills hidden values best: the first that the next one does not better."""
    is_hidden = hidden(rows, of_hidden)
    if is_hidden.sum() < AVERAGING.fewest_hidden:
        return AVERAGING.usual_ridge
    known = np.where(is_hidden, np.nan, rows)
    chosen, least = AVERAGING.usual_ridge, np.inf
    for ridge in AVERAGING.ridges:
        mean = _averaged(MemorySource(known), counts, ridge, of_mixtures)
        loss = _loss(mean, rows, known, counts, method)
        if not loss < least:
            break
        chosen, least = ridge, loss
    return chosen


def hidden(rows: Array, seed: int) -> NDArray[np.bool_]:
    """Say which values to hide: of each row, and of each feature, at most half of those that are known."""
    is_known = ~np.isnan(rows)
    is_hidden = is_known & (np.random.default_rng(seed).random(rows.shape) < AVERAGING.hidden)
    is_hidden[2 * is_hidden.sum(axis=1) > is_known.sum(axis=1)] = False
    is_hidden[:, 2 * is_hidden.sum(axis=0) > is_known.sum(axis=0)] = False
    return is_hidden


def most_components(n_rows: int, n_features: int, ridge: float) -> int:
    """Return the components of the largest mixture of so many rows, with this ridge."""
    few, many = (
        n_rows // (each * (n_features + 1))
        for each in (AVERAGING.rows_of_component, AVERAGING.many_rows_of_component)
    )
    if ridge >= AVERAGING.least_ridge:
        return max(1, min(few, AVERAGING.ridged_components))
    return max(1, min(few, max(AVERAGING.few_components, min(many, AVERAGING.most_components))))


def _averaged(rows: MemorySource, counts: Array | None, ridge: float, seed: int) -> Parameters:
    """Fit the mixtures, and give the mean of their densities, of full covariances."""
    sweep = GaussianMixtureSweep(
        range(1, most_components(rows.n_rows, rows.n_features, ridge) + 1),
        covariance_type=AVERAGING.covariance_types,
        reg_covar=ridge,
        max_iter=AVERAGING.max_iter,
        missing="marginalize",
        random_state=seed,
    )
    with without_concerns():
        sweep.fit(rows, sample_weight=counts)
    # One component is the same, whether it has its covariance or all have one.
    first = AVERAGING.covariance_types[0]
    parts = [
        parameters_of(each)
        for each in sweep.estimators_
        if each is not None and (each.n_components > 1 or each.covariance_type == first)
    ]
    return Parameters.from_covariances(
        FAMILIES["full"],
        np.concatenate([part.weights for part in parts]) / len(parts),
        np.concatenate([part.means for part in parts]),
        np.concatenate([part.covariance_matrices for part in parts]),
    )


def _loss(mixture: Parameters, rows: Array, known: Array, counts: Array | None, method: Method) -> float:
    """Return the squared error of hidden values, or less their log density given what is known."""
    if method == "mean":
        errors = np.nan_to_num(Imputation(mixture, method, 0)(known) - rows)
        of_rows = np.square(errors).sum(axis=1)
    else:
        of_rows = log_densities(mixture, known) - log_densities(mixture, rows)
    return float(of_rows.sum() if counts is None else counts @ of_rows)
