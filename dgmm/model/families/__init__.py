"""Covariance families: each complete in one file, and found here by its name."""

from __future__ import annotations

from dgmm.model.families.diag import Diagonal
from dgmm.model.families.family import Deviations, Family, SingleRows
from dgmm.model.families.full import Full
from dgmm.model.families.spherical import Spherical
from dgmm.model.families.tied import Tied
from dgmm.model.families.tied_diag import TiedDiagonal
from dgmm.model.families.tied_spherical import TiedSpherical

__all__ = ["FAMILIES", "Deviations", "Family", "SingleRows", "family_named"]

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Full(),
        Tied(),
        Diagonal(),
        Spherical(),
        TiedDiagonal(),
        TiedSpherical(),
    )
}
"""All families by name; sweeps begin with the first, whose work takes longest."""


def family_named(name: str) -> Family:
    """Find a family.

    Raises
    ------
    ValueError
        Where there is none of this name.
    """
    if name not in FAMILIES:
        raise ValueError(f"covariance_type {name!r} is not one of {', '.join(FAMILIES)}")
    return FAMILIES[name]
