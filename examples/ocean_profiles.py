"""Tell the water masses of ocean profiles apart, in a Zarr store as xarray writes it.

Temperature and salinity over (N_PROF, DEPTH) are packed into integers of 16 bits. The store is made here,
from two water masses that are known: warm and salty water above cold and fresh water, with a boundary that is
deeper towards the equator.

    python examples/ocean_profiles.py [PROFILES]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from dgmm import GaussianMixture, open_dataset

MEANS = {"TEMP": np.array([18.0, 5.0]), "PSAL": np.array([36.2, 34.7])}  # degrees Celsius; salinity
SCALES = {"TEMP": np.array([1.5, 0.8]), "PSAL": np.array([0.2, 0.1])}
PACKING = {
    "TEMP": {"dtype": "int16", "scale_factor": 0.001, "add_offset": 20.0, "_FillValue": -32768},
    "PSAL": {"dtype": "int16", "scale_factor": 0.001, "add_offset": 30.0, "_FillValue": -32768},
}
CHUNKS = (50, 40)


def write_profiles(path: Path, n_profiles: int) -> xr.DataArray:
    """Write profiles, and give which water mass each measurement is of: 0 above, 1 below."""
    generator = np.random.default_rng(0)
    depth = np.arange(5.0, 1000.0, 25.0)
    latitude = generator.uniform(-60.0, 60.0, n_profiles)
    boundary = 700.0 * np.cos(np.radians(latitude))
    is_below = depth[None, :] > boundary[:, None]
    mass = is_below.astype(int)
    days = np.datetime64("2024-01-01", "ns") + np.arange(n_profiles) * np.timedelta64(1, "D")
    profiles = xr.Dataset(
        {
            name: (("N_PROF", "DEPTH"), generator.normal(MEANS[name][mass], SCALES[name][mass]))
            for name in MEANS
        },
        coords={"DEPTH": depth, "LATITUDE": ("N_PROF", latitude), "JULD": ("N_PROF", days)},
    )
    profiles["TEMP"].attrs["units"] = "degree_Celsius"
    encoding = {name: {**packing, "chunks": CHUNKS} for name, packing in PACKING.items()}
    profiles.to_zarr(path, zarr_format=2, encoding=encoding, consolidated=False)
    return xr.DataArray(mass, dims=("N_PROF", "DEPTH"))


def main(n_profiles: int = 1000) -> None:
    """Write the profiles, fit a mixture to all measurements, and label them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ocean.zarr")
        mass = write_profiles(path, n_profiles)

        # Two dimensions number the rows, so that each measurement is one. With sample_dims=["N_PROF"] a row
        # would be a profile, of 80 features: TEMP[0], TEMP[1], …
        source = open_dataset(path, columns=["TEMP", "PSAL"], sample_dims=["N_PROF", "DEPTH"])
        print(f"{source.n_rows:,} measurements of {', '.join(source.feature_names or ())}")
        gmm = GaussianMixture(2, random_state=0).fit(source)
        order = np.argsort(-gmm.means_[:, 0])
        for k in order:
            temperature, salinity = gmm.means_[k]
            print(f"  weight {gmm.weights_[k]:.3f}: {temperature:.2f} degrees, salinity {salinity:.2f}")
        for column, name in enumerate(MEANS):
            np.testing.assert_allclose(gmm.means_[order, column], MEANS[name], atol=0.1)

        # What xarray opens gives labels with the coordinates of the data; they are lazy, as it is.
        labels = gmm.predict(xr.open_zarr(path, consolidated=False))
        print(labels)
        is_below = labels == order[1]
        share = float((is_below == mass).mean())
        print(f"{share:.2%} of the labels are right")
        assert share > 0.99

        depth = labels["DEPTH"].where(is_below).min("DEPTH")
        near = np.abs(labels["LATITUDE"]) < 20.0
        tropics, elsewhere = float(depth.where(near).mean()), float(depth.where(~near).mean())
        print(f"the lower water begins at {tropics:.0f} m near the equator, at {elsewhere:.0f} m elsewhere")
        assert tropics > elsewhere


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
