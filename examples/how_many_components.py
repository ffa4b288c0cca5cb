"""How many components? The BIC of a sweep and a Dirichlet process, on the same rows, in one picture.

python examples/how_many_components.py [PICTURE.png]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dgmm import BayesianGaussianMixture, GaussianMixtureSweep
from dgmm.plotting import plot_criteria, plot_mixture

MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [1.5, 4.5]])
WIDTHS = np.array([[1.0, 0.6], [0.7, 0.7], [1.3, 0.4]])
N_ROWS = 6000
OFFERED = 10


def drawn() -> np.ndarray:
    """Draw rows of three clusters."""
    generator = np.random.default_rng(0)
    component = generator.choice(3, size=N_ROWS, p=[0.5, 0.3, 0.2])
    return MEANS[component] + WIDTHS[component] * generator.standard_normal((N_ROWS, 2))


def draw(rows: np.ndarray, sweep: Any, offered: Any, path: Path) -> None:
    """Draw both answers, and how each was found."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    (curve, by_bic), (weights, by_process) = figure.subplots(2, 2)
    plot_criteria(sweep, ax=curve)
    curve.set_title(f"A sweep: BIC is lowest at {sweep.best_params_['n_components']} components")
    weights.bar(np.arange(OFFERED), np.sort(offered.weights_)[::-1])
    weights.set(xlabel="component, the heaviest first", ylabel="weight")
    weights.set_title(f"A Dirichlet process: of {OFFERED} offered, {offered.effective_components_} have rows")
    for ax, mixture in ((by_bic, sweep.best_estimator_), (by_process, offered)):
        ax.scatter(*rows[:2000].T, s=2, color="0.7")
        plot_mixture(mixture, ax=ax)
        ax.set(xlabel="first feature", ylabel="second feature")
    figure.savefig(path, dpi=100)


def main() -> None:
    """Ask both, and draw what they say."""
    rows = drawn()
    sweep: Any = GaussianMixtureSweep(
        range(1, OFFERED + 1), covariance_type=("full", "diag"), random_state=0
    ).fit(rows)
    offered: Any = BayesianGaussianMixture(
        n_components=OFFERED, weight_concentration_prior=0.01, moves=True, max_iter=500, random_state=0
    ).fit(rows)
    print("a sweep, by BIC:", sweep.best_params_)
    print(f"a Dirichlet process: {offered.effective_components_} of {OFFERED} components have rows")
    assert sweep.best_params_ == {"n_components": 3, "covariance_type": "diag"}
    assert offered.effective_components_ == 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "how-many.png")
        draw(rows, sweep, offered, path)
        print(f"drawn: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
