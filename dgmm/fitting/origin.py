"""Rows far from the origin: fitted less a point near them.

So far out, a mean of float64 is rounded to more than its component's width allows: at 1e12 widths to 1e-4 of
one. EM would go on from rounded means in each step, and covariances would err as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dgmm.fitting.loop.plain import EM
from dgmm.fitting.partitions import PartitionSums
from dgmm.fitting.starts.methods import GivenStart
from dgmm.fitting.survey import Surveyed
from dgmm.model.addition import shifted
from dgmm.model.matrices import Array
from dgmm.model.statistics import Moments
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.task import ChunkRows


@dataclass(frozen=True)
class OriginTuning:
    """When rows are taken less a point near them. Half and double: not measured.

    Attributes
    ----------
    farthest : float
        Standard deviations of a feature from its mean to the origin: with fewer, a mean is rounded to 1e-9 of
        one, and the copy of the rows is spared.
    """

    farthest: float = 1e7


ORIGIN = OriginTuning()


@dataclass(frozen=True, eq=False)
class Shift:
    """Takes rows less a point, and mixtures back.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
        The point. Rows less it are exact, as far as they are near it.
    """

    origin: Array

    @classmethod
    def of(cls, moments: Moments, dtype: np.dtype) -> Shift | None:
        """Return what takes rows with these moments nearer to the origin; None where they are near enough.

        Rows of float32 have lost their digits before.
        """
        deviations = np.sqrt(moments.squares / moments.weight)
        far = (np.abs(moments.mean) > ORIGIN.farthest * deviations) & (deviations > 0.0)
        if dtype != np.float64 or not far.any():
            return None
        return cls(np.where(far, moments.mean, 0.0))

    def chunks(self, chunks: Iterator[ChunkRows]) -> Iterator[ChunkRows]:
        """Take chunks of rows less the point."""
        for chunk in chunks:
            yield chunk._replace(values=chunk.values - self.origin)

    def survey(self, found: Surveyed) -> Surveyed:
        """Return what would have been found of rows less the point."""
        moments, sample = found.moments, found.sample
        ends = {name: getattr(moments, name) - self.origin for name in ("mean", "minimum", "maximum")}
        return replace(
            found,
            moments=replace(moments, **ends),
            sample=replace(sample, values=sample.values - self.origin),
            source=AdaptedSource(found.source, self.chunks, found.source.n_rows),
        )

    def given(self, given: GivenStart) -> GivenStart:
        """Return what is given of a start for rows less the point."""
        return given if given.means is None else replace(given, means=given.means - self.origin)

    def nearer(self, state: EM) -> EM:
        """Return a fit to rows less the point."""
        return replace(state, parameters=state.parameters.shifted(-self.origin))

    def back(self, state: EM) -> EM:
        """Return a fit to the rows as they are."""
        return replace(state, parameters=state.parameters.shifted(self.origin))

    def kept_back(self, kept: PartitionSums) -> PartitionSums:
        """Return what is kept of rows less the point as that of the rows as they are."""
        fitted = None if kept.fitted is None else kept.fitted.shifted(self.origin)
        partitions = [
            replace(each, statistics=shifted(each.statistics, self.origin)) for each in kept.partitions
        ]
        return replace(kept, partitions=tuple(partitions), fitted=fitted)
