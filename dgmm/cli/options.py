"""Options that commands share: how data is opened, how mixtures are fitted, where results go."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dgmm.fitting.survey import MISSING

if TYPE_CHECKING:
    pass


class Finite(click.types.FloatParamType):
    """A finite number: Python reads ``nan`` and ``inf`` as floats, too, and no range excludes the first."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number", param, ctx)
        return found


class Number(click.FloatRange):
    """A finite number in a range, which help states."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        return super().convert(Finite().convert(value, param, ctx), param, ctx)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any] | None:
    pairs: dict[str, Any] = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not sign:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
        try:
            pairs[key] = json.loads(text)
        except json.JSONDecodeError:
            pairs[key] = text
    return pairs or None


at_urls = click.option(
    "--storage-option",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="Option for the file system of a URL; the value is JSON or text.",
)


def reading_rows(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how data is opened; the command is given ``opening``, for `open_dataset`."""

    @options(
        click.option(
            "--columns",
            multiple=True,
            metavar="A,B,C",
            callback=names_of,
            help="Columns to use, in this order. Quote a name with a comma, or repeat the option for "
            "each name.",
        ),
        click.option(
            "--fill-missing", is_flag=True, help="Use the fill value where a Zarr chunk is missing."
        ),
        click.option(
            "--sample-dims",
            multiple=True,
            metavar="X,Y",
            callback=names_of,
            help="Dimensions of a Zarr group that number the rows; the others number features.",
        ),
        at_urls,
    )
    @functools.wraps(command)
    def with_opening(
        columns: list[str] | None,
        fill_missing: bool,
        sample_dims: list[str] | None,
        storage_option: dict[str, Any] | None,
        **given: Any,
    ) -> Any:
        opening = {
            "columns": columns,
            "fill_missing": fill_missing,
            "sample_dims": sample_dims,
            "storage_options": storage_option,
        }
        return command(opening=opening, **given)

    return with_opening


OF_FITS = "Rows with missing values: refuse them, leave them out, or use their observed values."

missing_in_fits = click.option(
    "--missing", type=click.Choice(MISSING), default="error", show_default=True, help=OF_FITS
)

missing_in_updates = click.option(
    "--missing", type=click.Choice(MISSING), help=OF_FITS + "  [default: as the model was fitted]"
)

missing_in_rows = click.option(
    "--missing",
    type=click.Choice(("error", "marginalize")),
    help="Rows with missing values: refuse them, or use their observed values.  [default: as the model "
    "was fitted]",
)

changed_data = click.option(
    "--allow-changed-data",
    is_flag=True,
    help="Continue if rows change during the fit; the model records which did.",
)

seeded = click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of all random draws: the same seed gives the same result.",
)

overwriting = click.option("--overwrite", is_flag=True, help="Replace existing output.")

to_a_model = click.option("--out", required=True, metavar="MODEL.npz", help="The model file to write.")


def options(*each: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Stack options, which ``--help`` lists in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(each):
            command = option(command)
        return command

    return decorate


iterating = options(
    click.option("--max-iter", type=click.IntRange(1), default=100, show_default=True),
    click.option("--n-init", type=click.IntRange(1), default=1, show_default=True, help="Number of starts."),
    click.option("--reg-covar", type=Number(0), default=1e-6, show_default=True),
    seeded,
)
rows_in_memory = click.option(
    "--sample-rows",
    type=click.IntRange(1),
    help="Largest sample of rows to hold in memory, to find starts on.",
)


def names_of(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    """Read names: as a line of CSV where they are given once, else as they are."""
    if len(values) != 1:
        return list(values) or None
    text = io.StringIO(values[0], newline="")
    try:
        (line,) = csv.reader(text, skipinitialspace=True, escapechar="\\", strict=True)
    except (csv.Error, ValueError) as error:
        raise click.BadParameter(f"{values[0]!r} is not a list of names like a,b or 'a,\"b, c\"'") from error
    return [name.strip() for name in line]


def features_option(name: str, text: str, *, is_required: bool = True) -> Any:
    """Make an option that names features, for `dgmm.cli.models.features_found`."""
    return click.option(
        name,
        multiple=True,
        required=is_required,
        metavar="A,B",
        callback=names_of,
        help=text + " Names, or numbers from 0.",
    )
