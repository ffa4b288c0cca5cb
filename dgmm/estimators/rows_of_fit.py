"""The rows of a fit as users give them: features, row weights, labels, groups and errors, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError, Source, open_dataset
from dgmm.data.categories import categories_of, numbers_of
from dgmm.data.text import counted
from dgmm.data.types import GroupsLike, LabelsLike, RowsLike, WeightsLike
from dgmm.estimators.errors import ErrorsLike, MeasuredRows, with_errors
from dgmm.estimators.labels_and_groups import open_for_rows, split_off_side_information
from dgmm.estimators.validation import check_enough_rows, open_sample_weight
from dgmm.fitting.label_checks import LabelsAndGroups
from dgmm.fitting.labels_and_groups import KnownParts


@dataclass(frozen=True, eq=False)
class RowsOfFit:
    """Rows, and what is known of them.

    Attributes
    ----------
    measured : MeasuredRows
        Features, and errors.
    labels_and_groups : LabelsAndGroups
        As numbers, with row weights.
    group_names : ndarray of str, or None
        Of groups that were given as text: their numbers are places among these.
    """

    measured: MeasuredRows
    labels_and_groups: LabelsAndGroups
    group_names: NDArray[np.str_] | None = None

    @classmethod
    def of(
        cls,
        x: RowsLike,
        sample_weight: WeightsLike | None,
        labels: LabelsLike | None,
        groups: GroupsLike | None,
        errors: ErrorsLike | None,
        *,
        estimator: str,
        n_components: int,
    ) -> Self:
        """Open what a fit is given.

        Parameters
        ----------
        x, sample_weight, labels, groups, errors
            As for `GaussianMixture.fit`.
        estimator : str
            For messages.
        n_components : int
            The fewest rows that will do.

        Raises
        ------
        DataError
            Where they are not as many as rows, or rows are too few.
        """
        named = {"sample_weight": sample_weight, "labels": labels, "groups": groups}
        features, own = split_off_side_information(x, named)
        measured = with_errors(open_dataset(features), errors)
        check_enough_rows(measured.rows, estimator, n_components)
        weights, groups, names = open_sample_weight(own["sample_weight"], measured.rows), own["groups"], None
        if groups is not None and (names := categories_of(groups)) is not None:
            groups = numbers_of(groups, names)
        of_labels, of_groups = (
            None if value is None else open_for_rows(name, value, measured.rows)
            for name, value in (("labels", own["labels"]), ("groups", groups))
        )
        if of_groups is not None and of_groups.n_features != 1:
            has = counted(of_groups.n_features, "column")
            raise DataError(f"groups has {has}: give one group for each row")
        return cls(measured, LabelsAndGroups(of_labels, of_groups, weights), names)

    @property
    def features(self) -> Source:
        """The features alone."""
        return self.measured.rows

    @property
    def weights(self) -> Source | None:
        """Row weights."""
        return self.labels_and_groups.weights

    @property
    def side_information(self) -> dict[str, Source | NDArray[np.float64] | tuple[str, ...]]:
        """Labels, groups and errors, by what they are called; those that were given (errors as given)."""
        own = {"labels": self.labels_and_groups.labels, "groups": self.labels_and_groups.groups}
        given = {name: source for name, source in own.items() if source is not None}
        return {**given, **self.measured.by_name}

    @property
    def joined(self) -> Source:
        """Features, with all side information after them."""
        return self.labels_and_groups.with_features(self.measured.joined, self.features.n_features)

    def parts(self, *n_components: int) -> KnownParts | None:
        """Check labels and groups for mixtures of these sizes: see `LabelsAndGroups.parts`."""
        return self.labels_and_groups.parts(*n_components, n_before=self.measured.n_errors)

    def groups(self, known: KnownParts | None) -> NDArray[Any] | None:
        """Return the groups as users know them; None where there are none."""
        if known is None or known.groups is None:
            return None
        places = known.groups.astype(np.int64)
        if self.group_names is not None:
            return self.group_names[places]
        return places if (places == known.groups).all() else known.groups
