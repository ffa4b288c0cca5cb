"""Methods about some features: marginal, conditional, imputed."""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar, cast, overload

import numpy as np
from narwhals.typing import IntoDataFrame
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from dgmm.data import DataError, Source
from dgmm.data.text import printable
from dgmm.data.types import (
    DaskArray,
    DaskDataFrame,
    DataArray,
    Dataset,
    InMemory,
    Labelled,
    LikeRows,
    RowsLike,
    Stored,
)
from dgmm.estimators.empty_rows import FILLED, warning_of_empty
from dgmm.estimators.errors import refuse_measured
from dgmm.estimators.features import Features, Known, values_of
from dgmm.estimators.imputing import METHODS, Imputation, Method
from dgmm.estimators.parameters import attributes_of, fits_in, parameters_of
from dgmm.estimators.predictor import Seed
from dgmm.estimators.regressing import RegressingMixture
from dgmm.estimators.rowwise import RowFunction, evaluate
from dgmm.estimators.validation import check_some_rows
from dgmm.kernels import densities
from dgmm.model.conditional import conditional, marginal
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

LabelledT = TypeVar("LabelledT", DataArray, Dataset)
FrameT = TypeVar("FrameT", bound=IntoDataFrame)

# What X is decides on the result, and what is more special comes first. A Dask frame is also a table.
# pyright: reportOverlappingOverload=false


