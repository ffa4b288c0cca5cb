"""Missing values filled, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.sample import uniform_numbers
from dgmm.kernels.imputation import ConditionedRows, conditioned
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

Method = Literal["mean", "sample", "mode"]
METHODS: tuple[Method, ...] = get_args(Method)
"""What a missing value may be: the mean of what it may be, a random draw of that, or the likeliest."""


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

    def _values(self, given: ConditionedRows, numbers: NDArray[np.intp]) -> Array:
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
