"""Atoms: exact values that many rows share, such as zeros, censored or missing measurements.

A density has none, so a component that meets one becomes as narrow as ``reg_covar`` lets it. Atoms are sought
in the survey's sample of rows, and depend on the seed and the row numbers alone, as it does; and only where a
component has collapsed, in that component's features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.fitting.sample import Sample
from dgmm.model.matrices import Array


@dataclass(frozen=True)
class AtomTuning:
    """When a value is an atom.

    Attributes
    ----------
    share : float
        Of the rows near a place, what an atom has at the least if it made a component collapse there.
    """

    share: float = 0.5


ATOMS = AtomTuning()


@dataclass(frozen=True)
class Atom:
    """A value of a feature that rows repeat.

    Attributes
    ----------
    feature : int
        Its column.
    value : float
    """

    feature: int
    value: float


@dataclass(frozen=True)
class Share:
    """Share of all rows, by their weights; with the standard error that it has from a sample."""

    share: float
    error: float

    def __str__(self) -> str:
        """Return per cents: 6.1%, or 6.1% ± 0.2%."""
        if self.error == 0.0:
            return f"{100.0 * self.share:.3g}%"
        places = max(0, -math.floor(math.log10(100.0 * self.error)))
        return f"{100.0 * self.share:.{places}f}% ± {100.0 * self.error:.{places}f}%"


def atom_near(sample: Sample, feature: int, centre: float, radius: float) -> Atom | None:
    """Find the value that most rows near a place have.

    Parameters
    ----------
    sample : Sample
    feature : int
    centre, radius : float
        In units of the feature.

    Returns
    -------
    Atom or None
        None where no value is that of most rows there (by weight), or where only one row has it.
    """
    column = sample.values[:, feature].astype(np.float64, copy=False)
    near = np.flatnonzero(np.abs(column - centre) <= radius)
    values, which, counts = np.unique(column[near], return_inverse=True, return_counts=True)
    weights = np.bincount(which, None if sample.weights is None else sample.weights[near], len(values))
    if not len(values):
        return None
    most = int(weights.argmax())
    if counts[most] < 2 or weights[most] <= ATOMS.share * weights.sum():
        return None
    return Atom(feature, float(values[most]))


def share_of(sample: Sample, atoms: Sequence[Atom], n_rows: int) -> Share:
    """Estimate the share of rows that have all of some values.

    Parameters
    ----------
    sample : Sample
    atoms : sequence of Atom
        Of different features.
    n_rows : int
        Number of all rows; the sample is of some of them, or all.

    Returns
    -------
    Share
        Of the weight of all rows.
    """
    weights: Array = np.ones(len(sample.values)) if sample.weights is None else sample.weights
    has: NDArray[np.bool_] = np.ones(len(sample.values), bool)
    for atom in atoms:
        has &= sample.values[:, atom.feature] == atom.value
    total = weights.sum()
    share = float(weights[has].sum() / total)
    # Of a ratio of two sums, over rows that were drawn without being put back.
    deviations = weights * (has - share)
    error = float((deviations @ deviations) ** 0.5 / total)
    return Share(share, error * max(0.0, 1.0 - len(weights) / n_rows) ** 0.5)
