"""Options for side information: columns of DATA, or data of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

import dgmm
from dgmm.cli.models import open_rows, refuse_model
from dgmm.cli.options import names_of, options
from dgmm.data.mapped import MappedSource
from dgmm.data.named_columns import column_named, is_path
from dgmm.data.open import open_side_information, open_without
from dgmm.data.source import Source
from dgmm.data.text import counted
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
    help="The component of each row, from 0; -1 where it is unknown: a column of DATA, or a path.",
)

groups_of_rows = click.option(
    "--groups",
    metavar="COLUMN|PATH",
    help="The group of each row; each group has weights of its own: a column of DATA, or a path.",
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


PARTS = {"weights": "sample_weight", "labels": "labels", "groups": "groups"}
"""The methods' name for each option."""


@dataclass(frozen=True)
class SideInformationOptions:
    """What options give as side information of rows: columns of DATA, or paths.

    Attributes
    ----------
    weights, labels, groups : str or None
    errors : sequence of str or None
        Columns in the features' order, or a path.
    errors_are : str
        ``'std'`` or ``'variance'``.
    """

    weights: str | None = None
    labels: str | None = None
    groups: str | None = None
    errors: Sequence[str] | None = None
    errors_are: str = "std"

    @property
    def places(self) -> tuple[str, ...]:
        """All columns and paths that were given."""
        each = (self.weights, self.labels, self.groups, *(self.errors or ()))
        return tuple(place for place in each if place is not None)

    def parts(self, data: str, storage_options: Mapping[str, object] | None) -> dict[str, Any]:
        """Open weights, labels and groups that were given, by the names that methods have for them.

        Raises
        ------
        DataError
            Where there is no such column, or a path of its name.
        """
        return {
            name: _opened(data, option, place, storage_options)
            for option, name in PARTS.items()
            if (place := getattr(self, option)) is not None
        }

    def measured(
        self, data: str, source: Source, storage_options: Mapping[str, object] | None
    ) -> MeasuredRows:
        """Open the errors of rows, as columns after the features.

        Raises
        ------
        click.UsageError
            Where standard deviations are not one for each feature.
        """
        errors = self.errors
        if errors is None:
            return with_errors(source, None)
        where, columns = (errors[0], None) if len(errors) == 1 and is_path(errors[0]) else (data, errors)
        found = dgmm.open_dataset(where, columns=columns, storage_options=storage_options)
        if self.errors_are == "std":
            if found.n_features != source.n_features:
                raise click.UsageError(
                    f"--errors has {counted(found.n_features, 'column')} for "
                    f"{counted(source.n_features, 'feature')}: give a standard deviation for each, or "
                    "covariances with --errors-are variance"
                )
            found = MappedSource(found, squared, found.n_features, found.feature_names)
        return with_errors(source, found)

    def known(
        self, data: str, source: Source, storage_options: Mapping[str, object] | None
    ) -> dict[str, Any]:
        """Open all that was given: `parts`, and errors by this name."""
        measured = self.measured(data, source, storage_options)
        own = {} if self.errors is None else {"errors": measured.given}
        return {**self.parts(data, storage_options), **own}

    @property
    def facts(self) -> list[Fact]:
        """Say what errors were taken for; nothing where there are none."""
        if self.errors is None:
            return []
        taken = "standard deviations" if self.errors_are == "std" else "variances"
        said = f"{', '.join(self.errors)}, as {taken}"
        return [fact("errors", said, errors=list(self.errors), errors_are=self.errors_are)]


def side_information_options(
    *each: Callable[[Any], Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options for side information, which the command gets as one `SideInformationOptions`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @options(*each)
        @functools.wraps(command)
        def with_side_information(**given: Any) -> Any:
            own = {
                name.name: given.pop(name.name)
                for name in fields(SideInformationOptions)
                if name.name in given
            }
            return command(side_information=SideInformationOptions(**own), **given)

        return with_side_information

    return decorate


of_weighted = side_information_options(weights_of_rows)
of_errors = (errors_of_rows, kind_of_errors)
of_fits = side_information_options(weights_of_rows, labels_of_rows, groups_of_rows, *of_errors)
of_judged = side_information_options(weights_of_rows, groups_to_judge, *of_errors)
of_labelled = side_information_options(weights_of_rows, labels_of_rows, groups_to_judge, *of_errors)


def _opened(data: str, what: str, given: str, storage_options: Mapping[str, object] | None) -> Source:
    column = column_named(data, given, what, storage_options)
    return open_side_information(given, storage_options) if column is None else column


def squared(deviations: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return variances; what is negative stays so, and is refused as such."""
    return deviations * np.abs(deviations)


def open_features(data: str, opening: Mapping[str, Any], side_information: SideInformationOptions) -> Source:
    """Open DATA for its features: without the columns of side information, unless columns are named.

    Warns
    -----
    DataWarning
        As `dgmm.open_dataset`, but of these columns.
    """
    aside = [place for place in side_information.places if not is_path(place)]
    if not aside or opening["columns"] is not None:
        return open_rows(data, opening)
    refuse_model(data)
    return open_without(data, aside, **opening)
