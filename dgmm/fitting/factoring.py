"""The pass of a principal component analysis: triangular factors of the rows, added up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dgmm.fitting.checks import NotFinite, check_weights
from dgmm.model.principal import CentredFactor
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True, eq=False)
class Factored:
    """What the pass gives: the factor of the rows, and values that are not finite."""

    factor: CentredFactor
    not_finite: NotFinite

    def __add__(self, other: Factored) -> Factored:
        return Factored(self.factor + other.factor, self.not_finite + other.not_finite)


@dataclass(frozen=True)
class FactorWork:
    """The work of the pass."""

    n_features: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> Factored:
        """Factor the rows of a span."""
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
