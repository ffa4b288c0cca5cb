"""Model files and rows as arguments, and one recognised in the place of the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

import dgmm
from dgmm.data.named_columns import leads_somewhere
from dgmm.data.source import Source
from dgmm.data.writing import creating
from dgmm.estimators.features import column_names
from dgmm.estimators.model_file import holds_model, is_model_file

Loaded = dgmm.GaussianMixture | dgmm.BayesianGaussianMixture

ENDINGS_OF_ROWS = (".zarr", ".parquet", ".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".tsv")


def load_model(
    model: str, storage_options: Mapping[str, object] | None = None, data: str | None = None
) -> Loaded:
    """Read the model that a command is given, beside the rows if it is given some.

    Raises
    ------
    ValueError
        If both are in each other's place, or rows are in that of the model.
    ValueError, OSError
        See `dgmm.load`.
    """
    if not is_model_file(model):
        if data is not None and is_model_file(data):
            raise ValueError(
                f"{model} is not a dgmm model file, but {data} is: the model comes first, "
                f"{_command()} {data} {model}"
            )
        if model.rstrip("/").lower().endswith(ENDINGS_OF_ROWS) and leads_somewhere(model):
            raise ValueError(
                f"{model} is not a dgmm model file, as {_command()} needs: fit one to these rows by "
                f"dgmm fit {model} -k K --out MODEL.npz"
            )
    return dgmm.load(model, storage_options=storage_options)


def open_rows(data: str, opening: Mapping[str, Any]) -> Source:
    """Open the rows that a command is given.

    Raises
    ------
    ValueError
        If it is a model file.
    ValueError, OSError
        See `dgmm.open_dataset`.
    """
    refuse_model(data)
    return dgmm.open_dataset(data, **opening)


def open_for(mixture: Any, data: str, opening: dict[str, Any], missing: str | None = None) -> Source:
    """Open rows for a model: of a table with names, the columns that it was fitted to, if none are named.

    Where ``missing`` is given, the model is told so: see `GaussianMixture`.

    Raises
    ------
    ValueError
        If the rows are not such as the model was fitted to, or there are none.
    """
    refuse_model(data)
    if missing is not None:
        mixture.set_params(missing=missing)
    source = mixture._open(data, **opening)
    if source.n_rows == 0:
        raise ValueError(f"{data} has no rows")
    return source


def names_of_features(mixture: Any, source: Source) -> tuple[str, ...]:
    """Name the features of rows: as the model does, else as the rows do, else by numbers: x0, x1."""
    names = getattr(mixture, "feature_names_in_", source.feature_names)
    return column_names(names, source.n_features)


def features_found(mixture: Any, features: Sequence[str]) -> list[str | int]:
    """Take for column numbers what is no name of a feature but a whole number."""
    names = {str(name) for name in getattr(mixture, "feature_names_in_", [])}
    return [
        int(feature) if feature not in names and feature.lstrip("-").isdecimal() else feature
        for feature in features
    ]


def refuse_model(data: str) -> None:
    """Refuse a model file in the place of rows.

    Raises
    ------
    ValueError
    """
    if is_model_file(data) if "://" in data else holds_model(data):
        raise ValueError(
            f"{data} is a model file, and {_command()} needs rows: dgmm info {data} says what is in it; "
            "dgmm sample draws rows from it"
        )


def save_model(
    mixture: Loaded, out: str, storage_options: Mapping[str, object] | None = None, *, overwrite: bool = False
) -> None:
    """Write a model file that is there whole or not at all.

    Raises
    ------
    ValueError, OSError
        See `GaussianMixture.save` and `dgmm.data.writing.creating`.
    """
    with creating(out, overwrite=overwrite, is_file=True, storage_options=storage_options) as working:
        mixture.save(working, storage_options=storage_options)


@contextmanager
def following_advice() -> Iterator[None]:
    """Say no more that CSV should be converted, where that is what is done."""
    adviser = logging.getLogger("dgmm.data.csv")
    before = adviser.level
    adviser.setLevel(logging.ERROR)
    try:
        yield
    finally:
        adviser.setLevel(before)


def _command() -> str:
    """Name the command that runs."""
    return click.get_current_context().command_path
