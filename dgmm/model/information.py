"""Observed information and covariance of the parameters, from sums of products of scores.

Each component has its own coordinates: a row is ``y = Uᵀ (x − μ)``, a change of the mean is ``L a``, one of
the covariance ``L B Lᵀ`` with ``L = U⁻ᵀ``, and one of the weight ``π η``. All of these are linear, so that
nothing is lost on the way back, and sums neither cancel nor overflow, however narrow or far a component is.
With the features ``φ = (1, y, width_scores(y))`` of a row under a component, and its responsibility r,

- the *score* of the row, the derivative of its log density, has the parts ``r_k φ_k``;
- the *observed information*, the negative second derivative of the log-likelihood (Louis 1982), is

      Σ s sᵀ − Σ_k Σ r_k φ_k φ_kᵀ + Σ_k Σ r_k i_k(y)

  where i_k is minus the second derivative of the component's own log density, and has no part of the weight;
- of rows that are measured with errors, or lack values, φ and i are those of `dgmm.model.measured`: with
  ``u`` and ``P = T⁻¹`` in the same coordinates, where those of exact rows are y and 1, the score by B is half
  the part along B of ``u uᵀ − P``, and i has P by the mean, ``P B u`` by both, and ``tr(B P C (u uᵀ − ½ P))``
  by B and C;
- weights sum to 1, so it is taken where ``Σ π η = 0``; components that share a covariance share its B;
- where groups have weights of their own, a row's score has those of its group, each of which sums to 1: what
  rows of a group tell of means and covariances goes by its weights. What is known of a row's component is in
  r alone. A weight of less than a row is at the border, 0, where there is no curvature: it is left as it is.

It is exact at any parameters, those of a fit that has not converged or has a ``reg_covar`` too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

from dgmm.model.layout import Layout
from dgmm.model.matrices import Array, OverflowedError
from dgmm.model.parameters import Parameters

Kind = Literal["information", "sandwich"]
"""How the covariance of estimates is made of information and scores."""


@dataclass(frozen=True)
class InformationTuning:
    """When information tells nothing of a parameter. Half and double: not measured.

    Attributes
    ----------
    singular : float
        Share of what rows would tell if their components were known, below which they tell nothing: rounding
        leaves 1e-13 or so of it, and EM that converges so slowly would have taken so many iterations.
    named : float
        Share of the direction of which nothing is known that a component needs to be named.
    fewest_rows : float
        Of a component in a group, so that there is a standard error of its weight there.
    """

    singular: float = 1e-10
    named: float = 0.1
    fewest_rows: float = 1.0


INFORMATION = InformationTuning()


class SingularInformationError(ValueError):
    """Rows do not tell some components' parameters: the message says which, and why that may be.

    Attributes
    ----------
    components : tuple of int
    """

    def __init__(self, message: str, components: tuple[int, ...]):
        super().__init__(message)
        self.components = components

    def __reduce__(self):
        """Rebuild from both: exceptions cross processes by pickle."""
        return type(self), (*self.args, self.components)


@dataclass(frozen=True, eq=False)
class ScoreSums:
    """What a pass sums for the information of a mixture.

    Attributes
    ----------
    features : ndarray of shape (n_groups, n_components, n_own)
        ``Σ w r φ`` of each component in each group, or in all rows as the only one.
    products : ndarray of shape (n_components, n_own - 1, n_own - 1)
        ``Σ w r φ φᵀ`` of each component, without the 1 of φ.
    curvature : ndarray of shape (n_components, n_own - 1, n_own - 1)
        ``Σ w r i(y)`` of each component.
    expected : ndarray of shape (n_components, n_own - 1)
        The diagonal of what information would be if rows were the component's: what they tell at the most.
    scores : ndarray of shape (n_parameters, n_parameters)
        ``Σ w s sᵀ``.
    squared : ndarray or None
        ``Σ w² s sᵀ``; None where it is not asked for, or the same, as rows have no weights.
    weight : float
    n_rows : int
    """

    features: Array
    products: Array
    curvature: Array
    expected: Array
    scores: Array
    squared: Array | None
    weight: float
    n_rows: int

    def __add__(self, other: ScoreSums) -> ScoreSums:
        assert (self.squared is None) == (other.squared is None)
        return ScoreSums(
            self.features + other.features,
            self.products + other.products,
            self.curvature + other.curvature,
            self.expected + other.expected,
            self.scores + other.scores,
            None if self.squared is None or other.squared is None else self.squared + other.squared,
            self.weight + other.weight,
            self.n_rows + other.n_rows,
        )


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What information says of estimates.

    Attributes
    ----------
    covariance : ndarray of shape (n_parameters, n_parameters)
        Of the estimates, in the units of the rows and the order of `Layout`. NaN for the weights of groups
        that are at the border.
    weights : ndarray of shape (n_components,)
        Variances of the weights of all rows, of which each group has the share that it has.
    distance : float
        How far the parameters are from the maximum of the likelihood, in standard errors: of the combination
        of parameters that is farthest from it.
    vague : tuple of int
        Components whose weight's standard error exceeds the weight, or whose mean's exceeds their width: the
        likelihood is no parabola that far.
    """

    covariance: Array
    weights: Array
    distance: float
    vague: tuple[int, ...]


