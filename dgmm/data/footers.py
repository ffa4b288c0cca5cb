"""Footers of Parquet files: numbers of rows, and one schema for all files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dgmm.data.choice import Choice
from dgmm.data.listing import keys_of
from dgmm.data.location import is_local
from dgmm.data.retrying import ReadError, is_transient, persistently
from dgmm.data.source import DataError
from dgmm.data.tables import Column, is_number, is_vector, stored_type
from dgmm.data.text import redacted
from dgmm.data.values import width_of

BUFFER_BYTES = 64 * 1024

LOOKED_AT = 1024
"""Rows that are read at once to see how long lists are, where some are null."""


@dataclass(frozen=True)
class Footer:
    """What is known of a file without reading its rows.

    Attributes
    ----------
    path : str
    schema : pyarrow.Schema
    counts : tuple of int
        Rows of each row group.
    widths : mapping of str to int
        Of columns of lists, the length that all may have: as many numbers are there. 0 where none is there,
        None where they differ.
    keys : mapping of str to (str or None)
        Columns that are not in the file, and their value in all rows.
    """

    path: str
    schema: pa.Schema
    counts: tuple[int, ...]
    widths: Mapping[str, int | None]
    keys: Mapping[str, str | None]


@contextmanager
def opened(filesystem: Any, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file, pages verified, read through a small buffer: else a whole column chunk is held."""
    where: Any = path if is_local(filesystem) else filesystem.open(path)
    try:
        with pq.ParquetFile(where, page_checksum_verification=True, buffer_size=BUFFER_BYTES) as file:
            yield file
    except (ReadError, FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and is_transient(error):
            raise  # Arrow numbers errors of files, not of what is in them
        raise DataError(f"{redacted(path)} cannot be read as Parquet, it may be damaged: {error}") from error
    finally:
        if where is not path:  # Arrow closes what it has opened itself
            where.close()


def read_footer(filesystem: Any, path: str, keys: Mapping[str, str | None] | None = None) -> Footer:
    """Read the footer of a file.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    path : str
    keys : mapping, optional
        Values of columns that are not in the file. Default: what its folders say.

    Returns
    -------
    Footer
    """
    return persistently(lambda: _footer(filesystem, path, keys), path)


def _footer(filesystem: Any, path: str, keys: Mapping[str, str | None] | None) -> Footer:
    with opened(filesystem, path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        counts = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
            raise DataError(f"{path} cannot be read as Parquet: its footer contradicts itself")
        leaves = [0, *accumulate(_n_leaves(field.type) for field in schema)]
        widths = {
            field.name: _width(file, field.name, leaf)
            for field, leaf in zip(schema, leaves, strict=False)
            if is_vector(field.type) and not pa.types.is_fixed_size_list(stored_type(field.type))
        }
        found = keys_of(path) if keys is None else keys
        beside = {key: value for key, value in found.items() if key not in schema.names}
        return Footer(path, schema, counts, widths, beside)


PART_KEY = b"dgmm_part"
"""Metadata of a file that dgmm wrote, with checksums of its pages: its number among those of a folder.

Empty where files have the names of others, which say in which order they are.
"""

PART_NAME = re.compile(r"(?s)(?:.*/)?part-(\d+)\.parquet")


def finds_damage(footer: Footer) -> bool:
    """Return whether a file has checksums of its pages: Parquet does not say so, but dgmm of its own."""
    return PART_KEY in (footer.schema.metadata or {})


def written_part(footer: Footer) -> int | None:
    """Return the number of a file among those that dgmm wrote; None for one without."""
    value = (footer.schema.metadata or {}).get(PART_KEY, b"")
    return int(value) if value.isdigit() else None


def check_parts(footers: Sequence[Footer]) -> None:
    """Refuse files that dgmm wrote under each other's names: their rows would be in another order."""
    for footer in footers:
        number, named = written_part(footer), PART_NAME.fullmatch(footer.path)
        if number is not None and named and int(named[1]) != number:
            raise DataError(
                f"{footer.path} was written as part {number}: files have been swapped or renamed; restore "
                "its name, or rename all files, in the order of their rows, to names without part-…"
            )


def _n_leaves(kind: pa.DataType) -> int:
    """Count the columns in which Parquet stores a type."""
    kind = stored_type(kind)
    if pa.types.is_dictionary(kind) or not kind.num_fields:
        return 1
    return sum(_n_leaves(kind.field(i).type) for i in range(kind.num_fields))


def _width(file: pq.ParquetFile, name: str, leaf: int) -> int | None:
    """Return how many numbers each list has, if they may all have as many; 0 where there is no number at all.

    A footer counts a list that is null, or empty, as one number that is null, as it does one in a list.
    Without nulls the numbers of each row are known from it; else some rows are looked at.
    """
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    counts = [(group.num_rows, *_n_values(group.column(leaf))) for group in groups if group.num_rows]
    there = [each for each in counts if each[1] != each[2]]
    if not there:
        return 0 if counts else None
    if all(n_nulls == 0 for _, _, n_nulls in there):
        (width, rest), *others = {divmod(n_values, n_rows) for n_rows, n_values, _ in there}
        return None if rest or others else width
    with_rows = [i for i, group in enumerate(groups) if group.num_rows]
    batches = file.iter_batches(LOOKED_AT, row_groups=with_rows, columns=[name], use_threads=False)
    width = next((found for batch in batches if (found := width_of(batch.column(0))) != 0), 0)
    return width if width and all(_fits(width, *each) for each in there) else None


def _n_values(column: pq.ColumnChunkMetaData) -> tuple[int, int | None]:
    """Count the numbers of a column of lists, and those that are null; None where that is not stated."""
    statistics = column.statistics
    return (
        column.num_values,
        statistics.null_count if statistics is not None and statistics.has_null_count else None,
    )


def _fits(width: int, n_rows: int, n_values: int, n_nulls: int | None) -> bool:
    """Return whether lists of one length, and rows that are null, may have so many numbers and nulls."""
    n_absent, rest = divmod(width * n_rows - n_values, max(1, width - 1))
    return rest == 0 and 0 <= n_absent <= (n_rows if n_nulls is None else n_nulls)


def columns_of(footers: Sequence[Footer], choice: Choice) -> list[Column]:
    """Describe the columns of all files together, and where they differ from file to file.

    Parameters
    ----------
    footers : sequence of Footer
        Of files with rows.
    choice : Choice
        Of what pandas calls the index, only named columns are there.

    Returns
    -------
    list of Column
        In the order in which they come, those that only folders give last.
    """
    index = (footers[0].schema.pandas_metadata or {}).get("index_columns", [])  # names, and ranges as dicts
    named = choice.columns or choice.fitted or ()
    names = dict.fromkeys(name for footer in footers for name in footer.schema.names)
    labels = {name for footer in footers for name in _categories(footer.schema)}
    found = [_joined(name, footers) for name in names if name not in index or name in named]
    found = [replace(each, aside="categories of pandas") if each.name in labels else each for each in found]
    twice = [name for name in names if any(footer.schema.names.count(name) > 1 for footer in footers)]
    found += [column for column in found if column.name in twice]  # which only matters where it is taken
    keys = dict.fromkeys(key for footer in footers for key in footer.keys if key not in names)
    return found + [_of_folders(key, footers) for key in keys]


def _categories(schema: pa.Schema) -> list[str]:
    """Name the columns that pandas had as categories: Parquet keeps what they are of, text or numbers."""
    columns = (schema.pandas_metadata or {}).get("columns", [])
    return [each.get("field_name", each["name"]) for each in columns if each["pandas_type"] == "categorical"]


def _joined(name: str, footers: Sequence[Footer]) -> Column:
    """Describe a column of several files."""
    fields = {footer.path: _first(footer.schema, name) for footer in footers}
    columns = {
        footer.path: None if field is None else Column.of(field, footer.widths.get(name))
        for footer, field in zip(footers, fields.values(), strict=True)
    }
    usable = {path: column for path, column in columns.items() if column is not None and column.is_usable}
    first = next(column for column in columns.values() if column is not None)
    if not usable:
        return next((each for each in columns.values() if each and not each.is_null), first)
    path, model = next(iter(usable.items()))
    other = next((each for each in columns if each not in usable), None)
    if other is not None:
        column = columns[other]
        if column is None and name in next(each.keys for each in footers if each.path == other):
            what, nulls = (
                f"{other} has column {name!r} in the names of its folders, and {path} in the file",
                False,
            )
        elif column is None:
            what, nulls = f"{other} has no column {name!r}, but {path} has", False
        elif column.is_null:
            what, nulls = f"{other}: column {name!r} holds only nulls, but numbers in {path}", True
        else:
            what, nulls = (
                f"{other}: column {column.shown} does not hold real numbers, but it does in {path}",
                False,
            )
        return Column(
            name, _promoted(usable.values()), model.described, model.width, None, redacted(what), nulls
        )
    widths = {column.width: path for path, column in usable.items()}
    if len(widths) > 1:
        (one, here), (two, there), *_ = widths.items()
        what = f"column {name!r} has {one or 1} numbers a row in {here}, and {two or 1} in {there}"
        return Column(name, model.type, model.described, model.width, None, redacted(what))
    return Column(name, _promoted(usable.values()), model.described, model.width)


def _first(schema: pa.Schema, name: str) -> pa.Field | None:
    places = schema.get_all_field_indices(name)
    return schema.field(places[0]) if places else None


def _promoted(columns: Any) -> pa.DataType:
    """Return a type that holds the numbers of all: float64, where they are of several."""
    kinds = [column.type for column in columns]
    if all(kind == kinds[0] for kind in kinds):
        return kinds[0]
    numbers = [stored_type(kind) for kind in kinds]
    numbers = [stored_type(kind.value_type) if is_vector(kind) else kind for kind in numbers]
    number = pa.float32() if all(kind == pa.float32() for kind in numbers) else pa.float64()
    return number if is_number(kinds[0]) else pa.list_(number)


def _of_folders(key: str, footers: Sequence[Footer]) -> Column:
    """Describe a column that the names of folders give."""
    values = [footer.keys[key] for footer in footers if key in footer.keys]
    lacking = next((footer.path for footer in footers if key not in footer.keys), None)
    numbers = all(value is None or _is_number(value) for value in values)
    what = None if lacking is None else f"the folders of {lacking} do not give {key!r}, as those of others do"
    return Column(
        key,
        pa.float64() if numbers else pa.string(),
        "text in the names of folders",
        aside="in the names of folders" if numbers else None,
        is_reported=len(set(values)) > 1 and key not in SKY_KEYS,
        conflict=what,
    )


SKY_KEYS = ("Norder", "Dir", "Npix")
"""Folders of sky catalogues: places on the sky."""


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def key_value(value: str | None) -> float:
    """Return the number that the name of a folder says; NaN for none."""
    return np.nan if value is None else float(value)