class ConditionalMixture(RegressingMixture):
    """A fitted mixture whose features need not all be known.

    Marginals and conditionals of a mixture are mixtures of the same covariance type. Of a Bayesian mixture
    they are those of the mixture of its posterior means, whose parameters are then taken as certain.
    """

    OF_FEATURES: ClassVar[tuple[str, ...]] = ()
    """Parameters that have a value for each feature or component: a mixture of other ones starts without."""

    def marginal(self, features: Features) -> Self:
        """Return the mixture of some features, whatever the values of the others.

        Parameters
        ----------
        features : str, int, or iterable of these
            Names or column numbers, in the order that the new mixture is to have.

        Returns
        -------
        mixture
            Of the same class, with the same components in the same order.

        Raises
        ------
        ValueError
            For a feature that is not there, or is given twice.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0, 1], [2, 4], [4, 6], [6, 9]])
        >>> mixture.marginal([1]).means_
        array([[5.]])
        """
        self._refuse_unfitted()
        chosen = self._numbers_of(features)
        if len(chosen) == 0:
            raise DataError("a mixture without features has no density; name at least one")
        return self._with(marginal(parameters_of(self), chosen), chosen)

    def condition(self, known: Known) -> Self:
        """Return the mixture of the other features, where the values of some are known.

        Component k keeps its number. Its weight is its responsibility for the known values; its mean is that
        of a linear regression on them; its covariance does not depend on them. Values however far out have
        weights: those of the limit, where all densities underflow.

        Parameters
        ----------
        known : mapping of str or int to float
            Names or column numbers, and their values.

        Returns
        -------
        mixture
            Of the same class, of the features that are not named, in their order.

        Raises
        ------
        ValueError
            For a feature that is not there, or is given twice; for a value that is not finite, or so far out
            that means given it are not; where no feature is left.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0, 1], [2, 4], [4, 6], [6, 9]])
        >>> mixture.condition({0: 1}).means_.round(3)
        array([[2.4]])
        """
        self._refuse_unfitted()
        parameters = parameters_of(self)
        numbers, values = values_of(known, self._names, parameters.n_features)
        if len(numbers) == parameters.n_features:
            raise DataError(
                "all features are known, and no feature is left; `score_samples` gives the density of the row"
            )
        is_known = np.isin(np.arange(parameters.n_features), numbers)
        found = conditional(parameters, is_known)
        row, weights = values[np.argsort(numbers)], parameters.weights
        if len(numbers):
            weights = densities.responsibilities(found.of_known, row[None, :])[0]
        with np.errstate(over="ignore", invalid="ignore"):
            given = found.given(weights, row)
        if not np.isfinite(given.means).all():
            component, feature = np.argwhere(~np.isfinite(given.means))[0].tolist()
            number = int(found.missing[feature])
            named = number if self._names is None else repr(printable(str(self._names[number])))
            raise DataError(
                f"the value {row[np.abs(row).argmax()]:g} is too far out: given it, the mean of feature "
                f"{named} overflows in component {component}"
            )
        return self._with(given, found.missing)

    @overload
    def impute(
        self, X: DaskDataFrame, method: Method = "mean", *, random_state: Seed = None
    ) -> DaskDataFrame: ...
    @overload
    def impute(self, X: LabelledT, method: Method = "mean", *, random_state: Seed = None) -> LabelledT: ...
    @overload
    def impute(
        self, X: DaskArray | Stored, method: Method = "mean", *, random_state: Seed = None
    ) -> DaskArray: ...
    @overload
    def impute(self, X: FrameT, method: Method = "mean", *, random_state: Seed = None) -> FrameT: ...
    @overload
    def impute(self, X: InMemory, method: Method = "mean", *, random_state: Seed = None) -> Array: ...
    @overload
    def impute(
        self, X: Source, method: Method = "mean", *, random_state: Seed = None
    ) -> Array | DaskArray | Labelled: ...
    def impute(self, X: RowsLike, method: Method = "mean", *, random_state: Seed = None) -> LikeRows:
        """Fill missing values, NaN, from the conditional mixture of each row, given the values that it has.

        Values that are there stay as they are, to the last bit. Whatever the rows of the fit were.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        method : {'mean', 'sample', 'mode'}, default='mean'
            ``'mean'``: what loses the least squared error, but makes imputed values vary too little.
            ``'sample'``: a random draw, so that variances and covariances are those of complete rows; it
            depends on the seed, the number of the row and the feature alone, however rows are cut into
            chunks. ``'mode'``: the likeliest values, where the density of the conditional mixture is
            highest: unlike the mean, they never lie between clusters, where there are no rows.
        random_state : int, RandomState instance or None, default=None
            Seed of draws. None is the mixture's own.

        Returns
        -------
        X_imputed : of shape (n_samples, n_features)
            Of the dtype of the rows, float32 or float64. An array for an array; a table of the same kind for
            a table, of the mixture's features; a Dataset or DataArray as it was given; lazy for Dask
            collections, and a lazy Dask array for paths. Numbering rows to draw for them counts those of
            Dask collections of unknown length.

        Raises
        ------
        ValueError
            For values that are infinite; for rows that are not of this mixture's features; of a mixture
            that was fitted with measurement errors.

        Warns
        -----
        DataWarning
            Where rows have no value at all, which are filled all alike, but by draws: with their number for
            rows in memory, else when they are filled.

        Examples
        --------
        >>> import numpy as np
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0, 1], [2, 4], [4, 6], [6, 9]])
        >>> mixture.impute([[1, np.nan], [np.nan, 8.4]]).round(3)
        array([[1. , 2.4],
               [5.6, 8.4]])
        """
        self._refuse_unfitted()
        source = self._open(X)
        check_some_rows(source, type(self).__name__)
        function = warning_of_empty(self._imputation(source, method, random_state), source, FILLED)
        return cast(LikeRows, evaluate(function, X, source))

    def _imputation(self, source: Source, method: Method, random_state: Seed) -> RowFunction:
        """Return the function of a source's rows that `impute` is."""
        refuse_measured(self, "imputing")
        if method not in METHODS:
            raise ValueError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}")
        is_random = method == "sample"
        seeding = self.random_state if random_state is None else random_state
        seed = int(check_random_state(seeding).randint(2**31 - 1)) if is_random else 0
        names = source.feature_names
        return RowFunction(
            Imputation(parameters_of(self), method, seed),
            source.dtype,
            "imputed",
            tuple(range(source.n_features)) if names is None else names,
            names,
            takes_nan=True,
            is_numbered=is_random,
            gives_rows=True,
        )

    def _with(self, parameters: Parameters, features: NDArray[np.intp]) -> Self:
        """Give a mixture of some of the features with these parameters: fitted, but for figures of a fit."""
        settings = self.get_params(deep=False)
        settings |= dict.fromkeys(self.OF_FEATURES) | {"n_components": parameters.n_components}
        made = type(self)(**settings)
        made._set_parameters(parameters, self._floats)
        made.n_features_in_ = parameters.n_features
        if self._names is not None:
            made.feature_names_in_ = np.asarray(self._names, dtype=object)[features]
        for name in ("converged_", "n_iter_", "measurement_errors_"):  # it is of true values still
            if hasattr(self, name):
                setattr(made, name, getattr(self, name))
        return made

    def _set_parameters(self, parameters: Parameters, dtype: np.dtype) -> None:
        """Set the attributes that parameters are, in a dtype if its range holds them."""
        kept = dtype if fits_in(parameters, dtype) else np.dtype(np.float64)
        for name, value in attributes_of(parameters, kept).items():
            setattr(self, name, value)
