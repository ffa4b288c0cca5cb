"""Fit a mixture to a Zarr array of which only a few chunks are in memory at a time.

The array is made here, chunk by chunk, from a mixture that is known, so that the fit can be held against it.

    python examples/larger_than_memory.py [ROWS]
"""

from __future__ import annotations

import resource
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from dgmm import GaussianMixture

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0, 0.0, 0.0], [6.0, -2.0, 0.0, 3.0], [-4.0, 5.0, 5.0, 0.0]])
SCALES = np.array([1.0, 2.0, 0.5])
CHUNK_ROWS = 50_000


def write_rows(path: Path, n_rows: int) -> None:
    """Write rows of the known mixture, one chunk at a time, with checksums."""
    array = zarr.create_array(
        path,
        shape=(n_rows, MEANS.shape[1]),
        chunks=(CHUNK_ROWS, MEANS.shape[1]),
        dtype="float64",
        compressors=ZstdCodec(level=1, checksum=True),
    )
    edges = [*range(0, n_rows, CHUNK_ROWS), n_rows]
    for seed, (start, stop) in enumerate(pairwise(edges)):
        rng = np.random.default_rng(seed)
        component = rng.choice(len(WEIGHTS), size=stop - start, p=WEIGHTS)
        noise = rng.standard_normal((stop - start, MEANS.shape[1]))
        array[start:stop] = MEANS[component] + SCALES[component, None] * noise


def main(n_rows: int = 1_000_000) -> None:
    """Write the rows, fit a mixture to them, and compare it with the one that made them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.zarr")
        write_rows(path, n_rows)
        mebibytes = n_rows * MEANS.shape[1] * 8 / 2**20
        print(f"{n_rows:,} rows in {path.name}: {mebibytes:,.0f} MiB in memory, were they all there at once")

        # The starts come from 20,000 rows that are drawn at random; the passes read every row.
        gmm = GaussianMixture(3, covariance_type="spherical", sample_rows=20_000, random_state=0)
        gmm.fit(path)
        print(f"{gmm.n_passes_} passes over all rows; converged: {gmm.converged_}")

        order = np.argsort(-gmm.weights_)
        for k in order:
            variance = gmm.covariances_[k]
            print(f"  weight {gmm.weights_[k]:.3f}, mean {gmm.means_[k].round(2)}, variance {variance:.3f}")
        np.testing.assert_allclose(gmm.weights_[order], WEIGHTS, atol=0.01)
        np.testing.assert_allclose(gmm.means_[order], MEANS, atol=0.05)
        np.testing.assert_allclose(gmm.covariances_[order], SCALES**2, rtol=0.03)

        labels = gmm.predict(path)  # a lazy Dask array: nothing is read until it is asked for
        shares = np.asarray((labels[:, None] == order).mean(axis=0))
        print(f"shares of the most probable components: {shares.round(3)}")
        np.testing.assert_allclose(shares, WEIGHTS, atol=0.02)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of this process: {peak / 1024 if sys.platform == 'linux' else peak / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
