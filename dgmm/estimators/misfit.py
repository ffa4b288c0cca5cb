"""How far the components of a fitted mixture are from Gaussian, by the rows: in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError, Source
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import no_rows
from dgmm.fitting.survey import check_weights
from dgmm.kernels.patterns import patterns_of
from dgmm.model.conditional import marginal, plain
from dgmm.model.matrices import Array
from dgmm.model.misfit import Misfit, MisfitSums, judge, sums_of_rows
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
        total = MisfitSums.nothing(*self.parameters.means.shape)
        for parameters, which, rows in self._patterns(piece.values):
            n_features = None if parameters is self.parameters else self.parameters.n_features
            total += sums_of_rows(parameters, rows, shares[which], n_features=n_features)
        return replace(total, n_rows=len(piece.values), weight=weight)

    def _patterns(
        self, rows: NDArray[np.floating]
    ) -> Iterator[tuple[Parameters, slice | NDArray[np.intp], Array]]:
        """Give rows that have the same features, with the mixture of these; not those that have none."""
        if not np.isnan(rows).any():
            yield self.parameters, slice(None), rows
            return
        for is_known, which, some in patterns_of(rows):
            known = np.flatnonzero(is_known)
            if len(known) == rows.shape[1]:
                yield self.parameters, which, some
            elif len(known):
                yield marginal(self.parameters, known), which, some[:, known]


def misfit(
    parameters: Parameters,
    responsibilities: RowFunction,
    source: Source,
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
    source : Source
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
    sums = run_pass(source, work, "misfit", weights)
    if sums.n_rows == 0:
        raise no_rows(own.n_features, estimator)
    if sums.weight == 0.0:
        raise DataError("sample_weight is zero in every row: no row is to be counted")
    return judge(own, sums, names)
