"""`MixtureImputer`: missing values filled from a mixture, as a step of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from dgmm.data import open_dataset
from dgmm.data.kinds import is_table
from dgmm.data.memory import MemorySource
from dgmm.data.source import Source
from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    InMemory,
    Labelled,
    LikeRows,
    RowsLike,
    Stored,
    WeightsLike,
)
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.averaged import fit_average
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.best import mixture_of
from dgmm.estimators.conditioning import ConditionalMixture, LabelledT
from dgmm.estimators.containers import wrapping_arrays_alone
from dgmm.estimators.empty_rows import FILLED, warning_of_empty
from dgmm.estimators.errors import refuse_measured
from dgmm.estimators.imputing import METHODS, Method
from dgmm.estimators.labels_and_groups import split_off_side_information
from dgmm.estimators.predictor import Predictor, Seed
from dgmm.estimators.rowwise import RowFunction, evaluate
from dgmm.estimators.validation import (
    check_enough_rows,
    check_some_rows,
    open_sample_weight,
    remember_features,
)
from dgmm.model.matrices import Array
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false


@dataclass(frozen=True)
class Lacking:
    """Which features lack values in some row: bits of a number, the first feature's the lowest."""

    features: int = 0

    def __add__(self, other: Lacking) -> Lacking:
        return Lacking(self.features | other.features)


def find_lacking(chunks: Iterator[ChunkRows]) -> Lacking:
    """Do the work of a pass that finds features that lack values in some row."""
    found = Lacking()
    for chunk in chunks:
        features = np.flatnonzero(np.isnan(chunk.values).any(axis=0)).tolist()
        found += Lacking(sum(1 << feature for feature in features))
    return found


@dataclass(frozen=True, eq=False)
class WithIndicator:
    """Rows that another function fills, and which of some features were missing: a picklable function."""

    fill: Any
    features: NDArray[np.intp]

    def __call__(self, rows: NDArray[np.floating], start: int = 0) -> NDArray[np.floating]:
        """Return (n_rows, n_features + n_indicators)."""
        indicator = np.isnan(rows[:, self.features]).astype(rows.dtype)
        return np.concatenate([self.fill(rows, start), indicator], axis=1)


