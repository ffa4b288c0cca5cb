"""Sufficient statistics of several data sets, each about its own centre, added without cancellation.

Sums of a pass are about its centre, or about points near components: those of other rows are about other
points, and do not add up as they are. To take both to the centre of all rows would cancel, as variances are
differences there of sums far larger. So each is first taken to the means of its own components' rows, which
loses no more than its own M-step would; and then all to the means of the rows together. What is added by that
is a scatter between means, of one sign, which does not cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from dgmm.model.families import Family
from dgmm.model.families.forms import Shared, Variances
from dgmm.model.matrices import Array, pack
from dgmm.model.statistics import Statistics

LEAST_COUNT = float(np.finfo(np.float64).tiny) ** 0.5
"""Of which the inverse, and its product with a sum, does not overflow: components with less have no mean."""


def about_means(statistics: Statistics) -> Statistics:
    """Return the same statistics about the means of the components' own rows.

    Those of a family whose components share a covariance have the scatter about these means as ``shared``.

    Parameters
    ----------
    statistics : Statistics
        Completed.
    """
    family, n_features = statistics.family, statistics.sums.shape[1]
    if isinstance(family, Shared) and statistics.scatter.shape[1]:
        pooled = family.pooled(statistics.scatter, n_features)
        nothing = statistics.scatter[:, :0].copy()  # a view would hold what was pooled
        statistics = replace(statistics, scatter=nothing, shared=pooled)
    means = statistics.references + _offsets(statistics)
    return _moved(statistics, means, statistics.references - means)


def joined(parts: Sequence[Statistics]) -> Statistics:
    """Add up statistics of the same components, each `about_means` of its own rows.

    They are added in the order that they are given: the same ones have the same bits.

    Parameters
    ----------
    parts : sequence of Statistics
        At least one.

    Returns
    -------
    Statistics
        About the means of the rows together, rounded.
    """
    first, *others = parts
    if not others:
        return first
    counts = sum((each.counts for each in others), first.counts)
    shares = _inverse(counts)[:, None]
    offsets = shares * sum((each.counts[:, None] * _gaps(each, first) for each in parts), np.zeros(()))
    means = first.references + offsets
    return reduce(add, [_moved(each, means, each.references - means) for each in parts])


def shifted(statistics: Statistics, offset: Array) -> Statistics:
    """Return the statistics of rows moved by an offset (D,); what references round is in the sums."""
    references = statistics.references + offset
    moved = references - statistics.references
    lost = (statistics.references - (references - moved)) + (offset - moved)  # Knuth's: exact
    return _moved(statistics, references, lost)


def _gaps(statistics: Statistics, other: Statistics) -> Array:
    """Return the means of components' rows less the references of other statistics: (K, D)."""
    return (statistics.references - other.references) + _offsets(statistics)


def _offsets(statistics: Statistics) -> Array:
    """Return the means of components' rows less the reference points, zero without rows: (K, D)."""
    return statistics.sums * _inverse(statistics.counts)[:, None]


def _inverse(counts: Array) -> Array:
    return np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > LEAST_COUNT)


def _moved(statistics: Statistics, references: Array, gaps: Array) -> Statistics:
    """Take statistics to other reference points; ``gaps`` (K, D) are the present ones less these."""
    counts, before = statistics.counts, _offsets(statistics)
    after = before + gaps
    scatter, shared, family = statistics.scatter, statistics.shared, statistics.family
    if isinstance(family, Shared):
        assert shared is not None, "the statistics were not completed with the scatter of all rows"
        # What points after add less those before, in one matrix, and the sum in its place: it may be large.
        points, own = np.concatenate([after, before]), np.concatenate([counts, -counts])
        shared = shared + family.between(own, points)
    else:
        added = _packed(family, after) - _packed(family, before)
        scatter = scatter + counts[:, None] * added
    sums = counts[:, None] * after
    return replace(statistics, sums=sums, scatter=scatter, shared=shared, references=references)


def _packed(family: Family, gaps: Array) -> Array:
    """Return packed products ``gap gapᵀ`` of vectors (K, D), as scatter has them."""
    if isinstance(family, Variances):  # no matrix of all features
        return family.pack_squares(gaps**2)
    return pack(gaps[:, :, None] * gaps[:, None, :])
