"""Methods that describe components by their parameters alone: their order, overlap, a table of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dgmm.estimators.conditioning import ConditionalMixture
from dgmm.estimators.features import column_names
from dgmm.model import overlap
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

FEATURES_NAMED = 3
"""Features that a component is said to stand out by, at most."""

TELLING = 0.5
"""Share of the greatest contrast that a feature needs to be named beside it."""

Order = Literal["weight", "mean"]
Overlap = Literal["bhattacharyya", "hellinger"]


class DescribedMixture(ConditionalMixture):
    """A fitted mixture whose components can be sorted, compared with each other, and listed."""

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


def outstanding_features(
    mixture: DescribedMixture, components: Sequence[int] | None = None
) -> list[list[int]]:
    """Return the features in which each component differs most from all others together: see `contrasts`.

    Parameters
    ----------
    mixture : DescribedMixture
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
