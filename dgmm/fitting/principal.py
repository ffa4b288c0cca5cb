"""The pass of a principal component analysis: the triangular factor of all rows.

Factors of chunks add up to it (`dgmm.model.principal`). Values that are not finite are found on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dgmm.fitting.checks import NotFinite, check_weights
from dgmm.model.principal import CentredFactor
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True, eq=False)
class Factored:
    """What the pass gives.

    Attributes
    ----------
    factor : CentredFactor
        Of the rows of all chunks without values that are not finite.
    not_finite : NotFinite
        Those of the others.
    """

    factor: CentredFactor
    not_finite: NotFinite

    def __add__(self, other: Factored) -> Factored:
        return Factored(self.factor + other.factor, self.not_finite + other.not_finite)


@dataclass(frozen=True)
class FactorWork:
    """The work of the pass.

    Attributes
    ----------
    n_features : int
    """

    n_features: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> Factored:
        """Factor the rows of a span.

        Raises
        ------
        DataError
            For weights that are not finite or negative.
        """
        total = Factored(CentredFactor.nothing(self.n_features), NotFinite())
        for chunk in chunks:
            if chunk.weights is not None:
                check_weights(chunk)
            bad = NotFinite.of(chunk)
            own = (
                CentredFactor.nothing(self.n_features)
                if bad
                else CentredFactor.of(chunk.values, chunk.weights)
            )
            total += Factored(own, bad)
        return total
