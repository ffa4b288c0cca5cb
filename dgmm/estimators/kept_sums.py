"""Sums of an updatable mixture's partitions, in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np

from dgmm.data import DataError
from dgmm.estimators.attributes import FITTED_ARRAYS, PARTITION_ARRAYS
from dgmm.fitting.partitions import Partition, PartitionSums
from dgmm.model.families import Family
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

RECORDED = ("name", "n_rows", "weight", "rows", "row_weights", "added", "entropy")
"""What the record of a partition has beside figures of its statistics."""

FIGURES = ("log_likelihood", "entropy_of_missing")


def attributes_of_kept(kept: PartitionSums, *, is_exact: bool) -> dict[str, Any]:
    """Return what is kept as attributes of a model file.

    Parameters
    ----------
    kept : PartitionSums
    is_exact : bool
        Whether the mixture's own attributes are not rounded: the fitted parameters are not written twice.
    """
    statistics = [each.statistics for each in kept.partitions]
    found: dict[str, Any] = {
        "partitions_": [
            {name: getattr(each, name) for name in RECORDED}
            | {name: getattr(each.statistics, name) for name in FIGURES}
            for each in kept.partitions
        ],
        "partition_counts_": np.stack([each.counts for each in statistics]),
        "partition_points_": np.stack([each.references for each in statistics]),
        "partition_sums_": np.stack([each.sums for each in statistics]),
        "partition_scatter_": np.stack([_scatter_of(each) for each in statistics]),
        "partition_lacking_": np.stack([cast(Array, each.lacking) for each in statistics]),
    }
    if kept.fitted is not None:
        found["fitted_bound_"] = kept.fitted_bound
        if not (kept.is_as_fitted and is_exact):
            found |= {
                f"fitted_{field.name}_": np.asarray(getattr(kept.fitted, field.name))
                for field in fields(kept.fitted)
                if f"fitted_{field.name}_" in FITTED_ARRAYS
            }
    return found


def kept_from(attributes: Mapping[str, Any], mixture: Parameters) -> PartitionSums:
    """Make what is kept from the attributes of a model file.

    Parameters
    ----------
    attributes : mapping of str to object
        As `dgmm.estimators.attributes.attributes_read` gives them; with ``partitions_``.
    mixture : Parameters
        The one of the file.

    Raises
    ------
    DataError
        Where they are not those of such a mixture.
    """
    records = attributes["partitions_"]
    arrays = {name: attributes[name] for name in PARTITION_ARRAYS if name in attributes}
    n_components, n_features = mixture.means.shape
    arrays.setdefault("partition_lacking_", np.zeros((len(records), n_components, n_features)))  # of before
    shapes = {
        "partition_counts_": (n_components,),
        "partition_points_": (n_components, n_features),
        "partition_sums_": (n_components, n_features),
        "partition_scatter_": (_scatter_size(mixture.family, n_components, n_features),),
        "partition_lacking_": (n_components, n_features),
    }
    for name, shape in shapes.items():
        found = arrays.get(name)
        if found is None or not records or found.shape != (len(records), *shape):
            raise DataError(f"{name} is not of {len(records):,} partitions of such a mixture")
        is_count = name in {"partition_counts_", "partition_lacking_"}
        if not np.isfinite(found).all() or (is_count and (found < 0.0).any()):
            raise DataError(f"{name} holds values that no sums have")
    partitions = tuple(
        Partition(
            **{name: record[name] for name in RECORDED},
            statistics=_statistics(record, {name: each[i] for name, each in arrays.items()}, mixture.family),
        )
        for i, record in enumerate(records)
    )
    if len({each.name for each in partitions}) < len(partitions):
        raise DataError("two partitions have the same name")
    bound = attributes.get("fitted_bound_")
    if bound is None:
        return PartitionSums(partitions, None, -np.inf)
    return PartitionSums(partitions, _fitted(attributes, mixture), bound)


def _fitted(attributes: Mapping[str, Any], mixture: Parameters) -> Parameters:
    """Return the mixture of the fit: that of the file, where no other was written."""
    if "fitted_means_" not in attributes:
        return mixture
    own: dict[str, Any] = {}
    for field in fields(mixture):
        name, present = f"fitted_{field.name}_", getattr(mixture, field.name)
        if name in FITTED_ARRAYS:
            found = attributes.get(name)
            if found is None or found.shape != np.shape(present) or not np.isfinite(found).all():
                raise DataError(f"{name} is not that of such a mixture")
            present = found
        own[field.name] = present
    return type(mixture)(**own)


def _scatter_of(statistics: Statistics) -> Array:
    shared = statistics.shared
    return np.ravel(statistics.scatter if shared is None else shared)


def _scatter_size(family: Family, n_components: int, n_features: int) -> int:
    if family.is_shared:
        return int(np.prod(family.shape_of_one(n_features), dtype=int))
    return n_components * family.n_parameters_of_one(n_features)


def _statistics(record: Mapping[str, Any], arrays: Mapping[str, Array], family: Family) -> Statistics:
    counts, sums, scatter = (arrays[f"partition_{name}_"] for name in ("counts", "sums", "scatter"))
    n_components, n_features = sums.shape
    shared = None
    if family.is_shared:
        shared, scatter = scatter.reshape(family.shape_of_one(n_features)), np.empty((n_components, 0))
    return Statistics(
        family,
        counts,
        sums,
        scatter.reshape(n_components, -1) if shared is None else scatter,
        arrays["partition_points_"],
        record["log_likelihood"],
        shared,
        record["entropy_of_missing"],
        lacking=arrays["partition_lacking_"],
    )
