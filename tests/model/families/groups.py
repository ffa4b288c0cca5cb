"""Rows that are divided between components for good: families in closed form."""

import numpy as np

from dgmm.kernels import assign
from dgmm.kernels.stacking import blank_stack
from dgmm.model.em import update
from dgmm.model.families import FAMILIES
from dgmm.model.statistics import Moments

SIZES = (40, 25, 60)


def groups(n_features=4, seed=0):
    """Rows of three groups with correlations of their own, and which is whose: a list of arrays."""
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(len(SIZES), n_features, n_features))
    places = 5.0 * generator.normal(size=(len(SIZES), n_features))
    noise = [generator.normal(size=(size, n_features)) for size in SIZES]
    return [place + own @ mix for place, own, mix in zip(places, noise, mixed, strict=True)]


def maximized(name, parts, reg_covar=0.0, *, centred=False):
    """The M-step of a family where each part is a component's; sums about the centre, or their own points."""
    rows, labels = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    moments = Moments.of(rows, products=FAMILIES[name].has_products)
    points = np.stack([part[0] for part in parts]) if centred else None
    blank = blank_stack(FAMILIES[name], len(parts), moments.mean, points)
    components = np.arange(len(parts))[:, None]

    def shares(block, start):
        return (labels[start : start + len(block)] == components).astype(float)

    statistics = assign(blank, [(rows, None)], shares).of_all_rows(moments.scatter)
    return update(statistics, reg_covar)


def within(parts):
    """Mean products of deviations from the mean of each part: a matrix of each."""
    return np.stack([np.cov(part.T, bias=True) for part in parts])
