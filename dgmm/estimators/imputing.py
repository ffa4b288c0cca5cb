"""Missing values filled, and features regressed on others, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from dgmm.data.kinds import comes_from
from dgmm.fitting.sample import uniform_numbers
from dgmm.kernels.imputation import Given, conditioned
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

Mean_co = TypeVar("Mean_co", covariant=True)
Covariance_co = TypeVar("Covariance_co", covariant=True)

Method = Literal["mean", "sample", "mode"]
METHODS: tuple[Method, ...] = get_args(Method)
"""What a missing value may be: the mean of what it may be, a random draw of that, or the likeliest."""


class Regression(NamedTuple, Generic[Mean_co, Covariance_co]):
    """What is known of some features where others are known, for each row.

    Attributes
    ----------
    mean : of shape (n_samples, n_targets)
    covariance : of shape (n_samples, n_targets, n_targets)
        In squared units of the data.
    """

    mean: Mean_co
    covariance: Covariance_co


@dataclass(frozen=True, eq=False)
class Imputation:
    """Fills missing values, NaN, of rows: a picklable function.

    Attributes
    ----------
    mixture : Parameters
        A plain one.
    method : str
    seed : int
        Of draws: they depend on it, the number of a row and the feature alone.
    """

    mixture: Parameters
    method: Method
    seed: int

    def __call__(self, rows: NDArray[np.floating], start: int = 0) -> NDArray[np.floating]:
        """Return complete rows, of which the known values are as they were.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
        start : int
            Number of the first row; matters to draws alone.
        """
        filled = rows.copy()
        pieces = conditioned(self.mixture, rows, makes_matrices=self.method == "mode")
        for numbers, given in pieces:
            filled[numbers[:, None], given.conditional.missing] = self._values(given, start + numbers)
        return filled

    def _values(self, given: Given, numbers: NDArray[np.intp]) -> Array:
        if self.method == "sample":
            own = np.append(0, 1 + given.conditional.missing)
            return given.drawn(uniforms(self.seed, numbers, own, 1 + self.mixture.n_features))
        return given.modes if self.method == "mode" else given.expected


def uniforms(seed: int, rows: NDArray[np.intp], own: NDArray[np.intp], n_own: int) -> Array:
    """Draw numbers between 0 and 1, exclusively, that depend on the seed and on their own numbers alone.

    Parameters
    ----------
    seed : int
    rows : ndarray of shape (n_rows,)
    own : ndarray of shape (n,)
        Which of a row's numbers are wanted.
    n_own : int
        How many a row has.

    Returns
    -------
    ndarray of shape (n_rows, n)
    """
    numbers = rows[:, None].astype(np.int64) * n_own + own
    return uniform_numbers(seed, numbers)


@dataclass(frozen=True, eq=False)
class Regressing:
    """Means and covariances of the last features given the first ones: a picklable function of rows.

    Attributes
    ----------
    mixture : Parameters
        Of the known features and, after them, the targets.
    n_targets : int
    columns : ndarray of shape (n_known,) or None
        Where the known features are among the columns of rows. None: they are all columns.
    """

    mixture: Parameters
    n_targets: int
    columns: NDArray[np.intp] | None = None

    def __call__(self, rows: NDArray[np.floating]) -> Array:
        """Return means and, row by row, covariances: (n_rows, n_targets + n_targets²).

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_known), or of more columns
            Where a value is NaN, it is not known.
        """
        m = self.n_targets
        rows = rows if self.columns is None else rows[:, self.columns]
        result = np.empty((len(rows), m + m * m))
        whole = np.concatenate([rows, np.full((len(rows), m), np.nan)], axis=1)
        for numbers, given in conditioned(self.mixture, whole, makes_matrices=True):
            result[numbers, :m] = given.expected[:, -m:]
            result[numbers, m:] = given.covariances[:, -m:, -m:].reshape(-1, m * m)
        return result

    def names(self, targets: list[str]) -> tuple[str, ...]:
        """Name the results, after the targets."""
        return (*targets, *(f"cov({one}, {other})" for one in targets for other in targets))


def split_regression(values: Any, targets: list[str]) -> Regression[Any, Any]:
    """Take apart what `Regressing` gives, in any form that a result for each row has."""
    m = len(targets)
    if isinstance(values, np.ndarray):
        return Regression(values[:, :m], values[:, m:].reshape(-1, m, m))
    if hasattr(values, "to_dask_array"):
        return Regression(values[targets], _as_matrices(values.to_dask_array()[:, m:], m))
    if comes_from(values, "dask", "Array"):
        return Regression(values[:, :m], _as_matrices(values[:, m:], m))
    mean = values.isel(component=slice(m)).rename("mean", component="target").assign_coords(target=targets)
    square = values.isel(component=slice(m, None)).data
    covariance = mean.expand_dims(other_target=targets, axis=-1).copy(data=square.reshape((*mean.shape, m)))
    return Regression(mean, covariance.rename("covariance"))


def _as_matrices(values: Any, size: int) -> Any:
    chunks = (values.chunks[0], (size,), (size,))
    meta = np.empty((0, size, size), values.dtype)
    return values.map_blocks(_square, size, dtype=values.dtype, chunks=chunks, new_axis=2, meta=meta)


def _square(block: NDArray[np.floating], size: int) -> NDArray[np.floating]:
    return block.reshape(-1, size, size)
