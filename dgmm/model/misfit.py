"""Tests of whether components are Gaussian: Mahalanobis distances of their rows against χ².

Under a mixture, rows weighted by responsibilities of a component are as if drawn from it alone. So the χ²
distribution function of their squared Mahalanobis distances is uniform, whatever the neighbours are, and a
histogram of it, between borders that are the same for all rows, says how far they are from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc, chdtri, kolmogorov

from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters

EDGES = np.concatenate([np.linspace(0.0, 0.98, 50), [0.99, 0.999, 1.0]])
"""Borders of the histogram: shares of a normal distribution within an ellipse."""

TAIL = 1.0 - float(EDGES[-2])
"""Share of it in the last bin."""


@dataclass(frozen=True)
class MisfitTuning:
    """When a component is called not Gaussian: where the difference matters, and is no chance.

    Half and double: not measured.

    Attributes
    ----------
    distance : float
        Greatest difference of distribution functions, of 1, that still does not matter. Of Student's t of two
        features it is 0.12 with 5 degrees of freedom, 0.05 with 10, and 0.02 with 30.
    tails : float
        The same of how many times as many rows as expected lie beyond the ellipse of 99.9%.
    kurtosis : float
        How much more, or less, than 1 the kurtosis of heavier, or lighter, tails is.
    skewness : float
        The same of `Misfit.skewness`, which is 0.8 where one of two features is exponential.
    chance : float
        Probability of what is no chance.
    p_value : float
        The same of Kolmogorov and Smirnov's p-value: as parameters were fitted to the rows, one of 0.005 has
        a chance of 1e-4 (of 500 rows of 1, 2 and 5 features).
    fewest_rows : float
        With fewer, nothing is said.
    """

    distance: float = 0.03
    tails: float = 5.0
    kurtosis: float = 0.05
    skewness: float = 0.3
    chance: float = 1e-4
    p_value: float = 5e-3
    fewest_rows: float = 50.0


MISFIT = MisfitTuning()


@dataclass(frozen=True, eq=False)
class MisfitSums:
    """What a pass sums, weighted by responsibilities (times row weights).

    Attributes
    ----------
    histogram : ndarray of shape (n_components, n_bins)
        Of the χ² distribution function of squared distances, between `EDGES`.
    squared : ndarray of shape (n_components,)
        Of the squares of the weights.
    fourth : ndarray of shape (n_components,)
        Of squares of squared distances, divided by what they are expected to be.
    inner : ndarray of shape (n_components,)
        Of the weights of rows that lack no value and are within the ellipse of 99%, of which the rest is: a
        few that are far out, or a neighbour's, would decide on third moments.
    first, third : ndarray of shape (n_components, n_features)
        Of standardized rows y, and of y ‖y‖².
    n_rows : int
    weight : float
    """

    histogram: Array
    squared: Array
    fourth: Array
    inner: Array
    first: Array
    third: Array
    n_rows: int
    weight: float

    @classmethod
    def nothing(cls, n_components: int, n_features: int) -> MisfitSums:
        """Return the sums over no rows."""
        none, vectors = np.zeros(n_components), np.zeros((n_components, n_features))
        return cls(np.zeros((n_components, len(EDGES) - 1)), none, none, none, vectors, vectors, 0, 0.0)

    def __add__(self, other: MisfitSums) -> MisfitSums:
        return MisfitSums(
            self.histogram + other.histogram,
            self.squared + other.squared,
            self.fourth + other.fourth,
            self.inner + other.inner,
            self.first + other.first,
            self.third + other.third,
            self.n_rows + other.n_rows,
            self.weight + other.weight,
        )


@lru_cache
def _borders(n_features: int) -> Array:
    """Squared distances at the inner borders."""
    return chdtri(n_features, 1.0 - EDGES[1:-1])


def sums_of_rows(
    parameters: Parameters, rows: NDArray[np.floating], shares: Array, *, n_features: int | None = None
) -> MisfitSums:
    """Sum over rows.

    Parameters
    ----------
    parameters : Parameters
        Of the features that these rows have.
    rows : ndarray of shape (n_rows, n_known)
    shares : ndarray of shape (n_rows, n_components)
        Responsibilities, times weights.
    n_features : int, optional
        Of the whole mixture, where these rows lack some: then sums of vectors are left out.

    Returns
    -------
    MisfitSums
        ``n_rows`` and ``weight`` are left zero.
    """

    def standardized() -> Iterator[Array]:
        for k, mean in enumerate(parameters.means):
            deviations = np.ascontiguousarray((rows - mean).T, np.float64)
            yield parameters.family.standardize(deviations, parameters.precisions_cholesky, k)

    return sums_of_standardized(standardized(), shares, rows.shape[1], n_features=n_features)


def sums_of_standardized(
    standardized: Iterable[Array], shares: Array, n_known: int, *, n_features: int | None = None
) -> MisfitSums:
    """Sum over rows that are standardized by each component, (n_known, n_rows) each: as `sums_of_rows`."""
    n_components = shares.shape[1]
    n_bins, borders, is_complete = len(EDGES) - 1, _borders(n_known), n_features is None
    nothing = MisfitSums.nothing(n_components, n_known if n_features is None else n_features)
    histogram, fourth = np.empty_like(nothing.histogram), np.empty(n_components)
    inner = np.zeros(n_components)
    first, third = np.zeros_like(nothing.first), np.zeros_like(nothing.third)
    expected = n_known * (n_known + 2.0)
    for k, (share, own_rows) in enumerate(zip(shares.T, standardized, strict=True)):
        own_rows[:, share == 0.0] = 0.0  # rows so far away that their squares may overflow
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("dn,dn->n", own_rows, own_rows)
            bins = np.searchsorted(borders, squares, side="right")
            histogram[k] = np.bincount(bins, share, n_bins)
            fourth[k] = squares**2 @ share / expected
            if is_complete:
                own = np.where(bins < n_bins - 2, share, 0.0)
                squares[own == 0.0] = 0.0
                inner[k] = own.sum()
                first[k], third[k] = own_rows @ own, own_rows @ (squares * own)
    return MisfitSums(histogram, (shares**2).sum(axis=0), fourth, inner, first, third, 0, 0.0)


@dataclass(frozen=True, eq=False)
class Misfit:
    """How far the components of a mixture are from Gaussian: an entry for each.

    Attributes
    ----------
    counts, n_effective : ndarray of shape (n_components,)
        Rows of each (of weight), and how many of equal weight would tell as much.
    histogram : ndarray of shape (n_components, n_bins)
        Shares of a component's rows whose squared Mahalanobis distances have the χ² distribution function
        between ``edges``.
    edges : ndarray of shape (n_bins + 1,)
        What these shares are expected to add up to.
    distances, p_values : ndarray of shape (n_components,)
        Kolmogorov and Smirnov's: the greatest difference of distribution functions, and its chance; the true
        chance is less, as parameters were fitted to the rows. With many rows every component differs: how
        much it does is what matters.
    beyond_99, beyond_999 : ndarray of shape (n_components,)
        Shares of the rows beyond the ellipses that hold 99% and 99.9% of a normal distribution.
    kurtosis : ndarray of shape (n_components,)
        Mean fourth power of distances, over the expected one (Mardia 1970): 1; more with heavier tails.
    skewness : ndarray of shape (n_components,)
        Length of the mean of y ‖y‖², of standardized rows y (Móri, Rohatgi and Székely 1994) within the
        ellipse of 99%: 0. NaN where no row is complete.
    verdicts : tuple of str
        ``'Gaussian'``, ``'heavier tails'``, ``'lighter tails'``, ``'lopsided'``, ``'another shape'``, or
        ``'too few rows to tell'``: by `MisfitTuning`.
    sentences : tuple of str
        What there is to say of all, and of those that are not Gaussian.
    n_rows : int
    weight : float
        Of the rows: their number, where they have no weights.
    """

    counts: Array
    n_effective: Array
    histogram: Array
    edges: Array
    distances: Array
    p_values: Array
    beyond_99: Array
    beyond_999: Array
    kurtosis: Array
    skewness: Array
    verdicts: tuple[str, ...]
    sentences: tuple[str, ...]
    n_rows: int
    weight: float

    @property
    def is_gaussian(self) -> NDArray[np.bool_]:
        """Which components are, as far as the rows tell: shape (n_components,)."""
        return np.array([verdict in (GAUSSIAN, UNKNOWN) for verdict in self.verdicts])


GAUSSIAN, HEAVIER, LIGHTER, LOPSIDED, ANOTHER, UNKNOWN = (
    "Gaussian",
    "heavier tails",
    "lighter tails",
    "lopsided",
    "another shape",
    "too few rows to tell",
)


def judge(parameters: Parameters, sums: MisfitSums, names: Sequence[str]) -> Misfit:
    """Compare sums with those of normal distributions; ``names`` are those of features."""
    n_features = parameters.n_features
    counts = sums.histogram.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        n_effective = np.where(sums.squared > 0.0, counts**2 / sums.squared, 0.0)
        histogram = sums.histogram / counts[:, None]
        kurtosis = sums.fourth / counts
        # What the mean of these rows adds, less than D + 2 times it, as those farther out are left out.
        inside = chdtr(n_features + np.array([4.0, 2.0]), _borders(n_features)[-2])
        slope = (n_features + 2.0) * inside[0] / inside[1]
        skewed = (sums.third - slope * sums.first) / sums.inner[:, None]
        skewness = np.sqrt((skewed**2).sum(axis=1))
        distances = np.abs(np.cumsum(histogram, axis=1)[:, :-1] - EDGES[1:-1]).max(axis=1)
        p_values = kolmogorov(np.sqrt(n_effective) * distances)
        beyond = histogram[:, -1]
        is_heavy = (beyond > MISFIT.tails * TAIL) & ((beyond - TAIL) * np.sqrt(n_effective / TAIL) > 5.0)
        # Of n rows of a normal distribution n‖v‖² / (2 (D + 2)) is less than χ², by a little.
        chances = chdtrc(n_features, n_effective * skewness**2 / (2.0 * (n_features + 2.0)))
        is_lopsided = (skewness > MISFIT.skewness) & (chances < MISFIT.chance)
    is_far = (distances > MISFIT.distance) & (p_values < MISFIT.p_value)
    verdicts = tuple(
        np.select(
            [
                n_effective < MISFIT.fewest_rows,
                is_lopsided,
                is_heavy | (is_far & (kurtosis > 1.0 + MISFIT.kurtosis)),
                is_far & (kurtosis < 1.0 - MISFIT.kurtosis),
                is_far,
            ],
            [UNKNOWN, LOPSIDED, HEAVIER, LIGHTER, ANOTHER],
            GAUSSIAN,
        ).tolist()
    )
    found = Misfit(
        counts,
        n_effective,
        histogram,
        EDGES,
        distances,
        p_values,
        histogram[:, -2:].sum(axis=1),
        beyond,
        kurtosis,
        skewness,
        verdicts,
        (),
        sums.n_rows,
        sums.weight,
    )
    return replace(found, sentences=tuple(_sentences(found, parameters, skewed, names)))


def _sentences(found: Misfit, parameters: Parameters, skewed: Array, names: Sequence[str]) -> Iterator[str]:
    n_components, wrong = len(found.counts), np.flatnonzero(~found.is_gaussian).tolist()
    few = [verdict == UNKNOWN for verdict in found.verdicts]
    whole = f"{n_components:,} component{'s' if n_components > 1 else ''}"
    unknown = f"; too few rows to tell for {sum(few):,}" if any(few) else ""
    if wrong:
        yield f"Of {whole}, {len(wrong):,} {'is' if len(wrong) == 1 else 'are'} not Gaussian{unknown}."
    else:
        yield f"No evidence against Gaussian components: {whole}, {found.n_rows:,} rows{unknown}."
    for k in wrong:
        match found.verdicts[k]:
            case "heavier tails":
                why = f"{found.beyond_999[k]:.2%} of its rows beyond the 99.9% ellipse, 0.1% expected"
            case "lighter tails":
                why = f"{found.beyond_99[k]:.2%} of its rows beyond the 99% ellipse, 1% expected"
            case "lopsided":
                longer = _longer_side(parameters, k, skewed[k], names)
                why = f"its longer side is towards {longer}; skewness {found.skewness[k]:.2g}, 0 expected"
            case _:
                why = "see the histogram of its rows' distances"
        yield (
            f"Component {k} is not Gaussian: {found.verdicts[k]} ({why}); the distribution of its rows' "
            f"distances differs by {found.distances[k]:.3f}."
        )


def _longer_side(parameters: Parameters, component: int, skewed: Array, names: Sequence[str]) -> str:
    """Name the feature that the longer side of a component has most of, and its direction."""
    factor = parameters.family.chosen(parameters.precisions_cholesky, component)
    root, _ = parameters.family.in_units(factor, parameters.n_features)
    along = root @ skewed / np.sqrt((root**2).sum(axis=1))
    feature = int(np.abs(along).argmax())
    return f"{'higher' if along[feature] > 0.0 else 'lower'} {names[feature]}"
