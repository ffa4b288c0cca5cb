"""Base class of fitted mixtures: predictions, scores, samples, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from dgmm.data import DataError, Source
from dgmm.data.memory import MemorySource
from dgmm.data.types import DaskArray, GroupsLike, Location, OfRows, RowsLike, WeightsLike
from dgmm.estimators.attributes import ATTRIBUTES, attributes_read
from dgmm.estimators.empty_rows import JUDGED, warning_of_empty
from dgmm.estimators.errors import ErrorsLike, MeasuredRows
from dgmm.estimators.labels_and_groups import InGroups, split_off_side_information, with_groups
from dgmm.estimators.parameters import PARAMETERS, WIDTHS, check_mixture, parameters_of
from dgmm.estimators.predictor import Predictor, Quantity, Seed
from dgmm.estimators.rowwise import JUDGE_THEM, RowFunction, evaluate
from dgmm.estimators.validation import check_some_rows, no_rows, open_measured, open_sample_weight
from dgmm.fitting.checks import NotFinite, check_weights
from dgmm.kernels import densities
from dgmm.model import generate
from dgmm.model.matrices import Array
from dgmm.model.parameters import Evaluable, Parameters
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class LogLikelihood:
    """A log-likelihood, summed over rows: in nats, and the rows and weight that it is of."""

    total: float
    weight: float
    n_rows: int
    not_finite: NotFinite

    def __add__(self, other: LogLikelihood) -> LogLikelihood:
        return LogLikelihood(
            self.total + other.total,
            self.weight + other.weight,
            self.n_rows + other.n_rows,
            self.not_finite + other.not_finite,
        )


@dataclass(frozen=True, eq=False)
class ScoreWork:
    """The work of a pass that sums the log-likelihood.

    Attributes
    ----------
    log_densities : RowFunction
        Of rows, and of what follows their features.
    model : Evaluable
    """

    log_densities: RowFunction
    model: Evaluable

    def __call__(self, chunks: Iterator[ChunkRows]) -> LogLikelihood:
        """Sum over a span."""
        total = LogLikelihood(0.0, 0.0, 0, NotFinite())
        for chunk in chunks:
            n_rows, bad = len(chunk.values), self.log_densities.not_finite(chunk)
            values = np.zeros(n_rows) if bad else self.log_densities.of_finite(chunk)
            if chunk.weights is not None:
                check_weights(chunk)
                values = np.where(chunk.weights > 0.0, values, 0.0)
            _refuse_overflow(chunk, values, self.model)
            weights = np.ones(n_rows) if chunk.weights is None else chunk.weights
            total += LogLikelihood(float(values @ weights), float(weights.sum()), n_rows, bad)
        return total


def _refuse_overflow(chunk: ChunkRows, log_densities: Array, model: Evaluable) -> None:
    """Refuse a row whose log density leaves the range of float64, naming the value that is farthest out."""
    if np.isfinite(log_densities).all():
        return
    row = int(np.flatnonzero(~np.isfinite(log_densities))[0])
    with np.errstate(over="ignore"):
        centre = model.means.mean(axis=0)
        column = int(np.nanargmax(np.abs(chunk.values[row, : len(centre)] - centre)))
    raise DataError(
        f"Input X contains a value too large for this mixture: row {chunk.start + row}, column {column}, of "
        f"{chunk.place}, holds {float(chunk.values[row, column]):g}, and its log density overflows float64. "
        "Leave such rows out"
    )


class MixtureWarning(UserWarning):
    """Something is wrong with a fitted mixture, or with the scale of its data: the message says what."""


class FittedMixture(Predictor):
    """A mixture with fitted attributes ``weights_``, ``means_``, ``covariances_``, ``precisions_cholesky_``.

    They are the mixture: who sets them gets that mixture, without a fit. Of the last two and
    ``precisions_`` one is enough; densities are of ``precisions_cholesky_``, where it is there.
    """

    NEEDED: ClassVar[tuple[str, ...]] = ("weights_", "means_")
    """Attributes without which there is no mixture, beside one of `WIDTHS`."""

    covariance_type: str
    random_state: Seed
    missing: str
    weights_: Array
    means_: Array
    covariances_: Array
    precisions_: Array
    precisions_cholesky_: Array
    groups_: NDArray[np.generic]
    group_weights_: Array
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    @property
    def _model(self) -> Evaluable:
        """What the kernels evaluate for a row."""
        return self._parameters

    @property
    def _parameters(self) -> Parameters:
        """The fitted mixture as frozen values, of float64.

        Raises
        ------
        NotFittedError
            Where an attribute is missing that neither a fit nor the user has set.
        ValueError
            Where the shapes of attributes are not those of one mixture.
        """
        self._refuse_unfitted()
        return parameters_of(self)

    def _refuse_unfitted(self) -> None:
        missing = [name for name in self.NEEDED if not hasattr(self, name)]
        if not any(hasattr(self, name) for name in WIDTHS):
            missing.append("precisions_cholesky_ or covariances_")
        if missing:
            check_is_fitted(self)  # where nothing is there, the message is scikit-learn's
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: it lacks {', '.join(missing)}. Call "
                "'fit', or set what a mixture has"
            )

    @property
    def _n_features(self) -> int:
        """Number of features, also where the user has set the parameters alone."""
        return getattr(self, "n_features_in_", None) or np.asarray(self.means_).shape[-1]

    @property
    def _floats(self) -> np.dtype:
        """The dtype of the parameters: float32, or float64 for all else."""
        kept = [np.asarray(getattr(self, name)).dtype for name in PARAMETERS if hasattr(self, name)]
        return (
            np.result_type(*kept, np.float32) if all(each.kind == "f" for each in kept) else np.dtype(float)
        )

    def _open(self, X: RowsLike, **opening: Any) -> Source:
        return self._open_measured(X, None, **opening).rows

    def _open_measured(self, X: RowsLike, errors: ErrorsLike | None, **opening: Any) -> MeasuredRows:
        """Open rows, and their measurement errors, if there are any."""
        self._refuse_unfitted()
        names = getattr(self, "feature_names_in_", None)
        return open_measured(X, type(self).__name__, self._n_features, names, errors=errors, **opening)

    def _open_with_side_information(
        self,
        X: RowsLike,
        errors: ErrorsLike | None,
        sample_weight: WeightsLike | None = None,
        **side_information: Any,
    ) -> tuple[MeasuredRows, Source | None, dict[str, Any]]:
        """Open rows, their measurement errors and weights, and any other side information."""
        self._refuse_unfitted()
        names = getattr(self, "feature_names_in_", None)
        rows, found = split_off_side_information(
            X, {"sample_weight": sample_weight, **side_information}, names, errors
        )
        measured = self._open_measured(rows, errors)
        return measured, open_sample_weight(found.pop("sample_weight"), measured.rows), found

    def _of_rows(
        self,
        X: RowsLike,
        quantity: Quantity,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
        *,
        then: Callable[[RowFunction], RowFunction] | None = None,
    ) -> OfRows:
        """Return a quantity of rows, or what ``then`` makes of it, which maps its function to another."""
        measured, _, side_information = self._open_with_side_information(X, errors, groups=groups)
        check_some_rows(measured.rows, type(self).__name__)
        rows, function = self._judged(quantity, measured, side_information["groups"])
        if self._takes_nan:
            function = warning_of_empty(function, measured.rows, JUDGED)
        return evaluate(
            function if then is None else then(function), X if rows is measured.rows else None, rows
        )

    def _judged(
        self, quantity: Quantity, measured: MeasuredRows, groups: GroupsLike | None = None
    ) -> tuple[Source, RowFunction]:
        """Return rows, followed by what is known of them, and a quantity as a function of these."""
        function = self._row_function(quantity, measured.rows, measured.n_errors)
        if groups is None:
            return measured.joined, function
        rows, numbers = with_groups(self, measured.joined, groups)
        in_groups = InGroups(quantity, self._parameters, numbers, measured.n_errors)
        return rows, replace(function, compute=in_groups, n_behind=1)

    def _row_function(self, quantity: Quantity, source: Source, n_errors: int = 0) -> RowFunction:
        """Return a quantity as a function of rows; its floats are as wide as rows and parameters are."""
        model, dtype, columns = self._model, np.result_type(source.dtype, self._floats), None
        match quantity:
            case "labels":
                of, dtype, name = densities.labels, np.dtype(np.int64), "label"
            case "log_densities":
                of, name = densities.log_densities, "log_density"
            case "responsibilities":
                of, name, columns = densities.responsibilities, "probability", tuple(range(len(model.means)))
        names = source.feature_names
        compute = partial(of, model, n_errors=n_errors) if n_errors else partial(of, model)
        return RowFunction(
            compute,
            dtype,
            name,
            columns,
            names,
            takes_nan=self._takes_nan,
            n_errors=n_errors,
            advice=JUDGE_THEM,
        )

    @property
    def _takes_nan(self) -> bool:
        """Whether rows may lack values: they are judged by what is observed of them then."""
        return self.missing != "error"

    def __sklearn_tags__(self) -> Tags:
        """Say that rows may lack values, where they may."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_nan
        return tags

    def _log_likelihood(
        self,
        measured: MeasuredRows,
        groups: GroupsLike | None = None,
        weights: Source | None = None,
    ) -> LogLikelihood:
        rows, function = self._judged("log_densities", measured, groups)
        work = ScoreWork(replace(function, dtype=np.dtype(np.float64)), self._model)
        found = run_pass(rows, work, "score", weights)
        if found.not_finite:
            raise found.not_finite.error(function.feature_names, function.advice)
        if found.n_rows == 0:
            raise no_rows(self._n_features, type(self).__name__)
        if found.weight == 0.0:
            raise ValueError("sample_weight is zero in every row: there is nothing to score")
        return found

    def _scored(
        self,
        x: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> LogLikelihood:
        measured, weights, side_information = self._open_with_side_information(
            x, errors, sample_weight, groups=groups
        )
        return self._log_likelihood(measured, side_information["groups"], weights)

    def _n_parameters(self, groups: GroupsLike | None = None) -> int:
        """Return the number of free parameters, with the weights of groups or of all rows."""
        found = self._parameters
        return (found if groups is not None else replace(found, group_weights=None)).n_parameters

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - scikit-learn's stub returns None
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the mean log-likelihood of the rows, in one pass.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows.
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, of a mixture that was fitted to groups.
        errors : optional
            Measurement errors of the rows, as for `GaussianMixture.fit`.

        Returns
        -------
        log_likelihood : float
            Nats a row. Of float32 rows in memory under float32 parameters it is a mean in float32, as
            scikit-learn's.
        """
        measured, weights, side_information = self._open_with_side_information(
            X, errors, sample_weight, groups=groups
        )
        source, is_plain = measured.rows, sample_weight is None and groups is None and errors is None
        if isinstance(source, MemorySource) and source.n_rows and is_plain:
            function = self._row_function("log_densities", source)
            if function.dtype == np.float32:  # scikit-learn's is the mean of `score_samples`, in its dtype
                values = np.asarray(evaluate(function, X, source))
                if np.isfinite(values).all():
                    return float(values.mean())
        found = self._log_likelihood(measured, side_information["groups"], weights)
        return found.total / found.weight

    def _sample(
        self, n_samples: int, chunks: int | None
    ) -> tuple[Array | DaskArray, NDArray[np.int64] | DaskArray]:
        parameters = self._parameters
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one sample."
            )
        generator = check_random_state(self.random_state)
        if chunks is None:
            return generate.sample_by_component(parameters, int(n_samples), generator)
        if chunks < 1:
            raise ValueError(f"chunks must be at least 1 row, not {chunks}")
        import dask.array as da  # noqa: PLC0415 - a third of a second, which few need

        sizes = [min(chunks, n_samples - start) for start in range(0, n_samples, chunks)]
        seeds = np.random.SeedSequence(int(generator.randint(2**31 - 1))).spawn(len(sizes))
        shared = delayed(parameters, traverse=False)
        rows, labels = [], []
        for size, seed in zip(sizes, seeds, strict=True):
            drawn: Any = delayed(_draw, nout=2, pure=False)(shared, size, seed)
            rows.append(da.from_delayed(drawn[0], (size, parameters.n_features), np.float64))
            labels.append(da.from_delayed(drawn[1], (size,), np.int64))
        return da.concatenate(rows), da.concatenate(labels)

    def save(self, path: Location, *, storage_options: Mapping[str, object] | None = None) -> None:
        """Write the fitted mixture to one file, which `dgmm.load` reads.

        The file holds arrays and a JSON header, no pickle; it is written whole or not at all. Attributes that
        no fit sets are left out.

        Parameters
        ----------
        path : str or path
            A local path, or a URL that fsspec knows. A file that is there is replaced.
        storage_options : mapping, optional
            For the file system of a URL.

        Raises
        ------
        ValueError
            For parameters that no mixture has, and for attributes that are not those of one mixture.
        """
        from dgmm.estimators.model_file import Saved, write  # noqa: PLC0415 - no fit needs it

        self._refuse_unfitted()
        parameters = check_mixture(self)
        fitted = attributes_read({name: value for name, value in vars(self).items() if name in ATTRIBUTES})
        completed = {
            **{name: getattr(parameters, name.removesuffix("_")) for name in PARAMETERS},
            "n_features_in_": self._n_features,
        }
        for name in completed.keys() - fitted.keys():
            fitted[name] = completed[name]
        fitted |= self._more_saved()
        write(Saved(type(self).__name__, self.get_params(deep=False), fitted), path, storage_options)

    def _more_saved(self) -> dict[str, Any]:
        """Return what the file is to hold beside attributes and parameters."""
        return {}


def _draw(
    parameters: Parameters, n_rows: int, seed: np.random.SeedSequence
) -> tuple[Array, NDArray[np.int64]]:
    return generate.sample_shuffled(parameters, n_rows, np.random.default_rng(seed))
