"""Labels, weights of components, and groups: as columns after the features, and as log priors.

In a pass these are columns after the features (`dgmm.data.side_by_side`): the group's number, then a label,
or a weight for each component. For kernels all are log priors of rows (`dgmm.kernels.priors`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.data.categories import places_among
from dgmm.kernels.priors import RowPriors
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.parameters import LOG_OF_NOTHING, Parameters, finite_logs

UNKNOWN = -1
"""The label of rows whose component is not known."""


@dataclass(frozen=True, eq=False)
class KnownParts:
    """Labels, weights of components and groups of rows: how the columns after the features hold them.

    Attributes
    ----------
    groups : ndarray of shape (n_groups,), or None
        The numbers of all groups, ascending: their first column has that of each row. None without groups.
    n_labels : int
        Labels are below it, or `UNKNOWN`: one column. 0 without labels. Mixtures may have more components.
    n_weights : int
        Columns with a weight for each component, where rows have these in the place of labels; else 0.
    n_before : int
        Columns between the features and these, such as measurement errors.
    """

    groups: Array | None = None
    n_labels: int = 0
    n_weights: int = 0
    n_before: int = 0

    @property
    def n_groups(self) -> int:
        """Number of groups; 0 without."""
        return 0 if self.groups is None else len(self.groups)

    @property
    def has_labels(self) -> bool:
        """Whether anything but groups is known."""
        return self.n_labels + self.n_weights > 0

    def groups_of(self, columns: Array) -> NDArray[np.int64]:
        """Return the group of each row, from 0, of columns (n_rows, n_columns); zeros without groups.

        Raises
        ------
        DataError
            For one that was not there before.
        """
        if self.groups is None:
            return np.zeros(len(columns), np.int64)
        return places_among(columns[:, self.n_before], self.groups)

    def labels_of(self, columns: Array) -> NDArray[np.int64]:
        """Return the label of each row, or `UNKNOWN`."""
        return columns[:, -1].astype(np.int64) if self.n_labels else np.full(len(columns), UNKNOWN)

    def weights_of(self, columns: Array, n_components: int) -> Array:
        """Return what is known of each row apart from its group as weights of components: (n_rows, K)."""
        if self.n_weights:
            return columns[:, -self.n_weights :]
        labels = self.labels_of(columns)[:, None]
        return ((labels == np.arange(n_components)) | (labels == UNKNOWN)).astype(np.float64)

    def label_certainty(self, columns: Array, n_components: int) -> Array:
        """Return how sure the component of each row is: (n_rows, K), from 0 (unknown) to 1 (a label)."""
        if n_components == 1:
            return np.ones((len(columns), 1))
        weights = self.weights_of(columns, n_components)
        shares = weights / weights.sum(axis=1, keepdims=True)
        return np.maximum(n_components * shares - 1.0, 0.0) / (n_components - 1.0)

    def priors(self, stack: Stack, columns: Array) -> RowPriors:
        """Return the priors of rows over the components of each model of a stack.

        Parameters
        ----------
        stack : Stack
        columns : ndarray of shape (n_rows, n_columns)
            The columns after the features.
        """
        key = b"log priors of %d labels" % self.n_labels  # no pattern is so named
        if key not in stack.ready:
            stack.ready[key] = tuple(self._log_priors(model) for model in stack.models)
        return self._looked_up(stack.ready[key], columns)

    def priors_of_rows(self, model: Parameters, columns: Array) -> Array:
        """Return the log priors of rows over the components of one model, row by row: (n_rows, K)."""
        return self._looked_up((self._log_priors(model),), columns).of_model(0).T

    def _looked_up(self, tables: tuple[Array, ...], columns: Array) -> RowPriors:
        groups = self.groups_of(columns)
        if self.n_weights:
            own = finite_logs(columns[:, -self.n_weights :]).T
            return RowPriors(tuple(table[:, groups] + own for table in tables), np.arange(len(own.T)), groups)
        labels = self.labels_of(columns)
        places = groups * (self.n_labels + 1) + np.where(labels == UNKNOWN, self.n_labels, labels)
        return RowPriors(tables, places, groups)

    def _log_priors(self, model: object) -> Array:
        """Return the log priors of a model's components for each group and label: (K, classes)."""
        assert isinstance(model, Parameters)
        of_groups, of_all = finite_logs(model.weights_in(max(self.n_groups, 1))), finite_logs(model.weights)
        offsets = (of_groups - of_all).T  # a weight of zero stays one, whatever it is in groups
        labels = np.arange(self.n_labels + 1)
        components = np.arange(model.n_components)[:, None]
        allowed = (labels == components) | (labels == self.n_labels)
        found = np.where(allowed[:, None, :], offsets[:, :, None], LOG_OF_NOTHING)
        return found.reshape(model.n_components, -1)


def priors_of(known: KnownParts | None, stack: Stack, columns: Array | None) -> RowPriors | None:
    """Return the priors of rows from their side information; None where there is none."""
    return None if known is None or columns is None else known.priors(stack, columns)
