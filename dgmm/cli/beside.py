"""Columns of DATA, or data of their own, that say something of each row beside its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import dgmm
from dgmm.cli.models import open_rows, refuse_model
from dgmm.cli.options import names_of
from dgmm.data.aside import column_named, is_path
from dgmm.data.mapped import MappedSource
from dgmm.data.open import open_beside, open_without
from dgmm.data.source import Source
from dgmm.estimators.errors import MeasuredRows, with_errors
from dgmm.facts import Fact, fact

weights_of_rows = click.option(
    "--weights",
    metavar="COLUMN|PATH",
    help="Row weights, such as counts: a column of DATA, or a path.",
)

labels_of_rows = click.option(
    "--labels",
    metavar="COLUMN|PATH",
    help="The component of each row, from 0; -1 where it is not known: a column of DATA, or a path.",
)

groups_of_rows = click.option(
    "--groups",
    metavar="COLUMN|PATH",
    help="The group of each row, which has weights of its own: a column of DATA, or a path.",
)

groups_to_judge = click.option(
    "--groups",
    metavar="COLUMN|PATH",
    help="The group of each row, for its weights: a column of DATA, or a path.  [default: those of all rows]",
)


errors_of_rows = click.option(
    "--errors",
    multiple=True,
    metavar="COLUMN,COLUMN|PATH",
    callback=names_of,
    help="Measurement errors of the features: columns of DATA, in the features' order, or a path.",
)

kind_of_errors = click.option(
    "--errors-are",
    type=click.Choice(("std", "variance")),
    default="std",
    show_default=True,
    help="What --errors holds: standard deviations; or variances, or covariances.",
)


def opened_beside(
    data: str, what: str, given: str | None, storage_options: Mapping[str, object] | None
) -> Source | None:
    """Open what was given as ``COLUMN|PATH``; None where nothing was.

    Raises
    ------
    DataError
        Where there is no such column, or a path of its name.
    """
    if given is None:
        return None
    column = column_named(data, given, what, storage_options)
    return open_beside(given, storage_options) if column is None else column


def opened_parts(
    data: str, storage_options: Mapping[str, object] | None, **given: str | None
) -> dict[str, Source]:
    """Open what was given of ``weights``, ``labels`` and ``groups``, by the names that methods have."""
    found = {name: opened_beside(data, name, each, storage_options) for name, each in given.items()}
    return {
        "sample_weight" if name == "weights" else name: source
        for name, source in found.items()
        if source is not None
    }


def with_errors_of(
    data: str, source: Source, errors: Sequence[str] | None, are: str, storage_options: Any
) -> MeasuredRows:
    """Open the errors of rows, given as columns or a path, and put them beside these.

    Raises
    ------
    click.UsageError
        Where standard deviations are not one for each feature.
    """
    if errors is None:
        return with_errors(source, None)
    where, columns = (errors[0], None) if len(errors) == 1 and is_path(errors[0]) else (data, errors)
    found = dgmm.open_dataset(where, columns=columns, storage_options=storage_options)
    if are == "std":
        if found.n_features != source.n_features:
            raise click.UsageError(
                f"--errors has {found.n_features} columns for {source.n_features} features: give a standard "
                "deviation for each, or covariances with --errors-are variance"
            )
        found = MappedSource(found, squared, found.n_features, found.feature_names)
    return with_errors(source, found)


def squared(deviations: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give variances; what is negative stays so, and is refused as such."""
    return deviations * np.abs(deviations)


def errors_fact(errors: Sequence[str] | None, are: str) -> list[Fact]:
    """Say what errors were taken for; nothing where there are none."""
    if errors is None:
        return []
    taken = "standard deviations" if are == "std" else "variances"
    return [fact("errors", f"{', '.join(errors)}, as {taken}", errors=list(errors), errors_are=are)]


def without(data: str, opening: Mapping[str, Any], *given: str | None) -> Source:
    """Open DATA for its features: without the columns that say something else, unless columns are named.

    Warns
    -----
    DataWarning
        As `dgmm.open_dataset`, but of these columns.
    """
    aside = [each for each in given if each is not None and not is_path(each)]
    if not aside or opening["columns"] is not None:
        return open_rows(data, opening)
    refuse_model(data)
    return open_without(data, aside, **opening)
