"""Clusters of rows by k-means, in coordinates in which clusters are round."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from dgmm.fitting.steps.in_memory import InMemory
from dgmm.model.statistics import Moments

Way = Literal["as they are", "unit variance", "uncorrelated"]
"""Coordinates of rows to cluster."""


def clusters(
    data: InMemory, n_components: int, way: Way, seed: int, *, is_rough: bool
) -> NDArray[np.integer]:
    """Cluster rows by k-means.

    Parameters
    ----------
    data : InMemory
    n_components : int
    way : str
        Coordinates in which clusters are to look round.
    seed : int
    is_rough : bool
        From random rows with two iterations only; else from k-means++, to the end.

    Returns
    -------
    ndarray of shape (n_rows,)
        The cluster of each row.
    """
    means = KMeans(
        n_components,
        init="random" if is_rough else "k-means++",
        max_iter=2 if is_rough else 300,
        n_init=1,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    return np.asarray(means.fit(_coordinates(data, way), sample_weight=data.row_weights).labels_)


def _coordinates(data: InMemory, way: Way) -> NDArray[np.floating]:
    moments = data.moments
    deviations = data.rows - moments.mean.astype(data.rows.dtype)
    if way == "as they are":
        return deviations
    scales = np.sqrt(moments.squares / moments.weight)
    scales = np.where(scales > 0.0, scales, 1.0)
    scaled = deviations / scales.astype(data.rows.dtype)
    if way == "unit variance":
        return scaled
    if moments.scatter.ndim == 1:  # nothing else needs covariances of many features
        moments = Moments.of(data.rows, data.row_weights)
    covariance = moments.covariance(0.0)
    variances, axes = np.linalg.eigh(covariance / np.outer(scales, scales))
    return scaled @ (axes / np.sqrt(np.maximum(variances, 1e-6))).astype(data.rows.dtype)
