"""`MixtureOutlierDetector`: rows of low density, and which of their values are unlikely."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from dgmm.data import DataError, open_dataset, open_weights
from dgmm.data.memory import MemorySource
from dgmm.data.source import Source
from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    DaskSeries,
    DataArray,
    InMemory,
    Labelled,
    OfRows,
    RowsLike,
    Stored,
    WeightsLike,
)
from dgmm.estimators.best import mixture_of
from dgmm.estimators.errors import refuse_measured
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.inliers import INLIERS, fit_to_inliers
from dgmm.estimators.labels_and_groups import split_off_side_information
from dgmm.estimators.linear import linear_before_mixture
from dgmm.estimators.outlier_scores import score_function, scores_of, surprise_function
from dgmm.estimators.parameters import parameters_of
from dgmm.estimators.predictor import Seed
from dgmm.estimators.quantile import quantile
from dgmm.estimators.rowwise import evaluate
from dgmm.estimators.validation import (
    check_enough_rows,
    check_some_rows,
    open_sample_weight,
    open_to_predict,
)
from dgmm.fitting.survey import MISSING
from dgmm.model.matrices import Array
from dgmm.passes.task import ChunkRows

# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false

LOWEST = -float(np.finfo(np.float64).max)


class MixtureOutlierDetector(OutlierMixin, BaseEstimator):
    """Outliers: the rows to which a mixture gives the lowest densities.

    ``X`` is what `dgmm.open_dataset` takes. After the fit of the mixture two passes find the threshold, the
    quantile ``contamination`` of the log densities of all rows: exactly where it can, and with a rank error
    of 10⁻⁵ at the most, on any scheduler the same. Results for each row are lazy where the mixture's are.

    Rows that lack values, NaN, are refused by default, as mixtures do it; ``missing`` takes them, or the
    mixture's own ``missing``. Such a row is judged by what is observed of it: by the log density to be
    expected of the complete row. A density of fewer features would be in other units.

    Parameters
    ----------
    estimator : estimator, default=None
        With `score_samples`: `GaussianMixture`, `BayesianGaussianMixture`, `GaussianMixtureSweep`, or a
        pipeline that ends in one. It is cloned and fitted; ``sklearn.frozen.FrozenEstimator(mixture)`` is a
        mixture that is fitted already. Default: rows that are unlikely by mixtures of the half of the rows
        that they are not in are left aside, twice as many as the contamination; of mixtures of 1 to 5
        components, each with its covariance or all with one, BIC chooses for the others: on a sample of at
        most 50,000 rows.
    contamination : float, default=0.01
        The share of the rows to call outliers, from 0 to 0.5. There is no ``'auto'``: what density is low
        depends on the units of the data, and none is low by itself.
    least_weight : float, default=None
        Components of a lower weight are left out of the fitted mixture, and the others take their weight:
        what lies together far from all else is a cluster to a mixture, and likely, however few rows it has.
        More than ``contamination``, and less than any cluster has that is normal. Default: twice the
        contamination where no estimator is given; else all are kept.
    missing : {'error', 'drop', 'marginalize'}, default='error'
        What the default estimator does with rows that lack values: see `GaussianMixture`. Another one has
        its own: ``estimator=GaussianMixture(..., missing='marginalize')``.
    random_state : int, RandomState instance or None, default=None
        Seed of the default estimator.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one, without components that were left out.
    offset_ : float
        The threshold, in nats: rows of a log density below are outliers.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where ``X`` names its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dgmm import GaussianMixture, MixtureOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(1000, 3)) * [1, 10, 100]
    >>> X[7] = [0, 80, 0]
    >>> detector = MixtureOutlierDetector(GaussianMixture(1), contamination=0.001).fit(X)
    >>> np.flatnonzero(detector.predict(X) == -1)
    array([7])
    >>> detector.explain(X[7:8]).round()     # nats: the second feature is what is odd of it
    array([[ 0., 34.,  0.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "contamination": [Interval(Real, 0.0, 0.5, closed="right")],
        "least_weight": [Interval(Real, 0.0, 1.0, closed="neither"), None],
        "missing": [StrOptions(set(MISSING))],
        "random_state": ["random_state"],
    }

    estimator_: BaseEstimator
    offset_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        contamination: float = 0.01,
        least_weight: float | None = None,
        missing: str = "error",
        random_state: Seed = None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.least_weight = least_weight
        self.missing = missing
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: RowsLike, y: object = None, sample_weight: WeightsLike | None = None) -> Self:
        """Fit the mixture, and find the threshold.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows, for both.

        Returns
        -------
        self : MixtureOutlierDetector

        Raises
        ------
        TypeError
            If the estimator has no `score_samples`.
        ValueError
            If ``missing`` is given beside an estimator; for rows that lack values, where these are refused.
        """
        if self.estimator is not None and not hasattr(self.estimator, "score_samples"):
            raise TypeError(
                f"estimator={self.estimator!r} has no 'score_samples': give a mixture, or a pipeline that "
                "ends in one"
            )
        if self.estimator is not None and self.missing != "error":
            raise ValueError(
                f"missing={self.missing!r} applies to the default estimator: pass it to yours, as in "
                f"estimator=GaussianMixture(..., missing={self.missing!r})"
            )
        X, side_information = split_off_side_information(X, {"sample_weight": sample_weight})
        sample_weight, least = side_information["sample_weight"], self.least_weight
        if self.estimator is None:
            estimator: Any = self._default(X, sample_weight)
            heaviest = float(parameters_of(estimator).weights.max())
            least = min(INLIERS.margin * self.contamination, heaviest) if least is None else least
        else:
            own = {} if sample_weight is None else {"sample_weight": sample_weight}
            estimator = clone(self.estimator)
            estimator.fit(X, y, **own)
        self.estimator_ = estimator if least is None else without_light_components(estimator, least)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
            elif hasattr(self, name):
                delattr(self, name)
        if (mixture := mixture_of(self.estimator_)) is not None:  # as one that was fitted before may be
            refuse_measured(mixture, "a threshold")
        self.offset_ = max(self._quantile(X, sample_weight), LOWEST)  # rows without density are outliers
        return self

    def _default(self, X: RowsLike, sample_weight: WeightsLike | None) -> GaussianMixture:
        source = open_dataset(X)
        check_enough_rows(source, type(self).__name__, 1)
        weights = open_sample_weight(sample_weight, source)
        return fit_to_inliers(source, weights, self.contamination, self.random_state, self.missing)

    def _quantile(self, X: RowsLike, sample_weight: WeightsLike | None) -> float:
        mixture, of = mixture_of(self.estimator_), _first_column
        source = open_dataset(X) if mixture is None else mixture._open(X)
        weights = open_sample_weight(sample_weight, source)
        if isinstance(source, MemorySource):
            source = MemorySource(np.asarray(self._scored(X)).reshape(-1, 1))
        elif mixture is None:
            source = open_weights(self._scored(X))
        else:
            of = score_function(mixture, source).of
        return quantile(source, of, self.contamination, weights, "threshold")

    @overload
    def score_samples(self, X: DaskDataFrame) -> DaskSeries: ...
    @overload
    def score_samples(self, X: Labelled) -> DataArray: ...
    @overload
    def score_samples(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def score_samples(self, X: Source) -> Array | DaskArray | DataArray: ...
    @overload
    def score_samples(self, X: InMemory) -> Array: ...
    def score_samples(self, X: RowsLike) -> OfRows:
        """Return the log density of each row; of one that lacks values, that to be expected if it did not.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        log_densities : of shape (n_samples,)
            In nats: NumPy, or lazy, as the mixture gives them.
        """
        return self._scored(X)

    def _scored(self, X: RowsLike) -> Any:
        check_is_fitted(self)
        return scores_of(self.estimator_, X)

    @overload
    def decision_function(self, X: DaskDataFrame) -> DaskSeries: ...
    @overload
    def decision_function(self, X: Labelled) -> DataArray: ...
    @overload
    def decision_function(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def decision_function(self, X: Source) -> Array | DaskArray | DataArray: ...
    @overload
    def decision_function(self, X: InMemory) -> Array: ...
    def decision_function(self, X: RowsLike) -> OfRows:
        """Return by how much the log density of each row is above the threshold.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        distances : of shape (n_samples,)
            In nats; below 0 for outliers. As `score_samples`.
        """
        return self._decided(X)

    def _decided(self, X: RowsLike) -> Any:
        return _named(self._scored(X) - self.offset_, "decision")

    @overload
    def predict(self, X: DaskDataFrame) -> DaskSeries: ...
    @overload
    def predict(self, X: Labelled) -> DataArray: ...
    @overload
    def predict(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def predict(self, X: Source) -> NDArray[np.int64] | DaskArray | DataArray: ...
    @overload
    def predict(self, X: InMemory) -> NDArray[np.int64]: ...
    def predict(self, X: RowsLike) -> OfRows:
        """Tell outliers from others.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        labels : of shape (n_samples,), int64
            −1 for outliers, 1 for others. As `score_samples`.
        """
        is_outlier = self._decided(X) < 0.0
        return _named(1 - 2 * is_outlier.astype(np.int64), "label")

    @overload
    def explain(self, X: DaskDataFrame) -> DaskDataFrame: ...
    @overload
    def explain(self, X: Labelled) -> DataArray: ...
    @overload
    def explain(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def explain(self, X: Source) -> Array | DaskArray | DataArray: ...
    @overload
    def explain(self, X: InMemory) -> Array: ...
    def explain(self, X: RowsLike) -> OfRows:
        """Return which features make rows unlikely: the surprise of each value, given the row's others.

        The surprise is ``−log p`` in nats, where p is the chance of a value as far from what the row's other
        values let expect, under the components that they suggest (`dgmm.model.surprise`). It is about 1 on
        average in any feature, whatever its unit and correlations; 7 nats are one in a thousand. Where
        features depend on each other closely, a wrong value makes that of its relatives surprising, too.

        Of a pipeline with linear steps before the mixture (`PCA`, scikit-learn's and its StandardScaler) the
        features are those of ``X``: what is judged is where the row lies on the line along which one value
        alone changes. What principal components leave out surprises nobody: the mixture does not see it.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        surprises : of shape (n_samples, n_features)
            NumPy, or lazy, as `score_samples`; a Dask frame with the names of the features for one.

        Raises
        ------
        TypeError
            If a step of the pipeline is not known to be linear.
        """
        check_is_fitted(self)
        linear, mixture = linear_before_mixture(self.estimator_)
        if linear is None:
            source = mixture._open(X)
        else:
            names = getattr(self, "feature_names_in_", None)
            source = open_to_predict(X, type(self).__name__, self.n_features_in_, names)
        check_some_rows(source, type(self).__name__)
        return evaluate(surprise_function(mixture, source, linear), X, source)

    def __sklearn_tags__(self) -> Any:
        """Say what rows are taken, for scikit-learn: those that the mixture takes."""
        tags = super().__sklearn_tags__()
        takes_nan = self.missing != "error"
        if self.estimator is not None:
            takes_nan = get_tags(self.estimator).input_tags.allow_nan
        tags.input_tags.allow_nan = takes_nan
        return tags


def without_light_components(estimator: Any, least_weight: float) -> BaseEstimator:
    """Return a fitted mixture, or a pipeline that ends in one, without the components of a lower weight.

    Raises
    ------
    TypeError
        If there is no mixture.
    ValueError
        If no component would be left.
    """
    if isinstance(estimator, Pipeline):
        *before, (name, last) = estimator.steps
        return Pipeline([*before, (name, without_light_components(last, least_weight))])
    mixture = mixture_of(estimator)
    if mixture is None:
        raise TypeError(f"least_weight is of components, and {type(estimator).__name__} is no mixture")
    parameters = parameters_of(mixture)
    kept = np.flatnonzero(parameters.weights >= least_weight)
    if not len(kept):
        raise DataError(
            f"no component has the weight least_weight={least_weight:g}; the greatest has "
            f"{parameters.weights.max():.3g}: give less, or fit fewer components"
        )
    if len(kept) == parameters.n_components:
        return mixture
    return mixture._with(parameters.part(kept), np.arange(parameters.n_features))


def _first_column(rows: ChunkRows) -> NDArray[np.floating]:
    return rows.values[:, 0]


def _named(values: Any, name: str) -> Any:
    """Rename what has a name: series of frames, and what xarray has."""
    return values.rename(name) if hasattr(values, "rename") else values