@wrapping_arrays_alone
class MixtureImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Missing values, NaN, filled from the conditional mixture of each row, given the values that it has.

    A transformer beside scikit-learn's imputers, which also fits and fills what is larger than memory: ``X``
    is what `dgmm.open_dataset` takes. The fit takes of each row what is observed, exactly, and assumes that
    whether a value is missing does not depend on what it is, given the others (missing at random).

    Parameters
    ----------
    estimator : estimator, default=None
        `GaussianMixture`, `BayesianGaussianMixture` or `GaussianMixtureSweep`, which is cloned and fitted to
        all rows, with ``missing='marginalize'`` in the place of ``'error'``; ``'drop'`` stays.
        ``sklearn.frozen.FrozenEstimator(mixture)`` is a mixture that is fitted already. Default: the mean of
        the densities of mixtures of 1 to 9 components, fewer of few rows, each with its covariance or all
        with one, which are fitted to a sample of at most 50,000 rows. How much is added to variances, in
        those of the features, is what fills values best that are hidden for it.
    method : {'mean', 'sample', 'mode'}, default='mean'
        What a missing value becomes: see `GaussianMixture.impute`. ``'sample'`` keeps variances and
        covariances, and ``'mean'`` the squared error low.
    add_indicator : bool, default=False
        Give, after the features, a column for each that lacked values in the fit: 1 where one was missing, 0
        elsewhere.
    random_state : int, RandomState instance or None, default=None
        Seed of draws, and of the default estimator.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    mixture_ : GaussianMixture or BayesianGaussianMixture
        That values are filled from: ``estimator_``, or the best of a sweep.
    indicator_features_ : ndarray of int
        With ``add_indicator``, the features that have an indicator.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where ``X`` names its columns.

    Examples
    --------
    >>> import numpy as np
    >>> from dgmm import MixtureImputer
    >>> X = np.array([[0, 1], [2, 4], [4, 6], [6, 9], [8, 12.5], [np.nan, 6]])
    >>> MixtureImputer(random_state=0).fit_transform(X)[-1].round(1)
    array([3.6, 6. ])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [Predictor, FrozenEstimator, None],
        "method": [StrOptions(set(METHODS))],
        "add_indicator": ["boolean"],
        "random_state": ["random_state"],
    }

    method: Method
    estimator_: Predictor | FrozenEstimator
    mixture_: ConditionalMixture
    indicator_features_: NDArray[np.intp]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        estimator: Predictor | FrozenEstimator | None = None,
        *,
        method: Method = "mean",
        add_indicator: bool = False,
        random_state: Seed = None,
    ):
        self.estimator = estimator
        self.method = method
        self.add_indicator = add_indicator
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: RowsLike, y: object = None, sample_weight: WeightsLike | None = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        self : the imputer

        Raises
        ------
        TypeError
            For a frozen estimator that is no mixture.
        ValueError
            For rows that the mixture cannot be fitted to: of infinite values, or where a feature has no value
            at all. For a frozen mixture that was fitted with measurement errors.

        Warns
        -----
        MixtureWarning
            Where the estimator was fitted with measurement errors: it is fitted anew, without.
        """
        rows, side_information = split_off_side_information(X, {"sample_weight": sample_weight})
        source = open_dataset(rows)
        given = getattr(self.estimator, "best_estimator_", self.estimator)
        if hasattr(given, "measurement_errors_") and not isinstance(self.estimator, FrozenEstimator):
            warn_user(
                "estimator was fitted with measurement errors, and is fitted anew here, without: values are "
                "filled as they would be measured",
                MixtureWarning,
            )
        if self.estimator is None:
            check_enough_rows(source, type(self).__name__, 1)
            weights = open_sample_weight(side_information["sample_weight"], source)
            self.estimator_ = fit_average(source, weights, self.method, self.random_state)
        else:
            estimator: Any = clone(self.estimator)
            # What is to be filled is no error here.
            if estimator.get_params(deep=False).get("missing") == "error":
                estimator.set_params(missing="marginalize")
            self.estimator_ = estimator.fit(source, None, **side_information)
        mixture = mixture_of(self.estimator_)
        if mixture is None:
            raise TypeError(
                f"estimator={self.estimator!r} is no mixture: give a GaussianMixture, a "
                "BayesianGaussianMixture, a GaussianMixtureSweep, or one of them in a FrozenEstimator"
            )
        refuse_measured(mixture, "imputing")
        self.mixture_ = mixture
        if self.add_indicator:
            found = run_pass(source, find_lacking, "missing values").features
            numbers = [feature for feature in range(source.n_features) if found >> feature & 1]
            self.indicator_features_ = np.array(numbers, np.intp)
        remember_features(self, source)
        return self

    @overload
    def transform(self, X: DaskDataFrame) -> DaskDataFrame: ...
    @overload
    def transform(self, X: LabelledT) -> LabelledT: ...
    @overload
    def transform(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def transform(self, X: Source) -> Array | DaskArray | Labelled: ...
    @overload
    def transform(self, X: InMemory) -> Array: ...
    def transform(self, X: RowsLike) -> LikeRows:
        """Fill the missing values of rows.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        X_imputed : of shape (n_samples, n_features), or with an indicator more columns
            NumPy for rows in memory, tables too, if `set_output` does not say otherwise; what xarray has as
            it was given, if without an indicator; a Dask frame for one, else a lazy Dask array: these,
            whatever `set_output` says.

        Warns
        -----
        DataWarning
            Where rows have no value at all: see `GaussianMixture.impute`.
        """
        check_is_fitted(self)
        mixture = self.mixture_
        source = mixture._open(X)
        check_some_rows(source, type(self).__name__)
        function = mixture._imputation(source, self.method, self.random_state)
        function = warning_of_empty(function, source, FILLED)
        if self.add_indicator:
            function = self._with_indicator(function)
        elif is_table(X) and isinstance(source, MemorySource):
            function = replace(function, gives_rows=False)
        return cast(LikeRows, evaluate(function, X, source))

    def _with_indicator(self, function: RowFunction) -> RowFunction:
        names = tuple(map(str, self.get_feature_names_out()))
        compute = WithIndicator(function.compute, self.indicator_features_)
        return replace(function, compute=compute, columns=names, gives_rows=False)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[np.object_]:
        """Return the names of the features, and of indicators: ``missingindicator_`` before a feature's name.

        Parameters
        ----------
        input_features : array-like of str, optional
            Must be those of the fit, where that had names. Default: these, or x0, x1, …

        Returns
        -------
        names : ndarray of str objects
        """
        names = cast("NDArray[np.object_]", super().get_feature_names_out(input_features))
        if not self.add_indicator:
            return names
        own = [f"missingindicator_{names[feature]}" for feature in self.indicator_features_]
        return np.append(names, np.array(own, dtype=object))

    def __sklearn_tags__(self) -> Any:
        """Say that rows may lack values, for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
