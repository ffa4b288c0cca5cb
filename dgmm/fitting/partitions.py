"""Sums of each partition of the rows, of which an updatable mixture is a function.

The rows of the fit are the first partition; each update adds one. The mixture is what the M-step makes of all
of them together, so that it is a function of the partitions: without one, it has the bits that it would have
if that one had not been there. A lower bound of the log-likelihood is known from sums alone, as log joint
densities are linear in them (Neal and Hinton, 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from dgmm.data.source import DataError
from dgmm.data.text import listed
from dgmm.fitting.steps.objective import Objective
from dgmm.model.addition import joined
from dgmm.model.entropy import expected_log_joint
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics
from dgmm.passes.watched import Seen

OF_THE_FIT, OF_A_STREAM = "fit", "stream"
"""Names of the partition of the fit's rows, and of that which batches fade in."""

NAMES_LISTED = 5
"""Partitions that a message names at the most."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a pass found of rows.

    Attributes
    ----------
    parameters : Parameters
        That they were evaluated at.
    statistics : Statistics
        About the means of the components' own rows.
    n_rows : int
    weight : float
    """

    parameters: Parameters
    statistics: Statistics
    n_rows: int
    weight: float


@dataclass(frozen=True, eq=False)
class Partition:
    """Rows of which a mixture keeps the sums.

    Attributes
    ----------
    name : str
        ``"fit"``, ``"update 1"``, …, or what the user called it.
    n_rows : int
    weight : float
        Sum of the row weights; the number of rows where there are none.
    rows, row_weights : str
        Fingerprints of the rows and of their weights; empty where there are no weights. Of a stream both are:
        its batches are not kept apart.
    added : str
        When an update added it: ISO 8601, UTC. Empty of the rows of a fit, which has the same bits each time.
    statistics : Statistics
        At the parameters that the rows were evaluated at, about the means of the components' own rows.
    entropy : float
        Of the responsibilities, and of values that rows lack, nats: what the log-likelihood at those
        parameters had beyond the expected log joint densities.
    """

    name: str
    n_rows: int
    weight: float
    rows: str
    row_weights: str
    added: str
    statistics: Statistics = field(repr=False)
    entropy: float = field(repr=False)

    @classmethod
    def of(cls, name: str, found: Found, seen: Seen, added: str = "") -> Partition:
        """Make one of what was found of rows."""
        own, (rows, row_weights) = found.statistics, texts_of(seen)
        if own.lacking is None:  # of complete rows: other partitions may have some
            own = replace(own, lacking=np.zeros(own.sums.shape))
        entropy = own.log_likelihood - expected_log_joint(found.parameters, own)
        return cls(name, found.n_rows, found.weight, rows, row_weights, added, own, entropy)


