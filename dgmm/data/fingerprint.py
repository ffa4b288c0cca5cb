"""The fingerprint of a data set: checksums of rows, which add up.

It is made of a checksum for each run of `RUN_ROWS` rows, counted from the first row of all. Tasks cut rows
elsewhere; so the checksum must be one whose value for two byte strings in a row follows from the values for
each, as that of a cyclic redundancy check does: CRC-32C (Castagnoli), which processors compute at tens of
gigabytes a second. It finds accidents, not forgeries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

RUN_ROWS = 2**20
"""Rows that a checksum is of: 10⁹ rows have a thousand checksums."""

KEPT_AS = "dgmm_checksums"
"""Attribute of an array that dgmm wrote: which rows it holds, so that swapped chunks are noticed."""

MOST_KEPT = 1024
"""Checksums that are kept beside rows: they are part of an array's metadata, which is read with it."""

HASHED_ROWS = 2**14
"""Rows that are copied at once, where they do not lie one after the other as they are."""

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, the highest power in the lowest bit (x³² is left out)."""

ONE, X_TO_8 = 1 << 31, 1 << 23
"""The polynomials 1 and x⁸ in that notation."""


@dataclass(frozen=True)
class Fingerprint:
    """Number, dtype and checksums of rows. Those of neighbouring rows add up.

    Equal rows have equal fingerprints, in memory, in Zarr or Parquet and in Dask collections. Other rows have
    another one, but for an accident of 1 in 2³² or less. The bytes count: −0.0 is not 0.0, and float32 is not
    float64, but integers are the float64 that they are read as. Column names and row weights do not count.

    Attributes
    ----------
    n_features : int
    dtype : str
        ``'float32'`` or ``'float64'``.
    start : int, default=0
        Number of the first row in the whole source.
    n_rows : int, default=0
    checksums : tuple of int
        CRC-32C of the bytes of each run of rows, little endian, row after row. Runs begin at multiples of
        `RUN_ROWS`; the first and the last may be cut short.
    """

    n_features: int
    dtype: str
    start: int = 0
    n_rows: int = 0
    checksums: tuple[int, ...] = ()

    def extended(self, number: int, rows: NDArray[np.floating]) -> Fingerprint:
        """Take in the rows that follow: shape (n_rows, n_features), the first of them with this number."""
        checksums, little_endian = list(self.checksums), np.dtype(self.dtype).newbyteorder("<")
        first = 0
        while first < len(rows):
            within = (number + first) % RUN_ROWS
            if not checksums or within == 0:
                checksums.append(0)
            part = rows[first : first + min(RUN_ROWS - within, HASHED_ROWS)]
            stored = np.ascontiguousarray(part.astype(little_endian, copy=False))
            checksums[-1] = google_crc32c.extend(checksums[-1], stored)  # pyright: ignore[reportArgumentType]
            first += len(part)
        start = self.start if self.n_rows else number
        return replace(self, start=start, n_rows=self.n_rows + len(rows), checksums=tuple(checksums))

    def __add__(self, other: Fingerprint) -> Fingerprint:
        if not self.n_rows or not other.n_rows:  # an empty span does not know where it begins
            return other if other.n_rows else self
        assert other.start == self.start + self.n_rows
        before, after = self.checksums, other.checksums
        if skipped := other.start % RUN_ROWS:
            n_bytes = min(RUN_ROWS - skipped, other.n_rows) * self.n_features * np.dtype(self.dtype).itemsize
            before, after = (*before[:-1], combined(before[-1], after[0], n_bytes)), after[1:]
        return replace(self, n_rows=self.n_rows + other.n_rows, checksums=(*before, *after))

    def differing(self, other: Fingerprint) -> tuple[tuple[int, int], ...]:
        """Return the runs of rows, from number to number, that are not those of another one.

        Both are of all rows of a source.
        """
        n_rows = max(self.n_rows, other.n_rows)
        if replace(self, checksums=()) != replace(other, checksums=()):
            return ((0, n_rows),)
        starts, pairs = range(0, n_rows, RUN_ROWS), zip(self.checksums, other.checksums, strict=True)
        return tuple(
            (start, min(start + RUN_ROWS, n_rows))
            for start, (own, theirs) in zip(starts, pairs, strict=True)
            if own != theirs
        )

    def kept(self) -> dict[str, Any]:
        """Return what is kept beside written rows: at most `MOST_KEPT` checksums, each of as many rows."""
        step = RUN_ROWS
        while -(-self.n_rows // step) > MOST_KEPT:
            step *= 2
        shape = {"rows": self.n_rows, "features": self.n_features, "dtype": self.dtype}
        return {**shape, "rows_per_checksum": step, "crc32c": list(self._coarse(step))}

    def differing_from_kept(self, kept: Any) -> tuple[tuple[int, int], ...]:
        """Return the runs of rows, from number to number, that are not those of which checksums were kept.

        Both are of all rows of a source. What is no such record differs from all rows.
        """
        everything = ((0, self.n_rows),)
        step = kept.get("rows_per_checksum") if isinstance(kept, Mapping) else None
        if not isinstance(step, int) or step <= 0 or step % RUN_ROWS:
            return everything
        own = self._coarse(step)
        expected = {"rows": self.n_rows, "features": self.n_features, "dtype": self.dtype}
        theirs = kept.get("crc32c")
        if {name: kept.get(name) for name in expected} != expected:
            return everything
        if not isinstance(theirs, (list, tuple)) or len(theirs) != len(own):
            return everything
        return tuple(
            (number * step, min((number + 1) * step, self.n_rows))
            for number, (ours, other) in enumerate(zip(own, theirs, strict=True))
            if ours != other
        )

    def _coarse(self, step: int) -> tuple[int, ...]:
        """Return the checksums of runs of ``step`` rows, a multiple of `RUN_ROWS`."""
        row_bytes, several = self.n_features * np.dtype(self.dtype).itemsize, step // RUN_ROWS
        found = []
        for number, checksum in enumerate(self.checksums):
            if number % several:
                n_rows = min(RUN_ROWS, self.n_rows - number * RUN_ROWS)
                found[-1] = combined(found[-1], checksum, n_rows * row_bytes)
            else:
                found.append(checksum)
        return tuple(found)

    def __str__(self) -> str:
        """Return a short text: rows × features, dtype, and 16 hexadecimal digits for the checksums."""
        digest = hashlib.sha256(" ".join(map(str, self.checksums)).encode()).hexdigest()[:16]
        return f"{self.n_rows}x{self.n_features}-{self.dtype}-{digest}"


def combined(first: int, second: int, n_bytes: int) -> int:
    """Return the CRC-32C of two byte strings in a row from those of each; the second has ``n_bytes``.

    To append bytes is to multiply by a power of x, in polynomials over GF(2) modulo the CRC's: as in zlib's
    ``crc32_combine``.
    """
    power, base = first, X_TO_8
    while n_bytes:
        if n_bytes & 1:
            power = _product(power, base)
        base = _product(base, base)
        n_bytes >>= 1
    return power ^ second


def _product(a: int, b: int) -> int:
    """Multiply polynomials over GF(2) modulo the CRC's."""
    product, bit = 0, ONE
    while bit:
        if a & bit:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
        bit >>= 1
    return product
