"""Complete handwritten digits of which the upper half is known, from a mixture of whole ones.

The mean of what the lower half may be is blurred where there is doubt; draws show what the doubt is about.

    python examples/lower_halves.py [PICTURE.png]
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from dgmm import GaussianMixture, MixtureWarning

SIDE = 8
N_TEST, N_SHOWN = 300, 12
N_DRAWS = 3


def draw(rows: dict[str, np.ndarray], path: Path) -> None:
    """Draw digits, a row of the picture for each set of them."""
    figure = Figure(figsize=(N_SHOWN * 0.7, len(rows) * 0.8))
    axes = figure.subplots(len(rows), N_SHOWN, squeeze=False)
    for line, (name, digits) in zip(axes, rows.items(), strict=True):
        for ax, digit in zip(line, digits, strict=True):
            ax.imshow(digit.reshape(SIDE, SIDE), cmap="gray_r", vmin=0.0, vmax=16.0)
            ax.set_xticks([])
            ax.set_yticks([])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=100, bbox_inches="tight")


def main(path: Path) -> None:
    """Fit a mixture to digits, and complete others."""
    digits = np.random.default_rng(0).permutation(load_digits(return_X_y=True)[0])
    known, whole = digits[:-N_TEST], digits[-N_TEST:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixtureWarning)  # corners are never inked
        mixture = GaussianMixture(10, reg_covar=2.0, random_state=0).fit(known)

    halves = whole.copy()
    halves[:, SIDE * SIDE // 2 :] = np.nan
    mean = mixture.impute(halves)
    draws = [mixture.impute(halves, "sample", random_state=seed) for seed in range(N_DRAWS)]
    shown = {"whole": whole, "known": halves, "mean": mean}
    shown |= {f"draw {number}": drawn for number, drawn in enumerate(draws, 1)}
    draw({name: each[:N_SHOWN] for name, each in shown.items()}, path)

    lower = slice(SIDE * SIDE // 2, None)
    error = np.sqrt(np.mean((mean - whole)[:, lower] ** 2))
    of_mean_digit = np.sqrt(np.mean((known.mean(axis=0) - whole)[:, lower] ** 2))
    print(f"root mean squared error of the lower half: {error:.2f}, of the mean digit {of_mean_digit:.2f}")
    variance = np.mean([drawn[:, lower].var(axis=0).sum() for drawn in draws])
    spread = variance / whole[:, lower].var(axis=0).sum()
    print(f"variance of draws, of that of digits: {spread:.2f}")
    assert error < 0.75 * of_mean_digit
    assert 0.7 < spread < 1.4


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "halves.png")
        main(picture)