def _are_same(one: Any, other: Any) -> bool:
    """Compare values, of which some are arrays, field by field."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_are_same, one, other))
    if is_dataclass(one):
        names = [each.name for each in fields(one)]
        return all(_are_same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other


def texts_of(seen: Seen) -> tuple[str, str]:
    """Return the fingerprints of rows and row weights as text."""
    return str(seen.rows), "" if seen.weights is None else str(seen.weights)


@dataclass(frozen=True, eq=False)
class PartitionSums:
    """What a mixture keeps of the rows that it knows.

    Attributes
    ----------
    partitions : tuple of Partition
        In the order in which they were added; at least one.
    fitted : Parameters or None
        The mixture while the rows of the fit are all that it knows; None once these are not there any more.
    fitted_bound : float
        Its lower bound, nats a row; −∞ of none.
    attributes : tuple of ndarray
        ``weights_`` and ``means_`` of the estimator that keeps this: if it has others, they were set since.
    """

    partitions: tuple[Partition, ...]
    fitted: Parameters | None
    fitted_bound: float
    attributes: tuple[Array, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Return whether the same is kept, to the last bit."""
        return isinstance(other, PartitionSums) and _are_same(self, other)

    def __hash__(self) -> int:
        """Return the same for the same partitions."""
        return hash(tuple((each.name, each.rows) for each in self.partitions))

    @property
    def is_as_fitted(self) -> bool:
        """Whether the mixture knows the rows of its fit, and no others."""
        return self.fitted is not None and len(self.partitions) == 1

    @property
    def weight(self) -> float:
        """Weight of all rows."""
        return sum(each.weight for each in self.partitions)

    @property
    def statistics(self) -> Statistics:
        """Of all rows, each at the parameters that it was evaluated at."""
        return joined([each.statistics for each in self.partitions])

    @property
    def names(self) -> list[str]:
        """The partitions' names."""
        return [each.name for each in self.partitions]

    def model(self, objective: Objective) -> Parameters:
        """Return the mixture: the fitted one, or what the M-step makes of all partitions together."""
        if self.is_as_fitted and self.fitted is not None:
            return self.fitted
        return objective.maximized(self.statistics)

    def lower_bound(self, model: Parameters, objective: Objective) -> float:
        """Return a lower bound of what all rows together say of a mixture, nats a row.

        It is that of the responsibilities which rows have; but of the fit itself its own.
        """
        if self.is_as_fitted:
            return self.fitted_bound
        total = expected_log_joint(model, self.statistics) + sum(each.entropy for each in self.partitions)
        return objective.bound(model, total, self.weight)

    def unused_name(self) -> str:
        """Return the name that an update gets if it is given none."""
        number = 1
        while f"update {number}" in self.names:
            number += 1
        return f"update {number}"

    def check_name(self, name: str) -> None:
        """Refuse a name that a partition has.

        Raises
        ------
        DataError
        """
        if not name or name in self.names:
            raise DataError(
                f"the name {name!r} of a partition is {'taken' if name else 'empty'}: give another, or none"
            )

    def known(self, rows: str, row_weights: str) -> str | None:
        """Return the name of the last partition with these fingerprints; None if there is none."""
        own = (rows, row_weights)
        found = [each.name for each in self.partitions if (each.rows, each.row_weights) == own]
        return found[-1] if found else None

    def of_rows(self, seen: Seen) -> PartitionSums:
        """Say that the rows of the fit were others: those of which some were left out."""
        first, *others = self.partitions
        rows, row_weights = texts_of(seen)
        return replace(self, partitions=(replace(first, rows=rows, row_weights=row_weights), *others))

    def with_added(self, partition: Partition) -> PartitionSums:
        """Add a partition."""
        return replace(self, partitions=(*self.partitions, partition))

    def without(self, name: str) -> PartitionSums:
        """Take a partition out.

        Raises
        ------
        DataError
            Where there is none of this name, or no other.
        """
        index = self._index_of(name)
        if len(self.partitions) == 1:
            raise DataError(
                f"the rows of partition {name!r} are all that the mixture has: without them none is left. "
                "Add other rows with `update` first, or fit again"
            )
        left = (*self.partitions[:index], *self.partitions[index + 1 :])
        if self.fitted is None or index > 0:
            return replace(self, partitions=left)
        return replace(self, partitions=left, fitted=None, fitted_bound=-np.inf)

    def _index_of(self, name: str) -> int:
        if name not in self.names:
            raise DataError(
                f"there is no partition {name!r}: there are {listed(map(repr, self.names), NAMES_LISTED)}"
            )
        return self.names.index(name)

    def streamed(self, batch: Partition, decay: float) -> PartitionSums:
        """Let all that is known fade as a batch comes: a step of stepwise EM (Cappé and Moulines, 2009).

        Means of statistics a row move towards the batch's by the step size ``(w / W) ** decay``, for the
        batch's weight w and that of all rows so far, this batch's too: of batches of one weight
        ``(t + 2) ** -decay``, for t = 0, 1, … after the first.

        Parameters
        ----------
        batch : Partition
        decay : float
            Above ½, at most 1: then all rows count alike.
        """
        before, weight = self.weight, self.weight + batch.weight
        step = (batch.weight / weight) ** decay
        old, new = (1.0 - step) * weight / before, step * weight / batch.weight
        partition = replace(
            batch,
            name=OF_A_STREAM,
            n_rows=batch.n_rows + sum(each.n_rows for each in self.partitions),
            weight=weight,
            rows="",
            row_weights="",
            statistics=joined([old * self.statistics, new * batch.statistics]),
            entropy=old * sum(each.entropy for each in self.partitions) + new * batch.entropy,
        )
        return replace(self, partitions=(partition,), fitted=None, fitted_bound=-np.inf)

    def reordered(self, components: Sequence[int]) -> PartitionSums:
        """Return the same with components in another order."""
        partitions = [replace(each, statistics=each.statistics.of(components)) for each in self.partitions]
        fitted = None if self.fitted is None else self.fitted.chosen(components)
        return replace(self, partitions=tuple(partitions), fitted=fitted)
