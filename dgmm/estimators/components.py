"""Methods about components: their order, overlap, a table of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dgmm.data import Source
from dgmm.data.types import GroupsLike, LabelsLike, RowsLike, WeightsLike
from dgmm.estimators.conditioning import ConditionalMixture
from dgmm.estimators.errors import ErrorsLike, require_errors
from dgmm.estimators.features import column_names
from dgmm.estimators.labels_and_groups import with_parts
from dgmm.estimators.merging import ComponentMerges, SetSums, SetSumsWork
from dgmm.estimators.rowwise import RowFunction
from dgmm.estimators.validation import check_counted
from dgmm.kernels import densities
from dgmm.model import overlap
from dgmm.model.generate import sample_shuffled
from dgmm.model.matrices import Array
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
from dgmm.model.parameters import Parameters
from dgmm.passes.run import run_pass

if TYPE_CHECKING:
    from dgmm.model.misfit import Misfit

ROWS_TO_GUESS_BY = 4096
"""Rows drawn from the mixture, which say beforehand what merges will ask for."""

FEATURES_NAMED = 3
"""Features that a component is said to stand out by, at most."""

TELLING = 0.5
"""Share of the greatest contrast that a feature needs to be named beside it."""

Order = Literal["weight", "mean"]
Overlap = Literal["bhattacharyya", "hellinger"]


class ComponentMixture(ConditionalMixture):
    """A fitted mixture whose components are things to look at: clusters, or parts of clusters."""

    OF_COMPONENTS: ClassVar[tuple[str, ...]] = ("weights_", "means_")
    """Fitted attributes that have a value for each component, whatever the covariances are."""

    OF_OWN_COVARIANCES: ClassVar[tuple[str, ...]] = ("covariances_", "precisions_", "precisions_cholesky_")
    """Those that have, where components do not share a covariance."""

    def sorted(self, by: Order | str | Sequence[int] = "weight") -> Self:
        """Return the same mixture with its components in another order.

        Parameters
        ----------
        by : {'weight', 'mean'}, the name of a feature, or sequence of int, default='weight'
            ``'weight'``: the heaviest first. ``'mean'``: by the mean of the first feature, ascending, then by
            that of the second, and so on. A feature of another name than these: by its mean, ascending. Or
            the numbers of the components, in the order wanted.

        Returns
        -------
        mixture
            Of the same class, with the figures of the fit, and with what it keeps of its rows. The weights of
            a Dirichlet process belong to one order: in another they are taken as certain, with the expected
            logarithms that they have, and what is kept for `update` is not.

        Raises
        ------
        ValueError
            If the numbers are not all components, each once; for a name that no feature has.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(2, random_state=0).fit([[9], [8], [0], [1], [1], [2]])
        >>> mixture.sorted("mean").means_.round(1)
        array([[1. ],
               [8.5]])
        """
        parameters = self._parameters
        order = self._order(by, parameters)
        found = copy.copy(self)
        shared = () if parameters.family.is_shared else self.OF_OWN_COVARIANCES
        for name in (*self.OF_COMPONENTS, *shared):
            if hasattr(self, name):
                setattr(found, name, np.asarray(getattr(self, name))[order])
        if hasattr(self, "group_weights_"):
            found.group_weights_ = np.asarray(self.group_weights_)[:, order]
        self._take_along(found, order)
        return found

    def _take_along(self, found: Any, order: NDArray[np.intp]) -> None:
        """Copy other attributes of components to `found`, the same mixture with components in this order."""

    def _order(self, by: Order | str | Sequence[int], parameters: Parameters) -> NDArray[np.intp]:
        if isinstance(by, str):
            if by == "weight":
                return np.argsort(-parameters.weights, kind="stable")
            if by == "mean":
                return np.lexsort(parameters.means.T[::-1])
            if self._names is not None and by in self._names:
                return np.argsort(parameters.means[:, self._numbers_of(by)[0]], kind="stable")
            raise ValueError(
                f"by={by!r} is not an order: give 'weight', 'mean', the name of a feature, or the "
                "numbers of the components"
            )
        order = np.asarray(by)
        if order.shape != parameters.weights.shape or not np.array_equal(
            np.sort(order), np.arange(parameters.n_components)
        ):
            raise ValueError(
                f"by={by!r} must have each of the components 0 to {parameters.n_components - 1} once, in the "
                "order wanted"
            )
        return order.astype(np.intp)

    def overlap(self, kind: Overlap = "bhattacharyya") -> Array:
        """Return how much each two components overlap, whatever they weigh, in closed form.

        Parameters
        ----------
        kind : {'bhattacharyya', 'hellinger'}, default='bhattacharyya'
            ``'bhattacharyya'``: the coefficient ∫ √(p q), from 0, nothing in common, to 1, the same.
            ``'hellinger'``: the distance √(1 − ∫ √(p q)), from 0, the same, to 1.

        Returns
        -------
        ndarray of shape (n_components, n_components)

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(2, random_state=0).fit([[0], [1], [2], [5], [6], [7]])
        >>> mixture.overlap().round(2)
        array([[1.  , 0.01],
               [0.01, 1.  ]])
        """
        if kind not in ("bhattacharyya", "hellinger"):
            raise ValueError(f"kind={kind!r} is not a measure: give 'bhattacharyya' or 'hellinger'")
        distances = overlap.bhattacharyya_distances(self._parameters)
        return overlap.coefficients(distances) if kind == "bhattacharyya" else overlap.hellinger(distances)

    def components_table(self) -> dict[str, NDArray[np.generic]]:
        """Describe the components, the heaviest first, as columns of a table.

        Returns
        -------
        dict of str to ndarray of shape (n_components,)
            ``component``, its number; ``weight``; ``stands out by``, names of the features in which it
            differs most from all other components together, in mean or width, at most three; and for each
            feature ``NAME mean`` and ``NAME sd``. ``pandas.DataFrame`` takes it as it is.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> rows = [[0, 5], [1, 4], [2, 6], [8, 4], [9, 6], [9, 5], [10, 5]]
        >>> mixture = GaussianMixture(2, covariance_type="diag", random_state=0).fit(rows)
        >>> table = mixture.components_table()
        >>> table["x0 mean"].round(2).tolist(), table["stands out by"].tolist()
        ([9.0, 1.0], ['x0', 'x0'])
        """
        parameters = self._parameters
        order = self._order("weight", parameters)
        names = column_names(self._names, parameters.n_features)
        outstanding = [", ".join(names[i] for i in features) for features in outstanding_features(self)]
        deviations = np.sqrt(parameters.variances)
        table = {
            "component": order,
            "weight": parameters.weights[order],
            "stands out by": np.array(outstanding, dtype=object)[order],
        }
        for i, name in enumerate(names):
            table |= {f"{name} mean": parameters.means[order, i], f"{name} sd": deviations[order, i]}
        return table

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


def outstanding_features(
    mixture: ComponentMixture, components: Sequence[int] | None = None
) -> list[list[int]]:
    """Return the features in which each component differs most from all others together: see `contrasts`.

    Parameters
    ----------
    mixture : ComponentMixture
    components : sequence of int, optional
        Whose features to name. Default: all.

    Returns
    -------
    list of list of int
        At most `FEATURES_NAMED` column numbers, those that tell most first; the others tell half as much as
        the first at least.
    """
    contrasts = overlap.contrasts(mixture._parameters, components)
    order = np.argsort(-contrasts, axis=1, kind="stable")[:, :FEATURES_NAMED]
    return [
        [int(i) for i in features if own[i] > TELLING * own.max()]
        for features, own in zip(order, contrasts, strict=True)
    ]