def uncertainty(parameters: Parameters, sums: ScoreSums, kind: Kind) -> Uncertainty:
    """Make the covariance of estimates of sums over rows.

    Parameters
    ----------
    parameters : Parameters
        Of which the sums are.
    sums : ScoreSums
    kind : {'information', 'sandwich'}
        I⁻¹, or I⁻¹ J I⁻¹ with ``J = Σ w² s sᵀ``.

    Raises
    ------
    SingularInformationError
        Naming the components of which the rows do not tell the parameters.
    OverflowedError
        Where the sums do.
    """
    layout = Layout.of(parameters)
    if not np.isfinite(sums.scores).all() or not np.isfinite(sums.products).all():
        raise OverflowedError(
            "sums of products of scores overflow float64: rows lie too far from all components; leave such "
            "rows out"
        )
    _refuse_empty(layout, parameters, sums)
    whole, expected, score = _information(layout, sums)
    is_inner = _inner_weights(layout, sums)
    expected[: layout.n_weights][~is_inner.ravel()] = np.inf
    scale = 1.0 / np.sqrt(expected)
    free = _free(_weights(layout, parameters) * scale[: layout.n_weights].reshape(layout.weights_shape))
    scaled = _restricted(whole, scale, free)
    inverse = _inverse(layout, scaled, scale, free)
    own_score = _reduced((scale * score)[:, None], free)[:, 0]
    distance = float(own_score @ inverse @ own_score)
    if kind == "sandwich":
        spread = sums.scores if sums.squared is None else sums.squared
        inverse = inverse @ _restricted(spread, scale, free) @ inverse
    local = _extended(_extended(inverse, free).T, free) * scale * scale[:, None]
    covariance = _in_units(layout, parameters, local)
    weights = _of_all_rows(layout, sums, covariance)
    at_border = np.flatnonzero(~is_inner)
    covariance[at_border], covariance[:, at_border] = np.nan, np.nan
    vague = _vague(layout, local, weights / np.square(parameters.weights))
    return Uncertainty(covariance, weights, max(distance, 0.0) ** 0.5, vague)


def _weights(layout: Layout, parameters: Parameters) -> Array:
    """Return the weights of each group, or of all rows as the only one: (n_groups, K)."""
    return parameters.weights_in(layout.weights_shape[0])


def _inner_weights(layout: Layout, sums: ScoreSums) -> NDArray[np.bool_]:
    """Return which weights are not at the border: (n_groups, K); without groups all are."""
    if not layout.n_groups:
        return np.ones(layout.weights_shape, bool)
    return sums.features[:, :, 0] >= INFORMATION.fewest_rows * sums.weight / sums.n_rows


def _of_all_rows(layout: Layout, sums: ScoreSums, covariance: Array) -> Array:
    """Return the variances of the weights of all rows, where groups keep their shares of these: (K,)."""
    counts = sums.features[:, :, 0].sum(axis=1)
    size, shape = layout.n_weights, layout.weights_shape
    shares, own = counts / counts.sum(), covariance[:size, :size].reshape(*shape, *shape)
    return np.einsum("g,gkhk,h->k", shares, own, shares)


def _refuse_empty(layout: Layout, parameters: Parameters, sums: ScoreSums) -> None:
    counts = sums.features[:, :, 0].sum(axis=0)
    empty = np.flatnonzero((counts <= 0.0) | (parameters.weights <= 0.0))
    if len(empty):
        which = _listed(empty.tolist(), "has", "have")
        raise SingularInformationError(
            f"The information is singular: {which} no rows here, which say nothing about it: leave it out",
            tuple(empty.tolist()),
        )
    known = np.zeros(layout.n_parameters)
    for k, expected in enumerate(sums.expected):
        known[layout.places(k)] += expected
    unobserved = [k for k in range(layout.n_components) if not (known[layout.places(k)] > 0.0).all()]
    if unobserved:
        which = _listed(unobserved, "has", "have")
        raise SingularInformationError(
            f"The information is singular: {which} a feature, or two, that no row has (both) values of: "
            "their mean, or covariance, is not known. Leave a feature out, or use covariance_type='diag'",
            tuple(unobserved),
        )


def _listed(components: list[int], has: str, have: str) -> str:
    if len(components) == 1:
        return f"component {components[0]} {has}"
    return f"components {', '.join(map(str, components[:-1]))} and {components[-1]} {have}"


