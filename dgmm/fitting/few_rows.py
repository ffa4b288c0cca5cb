"""How few rows are too few for a component."""

from __future__ import annotations

from dataclasses import dataclass


def rows_of_a_covariance(n_features: int) -> int:
    """Rows that a covariance of so many features needs at the least, not to be singular: one more than these.

    Components with fewer have too few rows to be moved, or to be known by a sample; with fewer than twice as
    many, to be split.
    """
    return n_features + 1


@dataclass(frozen=True)
class RowLimits:
    """Rows below which a component is not what it should be.

    Attributes
    ----------
    empty : float
        Rows: a component with fewer has none, or one only. It is no cluster, whatever ``reg_covar`` makes of
        it, and takes half of another one's.
    sound : float
        Times `rows_of_a_covariance`: components with fewer fit what is not there.
    """

    empty: float = 1.5
    sound: float = 2.0


LIMITS = RowLimits()
