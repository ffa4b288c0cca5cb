"""Fit a mixture to a star catalogue in the HATS layout: by the names of what was measured.

The catalogue is drawn, and lies on disk as surveys publish theirs: Parquet files by place on the sky, beside
them a thumbnail of the first rows, and tables about the catalogue, none of which is read as stars.

    python examples/star_catalogue.py
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dgmm import DataWarning, GaussianMixture, open_dataset

STARS_A_PIXEL = 4_000
PIXELS = range(12)
MEASURED = ["bp_rp", "abs_mag"]
SEQUENCE, GIANTS = np.array([[0.9, 4.8], [1.3, 0.7]])
FINEST = 29
"""The order of the place on the sky in ``_healpix_29``: twelve pixels, each cut in four so many times."""


def write_pixel(folder: Path, pixel: int) -> pa.Table:
    """Write the stars of one pixel of the sky."""
    rng = np.random.default_rng(pixel)
    is_giant = rng.random(STARS_A_PIXEL) < 0.25
    colour = np.where(is_giant, GIANTS[0], SEQUENCE[0]) + 0.15 * rng.standard_normal(STARS_A_PIXEL)
    brightness = np.where(is_giant, GIANTS[1], SEQUENCE[1]) + 0.5 * rng.standard_normal(STARS_A_PIXEL)
    place = pixel * 4**FINEST + np.sort(rng.integers(0, 4**FINEST, STARS_A_PIXEL))
    table = pa.table(
        {
            "_healpix_29": place,
            "source_id": place >> 5,
            "bp_rp": colour.astype("f4"),
            "abs_mag": brightness.astype("f4"),
            "phot_variable_flag": np.where(rng.random(STARS_A_PIXEL) < 0.1, "VARIABLE", "CONSTANT"),
        }
    )
    path = folder / "dataset" / "Norder=0" / "Dir=0" / f"Npix={pixel}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table


def write_catalogue(folder: Path) -> None:
    """Write the stars, and what HATS wants beside them."""
    first = [write_pixel(folder, pixel)[:1] for pixel in PIXELS]
    pq.write_table(pa.concat_tables(first), folder / "dataset" / "data_thumbnail.parquet")
    pq.write_metadata(first[0].schema, folder / "dataset" / "_common_metadata")
    lines = ["Norder,Npix", *(f"0,{pixel}" for pixel in PIXELS)]
    (folder / "partition_info.csv").write_text("\n".join(lines) + "\n")
    n_stars = STARS_A_PIXEL * len(PIXELS)
    (folder / "hats.properties").write_text(
        f"obs_collection=drawn\ndataproduct_type=object\nhats_nrows={n_stars}\n"
    )


def main() -> None:
    """Fit colour and brightness; say what the catalogue holds besides."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "drawn_stars")
        write_catalogue(folder)

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", DataWarning)
            open_dataset(folder)
        print("What columns= should say:")
        for each in told:
            print(" ", str(each.message).removeprefix(f"{folder}: "))

        stars = open_dataset(folder, columns=MEASURED)
        print(f"{stars.n_rows:,} stars")
        assert stars.n_rows == STARS_A_PIXEL * len(PIXELS)  # and none of the thumbnail
        gmm = GaussianMixture(2, sample_rows=10_000, random_state=0).fit(stars)
        for weight, mean in zip(gmm.weights_, gmm.means_, strict=True):
            print(f"{weight:.1%} of the stars about BP−RP {mean[0]:.2f}, M_G {mean[1]:.2f}")

        order = np.argsort(np.asarray(gmm.means_)[:, 1])
        np.testing.assert_allclose(np.asarray(gmm.means_)[order], [GIANTS, SEQUENCE], atol=0.03)
        np.testing.assert_allclose(np.asarray(gmm.weights_)[order], [0.25, 0.75], atol=0.01)
        giants = np.asarray(gmm.predict(folder)) == order[0]  # the model finds its columns by their names
        print(f"{giants.mean():.1%} are labelled giants")


if __name__ == "__main__":
    main()