def _information(layout: Layout, sums: ScoreSums) -> tuple[Array, Array, Array]:
    """Return the observed information, what it would be if rows were the components', and the score."""
    whole, expected = sums.scores.copy(), np.zeros(layout.n_parameters)
    score = np.zeros(layout.n_parameters)
    score[: layout.n_weights] = expected[: layout.n_weights] = sums.features[:, :, 0].ravel()
    for k, own in enumerate(sums.products):
        places, weights = layout.places(k), np.arange(k, layout.n_weights, layout.n_components)
        both = sums.features[:, k, 1:]
        whole[np.ix_(places, places)] += sums.curvature[k] - own
        whole[np.ix_(weights, places)] -= both
        whole[np.ix_(places, weights)] -= both.T
        score[places] += both.sum(axis=0)
        expected[places] += sums.expected[k]
    return whole, expected, score


def _free(constraints: Array) -> Array:
    """Return an orthonormal basis of the directions across some, each of other weights.

    Parameters
    ----------
    constraints : ndarray of shape (n_groups, n_components)
        0 of weights that may not change.

    Returns
    -------
    ndarray of shape (n_groups · n_components, n_directions)
    """
    found = [np.zeros((constraints.size, 0))]
    for group, constraint in enumerate(constraints):
        inner = np.flatnonzero(constraint)
        if len(inner) > 1:
            across = np.linalg.qr(constraint[inner, None], mode="complete")[0][:, 1:]
            own = np.zeros((constraints.size, len(inner) - 1))
            own[group * len(constraint) + inner] = across
            found.append(own)
    return np.hstack(found)


def _reduced(columns: Array, free: Array) -> Array:
    """Take the weights' rows of columns to the directions in which they may change."""
    n_weights = len(free)
    return np.concatenate([free.T @ columns[:n_weights], columns[n_weights:]])


def _extended(columns: Array, free: Array) -> Array:
    """Undo `_reduced`."""
    n_directions = free.shape[1]
    return np.concatenate([free @ columns[:n_directions], columns[n_directions:]])


def _restricted(matrix: Array, scale: Array, free: Array) -> Array:
    """Return a matrix of all parameters in scaled coordinates, for those directions alone."""
    return _reduced(_reduced(matrix * scale * scale[:, None], free).T, free)


def _inverse(layout: Layout, scaled: Array, scale: Array, free: Array) -> Array:
    """Invert the information, in coordinates where that of known components is the identity, about."""
    if not len(scaled):  # nothing may change
        return scaled
    try:
        inverse = cho_solve(cho_factor(scaled, lower=True), np.eye(len(scaled)))
    except LinAlgError:
        raise _singular(layout, scaled, free) from None
    condition = np.abs(scaled).sum(axis=0).max() * np.abs(inverse).sum(axis=0).max()
    if not condition * INFORMATION.singular < 1.0:
        raise _singular(layout, scaled, free)
    return 0.5 * (inverse + inverse.T)


def _singular(layout: Layout, scaled: Array, free: Array) -> SingularInformationError:
    _, vectors = eigh(scaled, subset_by_index=[0, 0])
    direction = _extended(vectors, free)[:, 0] ** 2
    shares = np.array([direction[layout.places(k)].sum() for k in range(layout.n_components)])
    shares += direction[: layout.n_weights].reshape(layout.weights_shape).sum(axis=0)
    own = np.flatnonzero(shares >= INFORMATION.named * shares.max()).tolist()
    return SingularInformationError(
        f"The information is singular: {_listed(own, 'has', 'have')} parameters that these rows do not "
        "determine, or that are not at a maximum of the likelihood. Possible reasons: components that are "
        "the same; a component with too few rows for its covariance, which only reg_covar keeps from "
        "collapsing; a fit that has not converged; rows other than those of the fit. Use fewer components or "
        "a covariance_type with fewer parameters, or fit with a smaller tol",
        tuple(own),
    )


def _in_units(layout: Layout, parameters: Parameters, local: Array) -> Array:
    """Take a covariance from the components' coordinates to the units of the rows."""
    maps = list(_maps(layout, parameters))

    def taken(matrix: Array) -> Array:
        found = np.empty_like(matrix)
        for part, own in maps:
            found[part] = own @ matrix[part]
        return found

    found = taken(taken(local).T)
    return 0.5 * (found + found.T)


def _maps(layout: Layout, parameters: Parameters) -> Iterator[tuple[slice, Array]]:
    for group, weights in enumerate(_weights(layout, parameters)):
        for k, weight in enumerate(weights):
            yield layout.parts(k, group)[0], np.array([[weight]])
    for k in range(layout.n_components):
        _, of_mean, of_width = layout.parts(k)
        factor = layout.family.chosen(parameters.precisions_cholesky, k)
        mean, width = layout.family.in_units(factor, layout.n_features)
        yield of_mean, mean
        yield of_width, width


def _vague(layout: Layout, local: Array, weights: Array) -> tuple[int, ...]:
    """Return components that are hardly known; ``weights`` are variances by the squares of weights."""
    first, size = layout.n_weights, layout.n_components * layout.n_features
    means = np.diagonal(local)[first : first + size].reshape(layout.n_components, -1).max(axis=1)
    return tuple(np.flatnonzero((weights > 1.0) | (means > 1.0)).tolist())
