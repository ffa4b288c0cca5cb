"""Methods that judge components by rows: are they Gaussian, how undecided, and which merge into clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmm.data import Source
from dgmm.data.types import GroupsLike, LabelsLike, RowsLike, WeightsLike
from dgmm.estimators.described import DescribedMixture
from dgmm.estimators.errors import ErrorsLike, require_errors
from dgmm.estimators.features import column_names
from dgmm.estimators.labels_and_groups import with_parts
from dgmm.estimators.merging import ComponentMerges, SetSums, SetSumsWork
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import check_counted
from dgmm.kernels import densities
from dgmm.model.generate import sample_shuffled
from dgmm.model.merging import (
    Cluster,
    best_merge,
    elbow,
    memberships,
    merged,
    needed,
    sums_of_sets,
    unions,
)
from dgmm.passes.run import run_pass

if TYPE_CHECKING:
    from dgmm.model.misfit import Misfit

ROWS_TO_GUESS_BY = 4096
"""Rows drawn from the mixture, which say beforehand what merges will ask for."""


class ComponentMixture(DescribedMixture):
    """A fitted mixture whose components are things to look at: clusters, or parts of clusters."""

    def misfit(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> Misfit:
        """Return which components are not Gaussian, in one pass.

        Squared Mahalanobis distances of a component's rows, weighted by responsibilities, are held against
        the χ² distribution that they have if the component is Gaussian, in a histogram. With many rows
        everything differs from everything: verdicts are by how much.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
        labels : optional
            Components that are known, as for `GaussianMixture.fit`: those of the fit, if there were any.
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, as for `predict`.
        errors : optional
            Measurement errors of the rows, as for `fit`: distances are then of components that are as much
            wider. A mixture that was fitted with errors asks for them.

        Returns
        -------
        Misfit
            A histogram, distances, tails, kurtosis and skewness for each component, ``verdicts``, and
            ``sentences``. Rows that lack values, where the mixture takes them, are judged by what they have.

        Raises
        ------
        ValueError
            Of a mixture that was fitted with measurement errors, for rows without; for labels or groups that
            are none of the mixture's.

        Examples
        --------
        >>> import numpy as np
        >>> from dgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(0, 1, (2000, 2)), 30 + rng.standard_t(3, (2000, 2))])
        >>> found = GaussianMixture(2, random_state=0).fit(X).sorted("mean").misfit(X)
        >>> found.verdicts
        ('Gaussian', 'heavier tails')
        >>> bool(found.beyond_999[1] > 0.005)              # 0.001 is what is expected
        True
        """
        from dgmm.estimators.misfit import misfit  # noqa: PLC0415 - no fit needs it

        rows, function, weights = self._with_side_information(
            "misfit", X, groups, errors, sample_weight, labels=labels
        )
        return misfit(
            self._parameters,
            function,
            rows,
            weights,
            names=column_names(self._names, self._n_features),
            estimator=type(self).__name__,
        )

    def assignment_entropy(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute how undecided the rows' components are: the mean entropy of responsibilities, in one pass.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, as for `predict`.
        errors : optional
            Measurement errors of the rows, as for `fit`: a mixture that was fitted with errors asks for them.

        Returns
        -------
        float
            Nats a row, from 0, where each row has one component, to the logarithm of their number.
        """
        rows, function, weights = self._with_side_information("the entropy", X, groups, errors, sample_weight)
        clusters = [frozenset({k}) for k in range(len(self.weights_))]
        found = self._set_sums(rows, function, weights, clusters, "entropy")
        return max(0.0, -float(found.sums.sum()) / found.weight)

    def merge(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> ComponentMerges:
        """Merge components into clusters, pair by pair, each time the pair that makes assignments surest.

        A cluster that is not normal takes several components. Merging does not change the density, but says
        which components are one cluster: those that share rows (Baudry et al., 2010, "clustCombi"). Decisions
        are by sums over all rows. Rows drawn from the mixture say beforehand which sums the merges will ask
        for, so that one pass, or two, decides on all of them; at most there is one for each merge.

        A pass sums over K(K − 1)/2 pairs of K components, and some K sets for each merge: its work for a row
        that is undecided grows with K³, and its memory beside a block of rows with K³ numbers; rows that
        are decided cost nothing.

        Parameters
        ----------
        X, sample_weight, groups, errors
            As for `assignment_entropy`.

        Returns
        -------
        ComponentMerges

        Examples
        --------
        >>> import numpy as np
        >>> from dgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.exponential(1, (900, 2)), 9 + rng.normal(0, 1, (600, 2))])
        >>> merges = GaussianMixture(4, random_state=0).fit(X).merge(X)
        >>> merges.n_clusters, np.bincount(merges.predict(X)).tolist()
        (2, [900, 600])
        """
        rows, function, weights = self._with_side_information("merging", X, groups, errors, sample_weight)
        clusters = [frozenset({k}) for k in range(len(self.weights_))]
        sums: dict[Cluster, float] = {}
        merges: list[tuple[Cluster, Cluster]] = []
        levels, guessing = [clusters], self._sums_of_drawn_rows()
        weight, n_passes = 1.0, 0
        while len(clusters) > 1 or not n_passes:
            wanted = [cluster for cluster in needed(clusters, guessing) if cluster not in sums]
            found = self._set_sums(rows, function, weights, wanted, "merge")
            sums |= dict(zip(wanted, found.sums.tolist(), strict=True))
            weight, n_passes = found.weight, n_passes + 1
            while len(clusters) > 1 and all(union in sums for union in unions(clusters)):
                merges.append(best_merge(clusters, sums))
                clusters = merged(clusters, merges[-1])
                levels.append(clusters)
        totals = [sum(sums[cluster] for cluster in level) for level in reversed(levels)]
        entropies = np.maximum(-np.array(totals) / weight, 0.0)
        return ComponentMerges(self, tuple(merges), entropies, elbow(entropies), n_passes)

    def _sums_of_drawn_rows(self) -> Any:
        parameters = self._parameters
        rows, _ = sample_shuffled(parameters, ROWS_TO_GUESS_BY, np.random.default_rng(0))
        shares = densities.responsibilities(self._model, rows)
        return lambda clusters: sums_of_sets(shares, memberships(clusters, shares.shape[1]))

    def _with_side_information(
        self,
        what: str,
        x: RowsLike,
        groups: GroupsLike | None,
        errors: ErrorsLike | None,
        sample_weight: WeightsLike | None,
        *,
        labels: LabelsLike | None = None,
    ) -> tuple[Source, RowFunction, Source | None]:
        """Return rows with side information, responsibilities as a function of both, and row weights."""
        require_errors(self, errors, what)
        measured, weights, given = self._open_with_side_information(
            x, errors, sample_weight, labels=labels, groups=groups
        )
        if labels is None:
            rows, function = self._judged("responsibilities", measured, given["groups"])
        else:
            rows, compute = with_parts(self, measured, weights, **given)
            function = self._row_function("responsibilities", measured.rows, measured.n_errors)
            n_behind = rows.n_features - measured.joined.n_features
            function = replace(function, compute=compute, n_behind=n_behind)
        return rows, replace(function, dtype=np.dtype(np.float64)), weights

    def _set_sums(
        self,
        rows: Source,
        function: RowFunction,
        weights: Source | None,
        clusters: Sequence[Cluster],
        purpose: str,
    ) -> SetSums:
        members = memberships(clusters, len(self.weights_))
        found = run_pass(rows, SetSumsWork(function, members), purpose, weights)
        check_counted(rows.n_rows, found.weight, self._n_features, type(self).__name__)
        return found
