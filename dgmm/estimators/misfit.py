"""How far components are from Gaussian, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.data import Source
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import check_counted
from dgmm.fitting.checks import check_weights
from dgmm.kernels.measured import errors_of, standardized_rows
from dgmm.kernels.patterns import patterns_of
from dgmm.model.conditional import marginal, plain
from dgmm.model.misfit import Misfit, MisfitSums, judge, sums_of_rows, sums_of_standardized
from dgmm.model.parameters import Parameters
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows

PIECE_ROWS = 2**14
"""Rows that are worked on at once."""


@dataclass(frozen=True, eq=False)
class MisfitWork:
    """The work of the pass.

    Attributes
    ----------
    parameters : Parameters
    responsibilities : RowFunction
    """

    parameters: Parameters
    responsibilities: RowFunction

    def __call__(self, chunks: Iterator[ChunkRows]) -> MisfitSums:
        """Sum over a span."""
        total = MisfitSums.nothing(self.parameters.n_components, self.parameters.n_features)
        for chunk in chunks:
            if chunk.weights is not None:
                check_weights(chunk)
            for piece in chunk.pieces(PIECE_ROWS):
                total += self._of_piece(piece)
        return total

    def _of_piece(self, piece: ChunkRows) -> MisfitSums:
        shares, weight = self.responsibilities.of(piece), float(len(piece.values))
        if piece.weights is not None:
            shares, weight = shares * piece.weights[:, None], float(piece.weights.sum())
        n_features = self.parameters.n_features
        total = MisfitSums.nothing(*self.parameters.means.shape)
        n_columns = n_features + self.responsibilities.n_errors
        rows, errors = piece.values[:, :n_features], piece.values[:, n_features:n_columns]
        for parameters, known, which in self._patterns(rows):
            own = shares[which]
            lacking = None if len(known) == n_features else n_features
            if not errors.shape[1]:
                total += sums_of_rows(parameters, rows[which][:, known], own, n_features=lacking)
                continue
            some = np.hstack([rows[which][:, known], errors_of(errors[which], n_features, known)])
            standardized = standardized_rows(parameters, some)
            total += sums_of_standardized(standardized, own, len(known), n_features=lacking)
        return replace(total, n_rows=len(piece.values), weight=weight)

    def _patterns(
        self, rows: NDArray[np.floating]
    ) -> Iterator[tuple[Parameters, NDArray[np.intp], slice | NDArray[np.intp]]]:
        """Yield rows that have the same features, and the mixture of these; not those that have none."""
        whole = np.arange(rows.shape[1])
        if not np.isnan(rows).any():
            yield self.parameters, whole, slice(None)
            return
        for is_known, which, _ in patterns_of(rows):
            known = np.flatnonzero(is_known)
            if len(known) == rows.shape[1]:
                yield self.parameters, whole, which
            elif len(known):
                yield marginal(self.parameters, known), known, which


def misfit(
    parameters: Parameters,
    responsibilities: RowFunction,
    rows: Source,
    weights: Source | None,
    *,
    names: Sequence[str],
    estimator: str,
) -> Misfit:
    """Compare the components of a mixture with their rows, in one pass.

    Parameters
    ----------
    parameters : Parameters
    responsibilities : RowFunction
        Of the mixture, for these rows.
    rows : Source
        Measurement errors, or the number of the group, follow the features, where the function takes such.
    weights : Source or None
    names : sequence of str
        Of the features.
    estimator : str
        For messages.

    Raises
    ------
    DataError
        Where there are no rows, or none with a weight; for values that are not finite.
    """
    own = plain(parameters)
    work = MisfitWork(own, replace(responsibilities, dtype=np.dtype(np.float64)))
    sums = run_pass(rows, work, "misfit", weights)
    check_counted(sums.n_rows, sums.weight, own.n_features, estimator)
    return judge(own, sums, names)
