"""Pass 0: moments, extremes, invalid values, the fingerprint, and a random sample of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from dgmm.data.fingerprint import Fingerprint
from dgmm.data.floats import warn_of_rounding
from dgmm.data.memory import own_rows
from dgmm.data.source import DataError, Source
from dgmm.fitting.checks import NotFinite, check_observed, check_weight, check_weights, refuse_overflow
from dgmm.fitting.errors import check_errors
from dgmm.fitting.filling import Filling, correlations_of, filling_of
from dgmm.fitting.sample import Sample, hash_numbers
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.statistics import Moments
from dgmm.passes.events import RowsDrawn, ValuesLacked, emit
from dgmm.passes.run import first_pass, run_pass
from dgmm.passes.task import ChunkRows
from dgmm.passes.watched import Seen


@dataclass(frozen=True)
class SurveyTuning:
    """How pass 0 reads and draws rows.

    Attributes
    ----------
    spare_draws : float
        Standard deviations of the sample's size by which more rows are drawn: so that it is never short.
    piece_rows, piece_bytes : int
        Rows that are surveyed at once: with many features, as many as take so many bytes of float64.
    """

    spare_draws: float = 6.0
    piece_rows: int = 2**14
    piece_bytes: int = 2**22

    def rows_at_once(self, n_features: int) -> int:
        """Return how many rows of so many features are surveyed at once."""
        return max(1, min(self.piece_rows, self.piece_bytes // (8 * n_features)))


SURVEY = SurveyTuning()


MISSING = ("error", "drop", "marginalize")
"""What to do with rows that lack values: refuse them, leave them out, or take what is observed of them."""


Mask = Callable[[int, int], NDArray[np.bool_]]
"""Tells which of the rows from some number on are left out: given that number, and how many."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What pass 0 found.

    Attributes
    ----------
    moments : Moments
    not_finite : NotFinite
    drawn : tuple of Sample
        Random rows, in pieces: each time that they were joined would take as much memory again.
    n_weighted, n_left_out : int
        Rows with a weight above zero, and those of them that are left out.
    lacking : FeatureMoments
        Of the rows that lack values. While they are summed, ``moments`` are of the others.
    filling : Filling or None
        What completes rows; None where none lacks anything.
    """

    moments: Moments
    not_finite: NotFinite
    drawn: tuple[Sample, ...]
    n_weighted: int
    n_left_out: int
    lacking: FeatureMoments
    filling: Filling | None = None

    def __add__(self, other: Survey) -> Survey:
        return Survey(
            self.moments + other.moments,
            self.not_finite + other.not_finite,
            self.drawn + other.drawn,
            self.n_weighted + other.n_weighted,
            self.n_left_out + other.n_left_out,
            self.lacking + other.lacking,
        )


@dataclass(frozen=True, eq=False)
class Surveyed(Survey):
    """What is known of the rows after pass 0.

    Attributes
    ----------
    sample : Sample
        The rows that were drawn, together.
    seen : Seen
        Which rows were read, and which row weights.
    source : Source
        The rows, watched: later passes are to read the same ones (`dgmm.passes.watched`).
    """

    sample: Sample = field(kw_only=True)
    seen: Seen = field(kw_only=True)
    source: Source = field(kw_only=True)

    @property
    def fingerprint(self) -> Fingerprint:
        """Which rows were read."""
        return self.seen.rows


@dataclass(frozen=True)
class SurveyWork:
    """The work of pass 0.

    Attributes
    ----------
    n_drawn_from : int
        Rows of the whole source that have a weight, or all: how many are sent to be drawn from depends on it.
    n_features : int
    dtype : numpy.dtype
    sample_size : int
    seed : int
    weighted : bool
    takes_all : bool
        The sample is to have all rows, those without weight too.
    left_out : callable or None
        See `survey`.
    products, takes_nan : bool
        See `survey`.
    n_side_columns, n_errors : int
        Columns of side information, and how many of them, the first, are measurement errors.
    """

    n_drawn_from: int
    n_features: int
    dtype: np.dtype
    sample_size: int
    seed: int
    weighted: bool
    takes_all: bool
    left_out: Mask | None = None
    products: bool = True
    takes_nan: bool = False
    n_side_columns: int = 0
    n_errors: int = 0

    def __call__(self, chunks: Iterator[ChunkRows]) -> Survey:
        """Survey the rows of a span."""
        nothing = np.empty((0, self.n_features), self.dtype)
        moments, not_finite = Moments.of(nothing, products=self.products), NotFinite()
        columns = np.empty((0, self.n_side_columns)) if self.n_side_columns else None
        drawn = [self._draw(ChunkRows(0, nothing, np.empty(0) if self.weighted else None, "", columns))]
        n_weighted = n_left_out = 0
        lacking = FeatureMoments.nothing(self.n_features)
        for chunk in chunks:
            if chunk.weights is not None:
                check_weights(chunk)
            counting = np.ones(len(chunk.values), bool) if chunk.weights is None else chunk.weights > 0.0
            n_weighted += int(counting.sum())
            if self.left_out is not None:
                n_left_out += int((counting & self.left_out(chunk.start, len(counting))).sum())
            for piece in chunk.pieces(SURVEY.rows_at_once(self.n_features)):
                bad = NotFinite.of(piece, takes_nan=self.takes_nan)
                not_finite += bad
                if bad:
                    continue
                if self.n_errors:
                    check_errors(piece, self.n_errors)
                rows, own = piece.values, self._weights_of(piece)
                drawn.append(self._draw(piece))
                if self.takes_nan and (lacks := np.isnan(rows).any(axis=1)).any():
                    lacking += FeatureMoments.of(rows[lacks], None if own is None else own[lacks])
                    rows, own = rows[~lacks], None if own is None else own[~lacks]
                moments += Moments.of(rows, own, products=self.products)
        sample = Sample.joined(drawn)
        return Survey(moments, not_finite, (sample,), n_weighted, n_left_out, lacking)

    def _weights_of(self, piece: ChunkRows) -> NDArray[np.floating] | None:
        """Return the weights that rows have in the moments."""
        if self.left_out is None:
            return piece.weights
        weights = np.ones(len(piece.values)) if piece.weights is None else piece.weights
        return np.where(self.left_out(piece.start, len(piece.values)), 0.0, weights)

    def _draw(self, chunk: ChunkRows) -> Sample:
        numbers = np.arange(chunk.start, chunk.start + len(chunk.values))
        hashes = hash_numbers(self.seed, numbers)
        chosen = hashes <= np.uint64(self._largest_hash)
        if chunk.weights is not None and not self.takes_all:
            chosen &= chunk.weights > 0.0
        if chosen.all():  # spares a copy
            return Sample(hashes, numbers, chunk.values, chunk.weights, chunk.side_information)
        mine = np.flatnonzero(chosen)
        some = chunk.of_rows(mine)
        return Sample(hashes[mine], numbers[mine], some.values, some.weights, some.side_information)

    @property
    def _largest_hash(self) -> int:
        """Hash under which almost surely at least ``sample_size`` rows lie: spares sending the others."""
        if self.n_drawn_from <= self.sample_size:
            return 2**64 - 1
        spare = self.sample_size + SURVEY.spare_draws * self.sample_size**0.5
        return int(min(1.0, spare / self.n_drawn_from) * (2**64 - 2**11))


def survey(
    source: Source,
    sample_size: int,
    seed: int,
    weights: Source | None = None,
    left_out: Mask | None = None,
    *,
    products: bool = True,
    takes_nan: bool = False,
    n_errors: int = 0,
    allow_changed_data: bool = False,
) -> Surveyed:
    """Make pass 0; and one more to draw the sample, where most rows have no weight.

    Parameters
    ----------
    source : Source
        Its side information (`dgmm.passes.adapted.FeaturesAlone`) is not looked at, but the sample has it.
    sample_size : int
        Rows to draw, of those with a weight above zero; all rows where there are not more.
    seed : int
        Key of the row hash: which rows are drawn depends on it and on the row numbers alone.
    weights : Source, optional
        Row weights.
    left_out : callable, optional
        Tells which rows have no weight in the moments: they count in their extremes and ``n_rows`` alone, and
        the sample may have them.
    products : bool, default=True
        Sum the products of different features in the moments, too: a matrix of all features.
    takes_nan : bool, default=False
        Rows may lack values, NaN. Then moments have the means and variances of what is observed of each
        feature, and the correlations of a normal distribution fitted to the sample.
    n_errors : int, default=0
        Columns of measurement errors after the features: they are checked.
    allow_changed_data : bool, default=False
        Tell of rows that change, rather than refuse them.

    Returns
    -------
    Surveyed

    Raises
    ------
    DataError
        For NaN and infinite values, and those whose squares overflow, with a row and column; for a column
        without values; for weights that are negative, not finite, or all zero; for errors that are none; for
        rows that change.

    Warns
    -----
    DataWarning
        Of rows that lack all values; of whole numbers that are rounded.
    """
    takes_all, given = source.n_rows <= sample_size, source
    work = SurveyWork(
        source.n_rows,
        source.n_features,
        source.dtype,
        sample_size,
        seed,
        weights is not None,
        takes_all,
        left_out,
        products,
        takes_nan,
        getattr(source, "n_side_columns", 0),
        n_errors,
    )
    witnessed, source = first_pass(
        source, work, "survey", weights, allow_changed_data=allow_changed_data, takes_nan=takes_nan
    )
    found = witnessed.result
    if found.not_finite:
        raise found.not_finite.error(source.feature_names)
    everything = FeatureMoments.of_complete(found.moments) + found.lacking
    if everything.weight == 0.0:
        if left_out is None:
            raise DataError("sample_weight is zero in every row: there is nothing to fit")
        raise DataError(
            f"all {source.n_rows:,} rows are held out, or have a sample_weight of zero: there is nothing to "
            "fit; make held_out smaller, or give more rows"
        )
    check_observed(source, everything)
    refuse_overflow(source, everything.completed(None))
    if weights is not None:
        check_weight(everything.weight)
    warn_of_rounding(source, everything.minimum, everything.maximum)
    drawn, n_drawn = found.drawn, sum(len(each.hashes) for each in found.drawn)
    if weights is not None and not takes_all and n_drawn < min(sample_size, found.n_weighted):
        # Most rows have no weight: to draw from the others, their number had to be known.
        work = replace(work, n_drawn_from=found.n_weighted)
        drawn = run_pass(source, work, "sample", weights).drawn
    values = own_rows(given, source.dtype) if takes_all else None
    if values is not None:  # and not a copy of them
        drawn = tuple(replace(each, values=each.values[:, :0]) for each in drawn)
    sample = Sample.joined(drawn, sample_size).drawn(sample_size)
    sample = sample if values is None else replace(sample, values=values)
    found = replace(found, drawn=())
    own = {each.name: getattr(found, each.name) for each in fields(Survey)}
    found = Surveyed(**own, sample=sample, seen=witnessed.seen, source=source)
    emit(RowsDrawn(found.sample.counting))
    if not found.lacking.n_rows:
        return found
    n_missing = tuple(found.lacking.n_missing.tolist())
    emit(ValuesLacked(source.n_rows, found.lacking.n_rows, n_missing, source.feature_names))
    filling = filling_of(found.sample, everything, seed)
    moments = everything.completed(correlations_of(filling.normal) if products else None)
    return replace(found, moments=moments, filling=filling)
