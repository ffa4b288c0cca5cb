"""`PCA`: principal components from one pass, and projections that stay lazy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray
from sklearn import decomposition
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from dgmm.data import DataError, Source, open_dataset
from dgmm.data.ambient import compute_now
from dgmm.data.text import counted
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
from dgmm.estimators.containers import wrapping_arrays_alone
from dgmm.estimators.features import column_names
from dgmm.estimators.labels_and_groups import split_off_side_information
from dgmm.estimators.rowwise import FILL_THEM, RowFunction, evaluate
from dgmm.estimators.validation import (
    check_enough_rows,
    check_some_rows,
    open_sample_weight,
    open_to_predict,
    remember_features,
)
from dgmm.fitting.principal import FactorWork
from dgmm.model.matrices import Array
from dgmm.model.principal import (
    CentredFactor,
    gaussian_log_densities,
    minka_dimension,
    principal_axes,
    project,
    reconstruct,
)
from dgmm.passes.blas import single_threaded
from dgmm.passes.run import run_pass

EXACT_SOLVERS = ("auto", "full", "covariance_eigh")
"""Solvers of scikit-learn's whose answer this one gives."""


# As in predictor.py, what X is decides on the result, and what is more special comes first.
# pyright: reportOverlappingOverload=false


@wrapping_arrays_alone
class PCA(decomposition.PCA):
    """Principal component analysis of rows in memory or far larger than memory.

    A drop-in for `sklearn.decomposition.PCA`: its parameters, attributes, signs, and its answer with
    ``svd_solver='full'``. ``X`` is what `dgmm.open_dataset` takes; `fit` makes one pass over it, in bounded
    memory, on the ambient Dask scheduler. What has a value for each row is a NumPy array for rows in memory,
    a frame with the index for a Dask DataFrame, and a lazy Dask array for all else, which mixtures take: a
    pipeline of the two needs no store in between.

    The pass adds up triangular factors of the centred rows, which are never squared: an offset of the data
    far larger than its spread costs no digits, nor does a small variance beside a large one.

    Parameters
    ----------
    n_components : int, float, 'mle' or None, default=None
        Number of components; or, from 0 to 1, the share of the variance that they are to explain at least;
        or Minka's choice; or as many as there are features, but no more than rows.
    copy : bool, default=True
        Not used: rows are never changed.
    whiten : bool, default=False
        Divide projections by their standard deviations.
    svd_solver : {'auto', 'full', 'covariance_eigh'}, default='auto'
        All the same. ``'arpack'`` and ``'randomized'``, which see the rows many times for a few components,
        are refused.
    tol, iterated_power, n_oversamples, power_iteration_normalizer, random_state
        Of those two; not used.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        Unit vectors, float64, whatever the rows are, as all other attributes.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray of shape (n_components_,)
    mean_ : ndarray of shape (n_features_in_,)
    n_components_, n_samples_, n_features_in_ : int
        ``n_samples_`` counts the rows of a weight above zero.
    noise_variance_ : float
        Mean variance along the directions that are left out.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where ``X`` names its columns.

    Notes
    -----
    `get_covariance`, and with it `score_samples`, are scikit-learn's also where ``whiten=True``: there, as
    of its version 1.9, they are not those of the same model without.

    Examples
    --------
    >>> import numpy as np
    >>> from dgmm import PCA
    >>> X = np.array([[-1, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]])
    >>> pca = PCA(n_components=2).fit(X + 1e6)
    >>> pca.explained_variance_ratio_.round(4)
    array([0.9924, 0.0076])
    >>> pca.transform(X[:1] + 1e6).round(4)
    array([[-1.3834, -0.2936]])
    """

    n_features_in_: int

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: RowsLike, y: object = None, sample_weight: WeightsLike | None = None) -> Self:
        """Find the principal components, in one pass.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows; whole numbers count a row so many times.

        Returns
        -------
        self : PCA

        Raises
        ------
        ValueError
            For rows that are not finite numbers, with their place; for more components than there are
            features or rows; for a solver that is only approximate.
        """
        if self.svd_solver not in EXACT_SOLVERS:
            raise ValueError(
                f"svd_solver={self.svd_solver!r} reads the rows many times for an approximate answer; one "
                f"pass gives the exact one: choose {', '.join(map(repr, EXACT_SOLVERS))}"
            )
        rows, side_information = split_off_side_information(X, {"sample_weight": sample_weight})
        source = open_dataset(rows)
        check_enough_rows(source, type(self).__name__, 1)
        weights = open_sample_weight(side_information["sample_weight"], source)
        found = run_pass(source, FactorWork(source.n_features), "PCA", weights)
        if found.not_finite:
            raise found.not_finite.error(source.feature_names, FILL_THEM)
        self._set_fitted(found.factor)
        remember_features(self, source)
        return self

    @single_threaded()
    def _set_fitted(self, factor: CentredFactor) -> None:
        degrees = factor.weight - 1.0
        if factor.weight == 0.0:
            raise DataError("sample_weight is zero in every row: there is nothing to fit")
        if not degrees > 0.0:
            raise DataError(
                f"sample_weight sums to {factor.weight:g}: it counts rows, and variances need more than one; "
                "multiply the weights, for example so that their mean is 1"
            )
        values, axes = principal_axes(factor)
        with np.errstate(over="ignore", invalid="ignore"):
            variances = values**2 / degrees
            total = variances.sum()
            shares = variances / total  # NaN, as in scikit-learn, where all rows are the same
        if not np.isfinite(total):
            raise DataError(
                "Input X contains a value too large for PCA: variances overflow float64. Leave such rows "
                "out, or scale the data"
            )
        n_kept = self._n_kept(variances, shares, factor)
        self.mean_ = factor.mean
        self.components_ = axes[:n_kept].copy()
        self.explained_variance_ = variances[:n_kept].copy()
        self.explained_variance_ratio_ = shares[:n_kept].copy()
        self.singular_values_ = values[:n_kept].copy()
        self.noise_variance_ = float(variances[n_kept:].mean()) if n_kept < len(variances) else 0.0
        self.n_components_, self.n_samples_ = n_kept, factor.n_rows

    def _n_kept(self, variances: NDArray[Any], shares: NDArray[Any], factor: CentredFactor) -> int:
        """Return the number of components, as ``n_components`` says."""
        wanted, n_features, most = self.n_components, len(factor.mean), len(variances)
        if wanted is None:
            return most
        if isinstance(wanted, str):
            if factor.n_rows < n_features:
                raise ValueError("n_components='mle' is only supported if n_samples >= n_features")
            return minka_dimension(variances, factor.weight)
        if 0.0 < wanted < 1.0:
            explained = np.cumsum(shares)
            return min(int(np.searchsorted(explained, wanted, side="right")) + 1, most)
        if wanted > most:
            raise ValueError(
                f"n_components={wanted} must be between 0 and min(n_samples, n_features)={most} with "
                f"svd_solver={self.svd_solver!r}: there are {factor.n_rows:,} rows and {n_features:,} "
                "features"
            )
        return int(wanted)

    @overload
    def fit_transform(
        self, X: DaskDataFrame, y: object = None, sample_weight: WeightsLike | None = None
    ) -> DaskDataFrame: ...
    @overload
    def fit_transform(
        self, X: Labelled, y: object = None, sample_weight: WeightsLike | None = None
    ) -> DataArray: ...
    @overload
    def fit_transform(
        self, X: DaskArray | Stored, y: object = None, sample_weight: WeightsLike | None = None
    ) -> DaskArray: ...
    @overload
    def fit_transform(
        self, X: Source, y: object = None, sample_weight: WeightsLike | None = None
    ) -> Array | DaskArray | DataArray: ...
    @overload
    def fit_transform(
        self, X: InMemory, y: object = None, sample_weight: WeightsLike | None = None
    ) -> Array: ...
    def fit_transform(
        self, X: RowsLike, y: object = None, sample_weight: WeightsLike | None = None
    ) -> OfRows:
        """Find the principal components, and project the rows.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        projections : of shape (n_samples, n_components_)
            As from `transform`.
        """
        return self.fit(X, y, sample_weight)._projected(X)

    @overload
    def transform(self, X: DaskDataFrame) -> DaskDataFrame: ...
    @overload
    def transform(self, X: Labelled) -> DataArray: ...
    @overload
    def transform(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def transform(self, X: Source) -> Array | DaskArray | DataArray: ...
    @overload
    def transform(self, X: InMemory) -> Array: ...
    def transform(self, X: RowsLike) -> OfRows:
        """Project rows on the principal components.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        projections : of shape (n_samples, n_components_)
            Of the rows' dtype: NumPy for rows in memory, a Dask frame for one, else a lazy Dask array.
        """
        return self._projected(X)

    def _projected(self, X: RowsLike) -> OfRows:
        names = tuple(map(str, self.get_feature_names_out()))
        return self._of_rows(X, partial(project, **self._geometry()), names)

    @overload
    def inverse_transform(self, X: DaskDataFrame) -> DaskDataFrame: ...
    @overload
    def inverse_transform(self, X: Labelled) -> DataArray: ...
    @overload
    def inverse_transform(self, X: DaskArray | Stored) -> DaskArray: ...
    @overload
    def inverse_transform(self, X: Source) -> Array | DaskArray | DataArray: ...
    @overload
    def inverse_transform(self, X: InMemory) -> Array: ...
    def inverse_transform(self, X: RowsLike) -> OfRows:
        """Return the rows whose projections these would be.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_components_)

        Returns
        -------
        rows : of shape (n_samples, n_features_in_)
            NumPy, or lazy, as from `transform`.
        """
        check_is_fitted(self)
        source = open_dataset(X)
        if source.n_features != self.n_components_:
            raise DataError(
                f"X has {counted(source.n_features, 'column')}, but this PCA has "
                f"{counted(self.n_components_, 'component')}: give what 'transform' gave"
            )
        compute = partial(reconstruct, **self._geometry())
        names = column_names(getattr(self, "feature_names_in_", None), self.n_features_in_)
        return self._evaluated(X, source, compute, names)

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
        """Return the log density of each row under the model of probabilistic PCA.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        log_densities : of shape (n_samples,)
            In nats; NumPy, or lazy, as from `transform`.
        """
        return self._log_densities(X)

    def _log_densities(self, X: RowsLike) -> OfRows:
        check_is_fitted(self)
        try:
            precision = self.get_precision()
        except np.linalg.LinAlgError as error:
            raise DataError(
                "these components leave directions without any variance, in which no row has a density: fit "
                "fewer components, or leave out features that depend on others"
            ) from error
        return self._of_rows(X, partial(gaussian_log_densities, mean=self.mean_, precision=precision), None)

    def score(self, X: RowsLike, y: object = None) -> float:
        """Compute the mean log density of the rows.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        log_likelihood : float
            Nats a row.
        """
        mean = self._log_densities(X).mean()
        return float(mean if isinstance(mean, np.generic) else compute_now(mean)[0])

    def _geometry(self) -> dict[str, Any]:
        """Return what projections need."""
        check_is_fitted(self)
        smallest = np.finfo(np.float64).eps  # as in scikit-learn, where directions have no variance
        widths = np.maximum(np.sqrt(self.explained_variance_), smallest) if self.whiten else None
        return {"mean": self.mean_, "axes": self.components_, "widths": widths}

    def _of_rows(
        self, X: RowsLike, compute: Callable[[NDArray[Any]], NDArray[Any]], columns: tuple[str, ...] | None
    ) -> OfRows:
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        source = open_to_predict(X, type(self).__name__, self.n_features_in_, names)
        return self._evaluated(X, source, compute, columns)

    def _evaluated(
        self,
        X: RowsLike,
        source: Source,
        compute: Callable[[NDArray[Any]], NDArray[Any]],
        columns: tuple[str, ...] | None,
    ) -> OfRows:
        check_some_rows(source, type(self).__name__)
        name = "log_density" if columns is None else "projection"
        return evaluate(RowFunction(compute, source.dtype, name, columns, source.feature_names), X, source)

    def __sklearn_tags__(self) -> Any:
        """Say what rows are taken, for scikit-learn."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = tags.input_tags.sparse = False
        return tags
